// The networks of models/ beside Keras: make_networks.py says what is in the file. The calls are the oracles', which the kernels are held
// to.
#include "compiler/graph.h"
#include "compiler/model.h"
#include "tests/catch.h"
#include "tests/golden/golden_file.h"
#include "tests/kernels/data.h"
#include "tests/kernels/oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

using namespace halcyon;
using halcyon::oracle::Array;

namespace {

/// Numbers from -1 to 1: splitmix64 of their places.
std::vector<double> draw(std::uint64_t stream, std::size_t count) {
    std::vector<double> values(count);
    for (std::size_t i = 0; i < count; ++i) {
        std::uint64_t z = ((stream << 32) + i + 1) * 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        z ^= z >> 31;
        values[i] = double(z >> 11) * 0x1p-52 - 1;
    }
    return values;
}

/// A kernel has a variance of 2 / fan-in, what scales lies near 1, what shifts near 0.
Array drawn_weight(const Parameter &parameter, const std::vector<int> &extents, std::uint64_t stream) {
    Array weight(extents);
    weight.values = draw(stream, weight.values.size());
    const std::string kind = parameter.name.substr(parameter.name.find('/') + 1);
    const double fan_in = double(weight.values.size()) / parameter.shape.back();
    for (double &value : weight.values)
        value = kind == "kernel" ? value * std::sqrt(6 / fan_in) : value / 8 + (kind == "gamma" || kind == "moving_variance" ? 1 : 0);
    return weight;
}

using Named = std::map<std::string, Array>;

/// A network with the weights and images that are drawn for it.
struct DrawnNetwork {
    Model model;
    Slabs slabs = lay_out_slabs(model);
    int images;
    Named weights = {}, data = {};

    DrawnNetwork(const std::string &name, int image_count)
        : model(load_model(fmt::format("{}/models/{}.json", HALCYON_SOURCE_DIR, name))), images(image_count) {
        for (std::size_t i = 0; i < slabs.parameters.size(); ++i)
            weights.emplace(slabs.parameters[i].name, drawn_weight(slabs.parameters[i], slabs.extents[i], i));
        const FeatureMap &in = model.input;
        const std::optional<InputScaling> scaling = model.input_scaling();
        const Rescaled scaled = scaling ? scaling->before : Rescaled{1.0 / 255, 0};
        Array input({in.c, in.w, in.h, images}), labels({images});
        input.values = draw(1'000'000, input.values.size());
        for (double &value : input.values) value = std::floor((value + 1) * 128) * scaled.scale + scaled.offset;
        std::iota(labels.values.begin(), labels.values.end(), 0.0);
        data = {{"input", input}, {"labels", labels}, {"indices", labels}, {"step", step()}};
    }

    /// What each value of the graph holds after its calls, which keep the weights they update.
    Named run(const Graph &graph) {
        std::map<int, Array> arrays;
        for (int value = 0; value < int(graph.values.size()); ++value) arrays.emplace(value, beginning_of(graph.values[value]));
        for (const Operation &operation : graph.operations) {
            std::vector<Array> arguments;
            for (const int value : operation.arguments()) arguments.push_back(arrays.at(value));
            oracle::compute(operation.kernel(), arguments);
            for (std::size_t i = 0; i < arguments.size(); ++i) arrays.at(operation.arguments()[i]) = std::move(arguments[i]);
        }
        Named named;
        for (auto &[value, array] : arrays) named.insert_or_assign(graph.values[value].name, std::move(array));
        for (auto &[name, weight] : weights)
            if (const auto kept = named.find(name); kept != named.end()) weight = kept->second;
        return named;
    }

private:
    Array step() const {
        const int words = step_words(int(model.dropout_rates().size()), model.classes());
        Array step = make_step(words, 0, images, model.classes());
        for (int label = 0; label < model.classes(); ++label) set_real(step, class_weight(words, model.classes(), label), 1);
        return step;
    }

