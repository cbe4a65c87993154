// The lowering of layers to forward and backward calls.
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <algorithm>
#include <map>

using namespace halcyon;

namespace {

Graph training_graph(const Model &model) { return lower_training(model, lay_out_slabs(model)); }

std::vector<std::string> names_of(const Graph &graph) {
    std::vector<std::string> names;
    for (const Operation &operation : graph.operations) names.push_back(name_of(operation));
    return names;
}

}  // namespace

TEST_CASE("a chain's backward calls mirror its forward ones") {
    const Graph graph = training_graph(make_model(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "activation": "relu"},
        {"type": "batch_normalization"}, {"type": "max_pooling2d"}, {"type": "dropout"})" +
                                                  head));
    CHECK(names_of(graph) == std::vector<std::string>{"conv2d_fwd", "relu", "batch_norm_stats", "affine", "max_pool2d_fwd", "dropout",
                                                      "conv2d_fwd", "softmax_cross_entropy_fwd", "onehotgradient", "conv2d_bwd_weights",
                                                      "conv2d_bwd_data", "dropout", "max_pool2d_bwd", "batch_norm_bwd_stats",
                                                      "normgradient", "mask", "conv2d_bwd_weights"});
}

TEST_CASE("inference uses the moving statistics and no dropout") {
    const Model model =
        make_model(R"({"type": "conv2d", "filters": 4, "kernel_size": 3}, {"type": "batch_normalization"}, {"type": "dropout"})" + head);
    CHECK(names_of(lower_inference(model, lay_out_slabs(model))) ==
          std::vector<std::string>{"conv2d_fwd", "batch_norm_fold", "affine", "conv2d_fwd", "softmax_cross_entropy_fwd"});
}

TEST_CASE("noise is added in training alone, each layer's own, and no gradient comes of it") {
    const Model model = make_model(R"({"type": "gaussian_noise", "stddev": 0.1}, {"type": "conv2d", "filters": 4, "kernel_size": 3},
        {"type": "gaussian_noise", "stddev": 0}, {"type": "dropout"}, {"type": "gaussian_noise", "stddev": 0.5})" +
                                   head);
    const Graph graph = training_graph(model);
    CHECK(names_of(graph) == std::vector<std::string>{"noise", "conv2d_fwd", "dropout", "noise", "conv2d_fwd", "softmax_cross_entropy_fwd",
                                                      "onehotgradient", "conv2d_bwd_weights", "conv2d_bwd_data", "dropout",
                                                      "conv2d_bwd_weights"});
    const AppliedLink first = graph.operations[0].chain("output").front(), second = graph.operations[3].chain("output").front();
    CHECK((first.number == 0 && first.constants == std::vector{0.1F}));
    CHECK((second.number == 1 && second.constants == std::vector{0.5F}));
    CHECK(graph.operations[2].chain("output").front().number == 0);
    CHECK(graph.operations[9].inputs["input"] == find(graph, "conv2d_bwd_data", "dense").outputs["d_input"]);
    CHECK(model.dropout_rates().size() == 1);
    CHECK(names_of(lower_inference(model, lay_out_slabs(model))) ==
          std::vector<std::string>{"conv2d_fwd", "conv2d_fwd", "softmax_cross_entropy_fwd"});
}

TEST_CASE("nothing is computed for what no weight lies before") {
    // The image, and what a pool makes of it, need no gradient.
    const Graph graph =
        training_graph(make_model(R"({"type": "max_pooling2d"}, {"type": "conv2d", "filters": 4, "kernel_size": 3})" + head));
    CHECK(find_all(graph, "max_pool2d_bwd", "max_pooling2d").empty());
    CHECK(find_all(graph, "conv2d_bwd_data", "conv2d").empty());
    CHECK(find_all(graph, "conv2d_bwd_weights", "conv2d").size() == 1);
    CHECK(find_all(graph, "conv2d_bwd_data", "dense").size() == 1);
}

