// Fusion: each rule where it applies, and nowhere else.
#include "compiler/fuse.h"
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <algorithm>

using namespace halcyon;

namespace {

const std::string head = R"(, {"type": "flatten"}, {"type": "dense", "units": 3, "activation": "softmax"})";
const std::string conv_relu = R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"})";
const std::string batch_norm = R"({"type": "batch_normalization"})";

Graph training_graph(const std::string &layers) {
    const Model model = make_model(layers + head);
    return lower_training(model, lay_out_slabs(model));
}

/// How many calls of `kernel` there are, with a fused ReLU or without.
int count(const Graph &graph, const std::string &kernel, int relu = 0) {
    return int(std::ranges::count_if(graph.operations, [&](const Operation &o) { return o.kernel == kernel && o.shape.relu == relu; }));
}

}  // namespace

TEST_CASE("a convolution and its ReLU become one call where a tuned entry takes it") {
    // The first convolution has 3 input channels, which the menu's tuned entry refuses.
    Graph graph = training_graph(conv_relu + ", " + conv_relu);
    const int output = graph.operations[4].outputs[0];
    REQUIRE(graph.operations[4].kernel == "relu_fwd");
    const std::vector<Fusion> fusions = fuse(graph, x86_avx2(), tuned_menu);
    REQUIRE(fusions.size() == 2);
    CHECK_FALSE(fusions[0].taken);
    CHECK(fusions[0].line == "conv2d_fwd of conv2d and relu_fwd of conv2d stay apart: tuned: 3 channels");
    CHECK(fusions[1].taken);
    CHECK(fusions[1].line == "conv2d_fwd of conv2d_1 and relu_fwd of conv2d_1 are one call: tuned");
    CHECK(count(graph, "relu_fwd") == 1);
    CHECK(count(graph, "conv2d_fwd", 1) == 1);
    REQUIRE(graph.operations[3].shape.relu == 1);
    CHECK(graph.operations[3].outputs[0] == output);
}

TEST_CASE("without a tuned entry the parts stay") {
    Graph graph = training_graph(conv_relu + ", " + batch_norm);
    const std::size_t before = graph.operations.size();
    for (const Fusion &fusion : fuse(graph, x86_avx2(), reference_menu)) CHECK_FALSE(fusion.taken);
    CHECK(graph.operations.size() == before);
    CHECK(count(graph, "relu_fwd") == 1);
    CHECK(count(graph, "relu_bwd") == 1);
}

TEST_CASE("a ReLU stays where others read what it reads") {
    Graph graph = training_graph(R"({"type": "relu"}, {"name": "c", "type": "conv2d", "filters": 4, "kernel_size": 3},
        {"name": "d", "type": "conv2d", "filters": 4, "kernel_size": 1}, {"name": "r", "type": "relu"}, {"type": "add", "inputs": ["d", "r"]})");
    const int before = count(graph, "relu_fwd");
    fuse(graph, x86_avx2(), tuned_menu);
    CHECK(count(graph, "relu_fwd") == before);
    CHECK(count(graph, "conv2d_fwd", 1) == 0);
}

TEST_CASE("the gradient of a batch norm masks by the ReLU before it") {
    Graph graph = training_graph(conv_relu + ", " + batch_norm);
    Operation relu = *std::ranges::find(graph.operations, "relu_bwd", &Operation::kernel);
    fuse(graph, x86_avx2(), tuned_menu);
    CHECK(count(graph, "relu_bwd") == 0);
    const auto fused = std::ranges::find(graph.operations, "batch_norm_bwd_data", &Operation::kernel);
    CHECK(fused->shape.relu == 1);
    CHECK(fused->outputs == relu.outputs);
}

TEST_CASE("the gradient of a batch norm does not mask by another ReLU") {
    SECTION("the ReLU's gradient is a sum") {
        Graph graph = training_graph(R"({"type": "conv2d", "filters": 4, "kernel_size": 3}, {"name": "r", "type": "relu"},
            {"name": "b", "type": "batch_normalization"}, {"type": "add", "inputs": ["r", "b"]})");
        fuse(graph, x86_avx2(), tuned_menu);
        CHECK(count(graph, "relu_bwd") == 1);
        CHECK(count(graph, "batch_norm_bwd_data", 1) == 0);
    }
    SECTION("another layer lies between") {
        Graph graph = training_graph(conv_relu + R"(, {"type": "dropout"}, )" + batch_norm);
        fuse(graph, x86_avx2(), tuned_menu);
        CHECK(count(graph, "relu_bwd") == 1);
        CHECK(count(graph, "batch_norm_bwd_data", 1) == 0);
    }
}