    Array beginning_of(const Buffer &value) const {
        for (const Named *named : {&weights, &data})
            if (const auto found = named->find(value.name); found != named->end()) return found->second;
        std::vector<int> extents = value.extents;
        std::ranges::replace(extents, batch_extent, images);
        return Array(extents, value.home == Home::ones ? 1 : 0);
    }
};

double mean(const Array &values) { return std::accumulate(values.values.begin(), values.values.end(), 0.0) / double(values.values.size()); }

/// Within 1e-6 of the largest: constants of kernels are floats.
void check_close(const std::vector<double> &ours, const std::vector<double> &theirs) {
    REQUIRE(ours.size() == theirs.size());
    double largest = 0;
    for (const double value : theirs) largest = std::max(largest, std::abs(value));
    for (std::size_t i = 0; i < ours.size(); ++i) {
        CAPTURE(i, ours[i], theirs[i]);
        CHECK(std::abs(ours[i] - theirs[i]) <= 1e-6 * largest);
    }
}

/// The same of each tensor's gradient, by its norm and a dot product. That of a bias before a batch norm is rounding alone, and is held to
/// the largest norm of all.
void check_gradients(const DrawnNetwork &network, const Named &values, const std::vector<double> &golden_gradients) {
    double largest = 0;
    for (std::size_t i = 0; i < golden_gradients.size(); i += 2) largest = std::max(largest, golden_gradients[i]);
    std::size_t trained = 0;
    for (std::size_t i = 0; i < network.slabs.parameters.size(); ++i) {
        const Parameter &parameter = network.slabs.parameters[i];
        if (parameter.home != Home::parameters) continue;
        const std::vector<double> &gradient = values.at("d " + parameter.name).values, drawn = draw(i, gradient.size());
        const double norm = golden_gradients.at(2 * trained), product = golden_gradients.at(2 * trained + 1);
        const double tolerance = 1e-6 * std::max(norm, 1e-6 * largest);
        CAPTURE(parameter.name, norm, product);
        CHECK(std::abs(std::sqrt(std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0)) - norm) <= tolerance);
        const double of_drawn = std::inner_product(gradient.begin(), gradient.end(), drawn.begin(), 0.0);
        CHECK(std::abs(of_drawn - product) <= tolerance * std::sqrt(double(gradient.size())));
        ++trained;
    }
    CHECK(2 * trained == golden_gradients.size());
}

void check(const std::string &name, int images, double rate) {
    const auto golden_values = [&](const std::string &what) { return tensor<double>(name + "/" + what); };
    DrawnNetwork network(name, images);
    const Graph inference = lower_inference(network.model, network.slabs), training = lower_training(network.model, network.slabs);

    const Operation &loss = inference.operations.back();
    check_close(network.run(inference).at(inference.values[loss.inputs["logits"]].name).values, golden_values("logits"));

    std::vector<double> losses;
    for (std::size_t step = 0; step < golden_values("losses").size(); ++step) {
        const Named values = network.run(training);
        losses.push_back(mean(values.at("loss")));
        if (step == 0) check_gradients(network, values, golden_values("gradients"));
        for (const Parameter &parameter : network.slabs.parameters) {
            if (parameter.home != Home::parameters) continue;
            const std::vector<double> &gradient = values.at("d " + parameter.name).values;
            std::vector<double> &weight = network.weights.at(parameter.name).values;
            for (std::size_t j = 0; j < gradient.size(); ++j) weight[j] -= rate * gradient[j];
        }
    }
    check_close(losses, golden_values("losses"));
}

}  // namespace

TEST_CASE("the networks make what Keras's make: logits, gradients, and the losses of ten steps") {
    int networks = 0;
    for (const auto &[name, images] : golden().metadata) {
        if (!golden().tensors.contains(name + "/logits")) continue;
        CAPTURE(name);
        check(name, std::stoi(images), std::stod(golden().metadata.at("rate")));
        networks++;
    }
    CHECK(networks == 10);
}