TEST_CASE("nothing is computed for the weights of frozen layers, nor below the first that is trained") {
    const std::string frozen_conv = R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "kernel_regularizer": "l2", "trainable": false})";
    const std::string frozen_norm = R"({"type": "batch_normalization", "trainable": false})", relu = R"({"type": "relu"})";
    const std::string frozen = frozen_conv + ", " + frozen_norm + ", " + relu;
    const Model behind = make_model(frozen + head);
    CHECK(names_of(training_graph(behind)) ==
          std::vector<std::string>{"conv2d_fwd", "softmax_cross_entropy_fwd", "onehotgradient", "conv2d_bwd_weights"});
    CHECK(names_of(lower_features(behind, lay_out_slabs(behind)).at(0)) ==
          std::vector<std::string>{"conv2d_fwd", "batch_norm_fold", "affine", "relu"});
    // Nor where a dropout comes first, so that there are no features.
    CHECK(names_of(training_graph(make_model(R"({"type": "dropout"}, )" + frozen + head))) ==
          std::vector<std::string>{"dropout", "conv2d_fwd", "batch_norm_fold", "affine", "relu", "conv2d_fwd", "softmax_cross_entropy_fwd",
                                   "onehotgradient", "conv2d_bwd_weights"});

    // The gradient passes through frozen layers to those before them, and moving statistics are read alone.
    const Graph graph = training_graph(make_model(R"({"type": "conv2d", "filters": 4, "kernel_size": 3}, )" + frozen + head));
    CHECK(names_of(graph) == std::vector<std::string>{"conv2d_fwd", "conv2d_fwd", "batch_norm_fold", "affine", "relu", "conv2d_fwd",
                                                      "softmax_cross_entropy_fwd", "onehotgradient", "conv2d_bwd_weights",
                                                      "conv2d_bwd_data", "mask", "affine", "conv2d_bwd_data", "conv2d_bwd_weights"});
    // What a frozen batch norm does to a gradient is its scale alone.
    const Operands forward = find_all(graph, "affine")[0].chain("output")[0].operands,
                   backward = find_all(graph, "affine")[1].chain("output")[0].operands;
    CHECK(backward["scale"] == forward["scale"]);
    CHECK(graph.values[std::size_t(backward["shift"])].home == Home::zeros);
    for (const Operation &operation : graph.operations)
        for (const Operand &output : operation.outputs) CHECK(graph.values[std::size_t(output.value)].home != Home::moving);
}

TEST_CASE("a gradient of a frozen weight that a layer makes all the same lies nowhere near the weight") {
    const Model model = make_model(R"({"type": "conv2d", "filters": 4, "kernel_size": 3},
        {"type": "conv2d", "filters": 4, "kernel_size": 3, "trainable": false})" +
                                   head);
    const Slabs slabs = lay_out_slabs(model);
    Lowering lowering(model, slabs, "t", Lowering::Mode::training);
    const int d_trained = lowering.gradient(lowering.weight(*model.layers[0], "bias"));
    const int d_frozen = lowering.gradient(lowering.weight(*model.layers[1], "bias"));
    const std::vector<Buffer> values = std::move(lowering).finish().values;
    CHECK(values[std::size_t(d_trained)].home == Home::gradients);
    CHECK(values[std::size_t(d_frozen)].home == Home::arena_fixed);
    CHECK(values[std::size_t(d_frozen)].offset == 0);
}

TEST_CASE("an image's features are what layers make of it that neither train nor draw, of which the others read the last alone") {
    const std::string frozen = R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "trainable": false})", drop = R"({"type": "dropout"})";
    const std::string norm = R"({"type": "batch_normalization"})", frozen_norm = R"({"type": "batch_normalization", "trainable": false})";
    const std::string scaling = R"({"type": "rescaling", "scale": 2})", pool = R"({"type": "max_pooling2d"})";
    const std::string conv = R"({"type": "conv2d", "filters": 4, "kernel_size": 3})", end = head.substr(2);
    const auto layers = [](const std::string &text) { return feature_layers(make_model(text)); };
    CHECK(layers(conv + ", " + pool + ", " + end) == 0);
    CHECK(layers(conv + ", " + frozen + ", " + end) == 0);
    CHECK(layers(frozen + ", " + end) == 2);
    CHECK(layers(scaling + ", " + frozen + ", " + frozen_norm + ", " + pool + ", " + drop + ", " + end) == 4);
    CHECK(layers(frozen + ", " + norm + ", " + frozen + ", " + end) == 1);
    CHECK(layers(drop + ", " + frozen + ", " + end) == 0);
    CHECK(layers(R"({"type": "dropout", "trainable": false}, )" + frozen + ", " + end) == 0);
    // A branch within is one of them; one that is read behind ends them before it.
    const std::string a = R"({"name": "a", "type": "conv2d", "filters": 3, "kernel_size": 1, "trainable": false})";
    const std::string b = R"({"name": "b", "type": "conv2d", "filters": 3, "kernel_size": 1, "trainable": false})";
    const std::string both = R"({"type": "add", "inputs": ["a", "b"]})", image = R"({"type": "add", "inputs": ["b", "input"]})";
    CHECK(layers(a + ", " + b + ", " + both + ", " + end) == 4);
    CHECK(layers(a + ", " + b + ", " + conv + R"(, {"type": "flatten", "name": "c"}, {"type": "dense", "units": 4, "name": "d"},
        {"type": "reshape", "target_shape": [1, 1, 4]}, {"type": "conv2d", "filters": 4, "kernel_size": 8, "inputs": ["a"], "name": "e"},
        {"type": "add", "inputs": ["reshape", "e"]}, )" +
                 end) == 1);
    CHECK(layers(a + ", " + b + ", " + norm + R"(, {"type": "add", "inputs": ["batch_normalization", "input"]}, )" + end) == 0);
    CHECK(layers(a + ", " + b + ", " + image + ", " + end) == 4);
    // A batch norm without weights has moving statistics.
    const std::string bare = R"({"type": "batch_normalization", "scale": false, "center": false})";
    CHECK(layers(frozen + ", " + bare + ", " + end) == 1);
    CHECK(layers(frozen + ", " + pool + R"(, {"type": "spatial_dropout2d", "rate": 0.5}, )" + end) == 2);
}

