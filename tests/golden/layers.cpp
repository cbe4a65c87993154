// The layers' options and calls beside Keras's layers: make_layers.py says what is in the file. The calls are those of the oracles, which
// the kernels are held to.
#include "compiler/graph.h"
#include "tests/catch.h"
#include "tests/golden/golden_file.h"
#include "tests/kernels/oracle.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

using namespace halcyon;
using halcyon::oracle::Array;

namespace {

std::vector<double> values_of(const std::string &name) { return tensor<double>(name); }

/// The layers between convolutions that stand for the inputs, so that these want gradients, and a layer that makes classes.
Model model_of(const std::string &layers, const std::vector<std::vector<std::int64_t>> &inputs) {
    nlohmann::json all = nlohmann::json::array();
    std::int64_t rows = 1, columns = 1;
    for (const std::vector<std::int64_t> &shape : inputs) rows = std::max(rows, shape[1]), columns = std::max(columns, shape[2]);
    for (std::size_t i = 0; i < inputs.size(); ++i)
        all.push_back({{"type", "conv2d"},
                       {"name", fmt::format("x{}", i)},
                       {"inputs", {"input"}},
                       {"filters", inputs[i][3]},
                       {"kernel_size", {rows - inputs[i][1] + 1, columns - inputs[i][2] + 1}}});
    for (const nlohmann::json &layer : nlohmann::json::parse(layers)) all.push_back(layer);
    all.push_back({{"type", "flatten"}});
    all.push_back({{"type", "dense"}, {"units", 2}});
    const nlohmann::json model = {
        {"name", "t"}, {"input", {{"shape", {rows, columns, 1}}}}, {"layers", all}, {"loss", "sparse_categorical_crossentropy"}};
    return parse_model(model.dump(), "t.json");
}

/// Keras takes global means, layer and group norms, and their gradients, through float32, whatever the floats are.
void check_close(const std::vector<double> &ours, const std::vector<double> &theirs) {
    REQUIRE(ours.size() == theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
        CAPTURE(i, ours[i], theirs[i]);
        CHECK(std::abs(ours[i] - theirs[i]) <= 2e-6 * std::max(1.0, std::abs(theirs[i])));
    }
}

void check(const std::string &case_name, const std::string &layers) {
    std::vector<std::vector<std::int64_t>> shapes;
    const auto tensor = [&](const std::string &name) { return case_name + "/" + name; };
    while (golden().tensors.contains(tensor(fmt::format("x{}", shapes.size()))))
        shapes.push_back(golden().tensors.at(tensor(fmt::format("x{}", shapes.size()))).shape);
    const Model model = model_of(layers, shapes);
    const Slabs slabs = lay_out_slabs(model);

    // The calls of the layers alone.
    Lowering lowering(model, slabs, "gradients", Lowering::Mode::training);
    const int image = lowering.external("input"), inputs = int(shapes.size());
    std::vector<int> values, d_inputs(shapes.size(), -1);
    for (int i = 0; i < int(model.layers.size()) - 2; ++i) {
        const Layer &layer = *model.layers[i];
        std::vector<int> read;
        for (int input : layer.inputs) read.push_back(input == image_input ? image : values[input]);
        values.push_back(layer.lower(lowering, read));
        if (i < inputs) lowering.on_backward(values[i], [&d_inputs, i](int d_input) { d_inputs[i] = d_input; });
    }
    const int output = values.back(), d_output = lowering.gradient(output);
    lowering.add_gradient("", output, d_output);
    lowering.run_backward();
    const Graph graph = std::move(lowering).finish();

    const int images = int(shapes[0][0]);
    std::map<int, Array> arrays;
    const auto put = [&](int value, const std::string &name) { arrays.at(value).values = values_of(tensor(name)); };
    for (int value = 0; value < int(graph.values.size()); ++value) {
        std::vector<int> extents = graph.values[value].extents;
        std::ranges::replace(extents, batch_extent, images);
        arrays.emplace(value, Array(extents, graph.values[value].home == Home::ones ? 1 : 0));
        if (golden().tensors.contains(tensor(graph.values[value].name))) put(value, graph.values[value].name);
    }
    put(d_output, "d_output");
    for (const Operation &operation : graph.operations) {
        if (std::ranges::any_of(model.layers,
                                [&](const auto &layer) { return layer->name == operation.layer && layer->inputs[0] == image_input; }))
            continue;
        std::vector<Array> arguments;
        for (int value : operation.arguments()) arguments.push_back(arrays.at(value));
        oracle::compute(operation.kernel(), arguments);
        for (std::size_t i = 0; i < arguments.size(); ++i) arrays.at(operation.arguments()[i]) = arguments[i];
    }
    check_close(arrays.at(output).values, values_of(tensor("output")));
    for (int i = 0; i < inputs; ++i) {
        CAPTURE(i);
        check_close(arrays.at(d_inputs[i]).values, values_of(tensor(fmt::format("d_x{}", i))));
    }
    for (int value = 0; value < int(graph.values.size()); ++value)
        if (const std::string &name = graph.values[value].name;
            name.starts_with("d ") && golden().tensors.contains(tensor(name.substr(2)))) {
            CAPTURE(name);
            check_close(arrays.at(value).values, values_of(tensor("d_" + name.substr(2))));
        }
}

}  // namespace

TEST_CASE("layers make what Keras's make, and the gradients of their inputs and weights") {
    int cases = 0;
    for (const auto &[name, text] : golden().metadata) {
        if (!text.starts_with("[")) continue;
        CAPTURE(name);
        check(name, text);
        cases++;
    }
    CHECK(cases > 5);
}