TEST_CASE("the gradients of a value used twice are summed in a fixed order") {
    const Graph graph = training_graph(make_model(R"({"name": "stem", "type": "conv2d", "filters": 4, "kernel_size": 3},
        {"name": "a", "type": "relu", "inputs": ["stem"]}, {"name": "b", "type": "dropout", "inputs": ["stem"]},
        {"type": "add", "inputs": ["a", "b"]})" + head));
    const Operation a = find(graph, "mask", "a"), b = find_all(graph, "dropout", "b").at(1);
    // The sum of the layer `add` forward, and of the two gradients backward: the later reader's first.
    REQUIRE(find_all(graph, "add", "add").size() == 1);
    const Operation sum = find(graph, "add", "a");
    CHECK(sum.inputs["input"] == b.outputs["output"]);
    CHECK(sum.chain("output").front().operands["addend"] == a.outputs["output"]);
    CHECK(find(graph, "conv2d_bwd_weights", "stem").inputs["d_output"] == sum.outputs["output"]);
    // Both readers' gradients come from the one that the layer `add` received.
    CHECK(a.inputs["input"] == b.inputs["input"]);
}

TEST_CASE("a value added to itself gets its gradient twice") {
    const Graph graph = training_graph(make_model(
        R"({"name": "stem", "type": "conv2d", "filters": 4, "kernel_size": 3}, {"type": "add", "inputs": ["stem", "stem"]})" + head));
    const Operation sum = find_all(graph, "add", "add").at(1);
    CHECK(sum.inputs["input"] == sum.chain("output").front().operands["addend"]);
    CHECK(find(graph, "conv2d_bwd_weights", "stem").inputs["d_output"] == sum.outputs["output"]);
}

// Let every backward kernel hand on its gradient unchanged, the loss's be 1: then the gradient of a layer's output is the number of ways
// from that layer to the loss, which can be counted without any graph of calls.
TEST_CASE("in random networks every way from a layer to the loss counts once") {
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        const Model model = random_model(random, 1 + round % 12);
        CAPTURE(round);

        std::vector<double> ways(model.layers.size(), 0);
        ways.back() = 1;
        for (int i = int(model.layers.size()) - 1; i >= 0; --i)
            for (int input : model.layers[i]->inputs)
                if (input != image_input) ways[input] += ways[i];

        const Graph graph = training_graph(model);
        std::map<int, double> gradients;
        std::map<std::string, double> of_layers;
        for (const Operation &operation : graph.operations) {
            const std::string name = name_of(operation);
            const Operands &inputs = operation.inputs, &outputs = operation.outputs;
            if (name == "onehotgradient")
                gradients[outputs["output"]] = 1;
            else if (name == "conv2d_bwd_weights" || name == "batch_norm_bwd_stats")
                of_layers[operation.layer] = gradients.at(inputs["d_output"]);
            else if (name == "add" && gradients.contains(inputs["input"]))
                gradients[outputs["output"]] =
                    gradients.at(inputs["input"]) + gradients.at(operation.chain("output").front().operands["addend"]);
            else if (operation.core == "pointwise" && gradients.contains(inputs["input"]))
                gradients[outputs["output"]] = gradients.at(inputs["input"]);
            else if (outputs.contains("d_input"))
                gradients[outputs["d_input"]] = gradients.at(inputs["d_output"]);
        }
        for (std::size_t i = 0; i < model.layers.size(); ++i) {
            if (model.layers[i]->weights().empty()) continue;
            CAPTURE(model.layers[i]->name);
            CHECK(of_layers.at(model.layers[i]->name) == ways[i]);
        }
    }
}
