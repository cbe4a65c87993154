// Fusion: each rule where it applies, and nowhere else.
#include "compiler/fuse.h"
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <fmt/format.h>

#include <algorithm>

using namespace halcyon;

namespace {

const std::string head = R"(, {"type": "flatten"}, {"type": "dense", "units": 3, "activation": "softmax"})";
const std::string conv_relu = R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"})";
const std::string batch_norm = R"({"type": "batch_normalization"})";
const std::string pool = R"({"type": "max_pooling2d", "padding": "same"})";
const std::string dropout = R"({"type": "dropout"})";

Graph training_graph(const std::string &layers) {
    const Model model = make_model(layers + head);
    return lower_training(model, lay_out_slabs(model));
}

Graph inference_graph(const std::string &layers) {
    const Model model = make_model(layers + head);
    return lower_inference(model, lay_out_slabs(model));
}

const Operation &find(const Graph &graph, const std::string &kernel) {
    const auto found = std::ranges::find(graph.operations, kernel, &Operation::kernel);
    REQUIRE(found != graph.operations.end());
    return *found;
}

/// Whether any call reads or writes `value`.
bool is_used(const Graph &graph, int value) {
    return std::ranges::any_of(graph.operations, [&](const Operation &o) {
        return std::ranges::count(o.inputs, value) + std::ranges::count(o.outputs, value) > 0;
    });
}

std::vector<std::string> lines(const std::vector<Fusion> &fusions, bool taken) {
    std::vector<std::string> found;
    for (const Fusion &fusion : fusions)
        if (fusion.taken == taken) found.push_back(fusion.line);
    return found;
}

/// How many calls of `kernel` there are, with a fused ReLU or without.
int count(const Graph &graph, const std::string &kernel, int relu = 0) {
    return int(std::ranges::count_if(graph.operations, [&](const Operation &o) { return o.kernel == kernel && o.shape.relu == relu; }));
}

}  // namespace

TEST_CASE("a convolution and its ReLU become one call where a tuned entry takes it") {
    // The first convolution has 3 input channels, which the menu's tuned entry refuses.
    Graph graph = training_graph(conv_relu + ", " + conv_relu);
    const int output = graph.operations[3].outputs[0];
    REQUIRE(graph.operations[3].kernel == "relu_fwd");
    const std::vector<Fusion> fusions = fuse(graph, x86_avx2(), tuned_menu);
    REQUIRE(fusions.size() == 3);  // the third is of the loss, whose 3 classes that entry refuses as well
    CHECK_FALSE(fusions[0].taken);
    CHECK(fusions[0].line == "conv2d_fwd of conv2d and relu_fwd of conv2d stay apart: tuned: 3 channels");
    CHECK(fusions[1].taken);
    CHECK(fusions[1].line == "conv2d_fwd of conv2d_1 and relu_fwd of conv2d_1 are one call: tuned");
    CHECK(count(graph, "relu_fwd") == 1);
    CHECK(count(graph, "conv2d_fwd", 1) == 1);
    REQUIRE(graph.operations[2].shape.relu == 1);
    CHECK(graph.operations[2].outputs[0] == output);
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
    REQUIRE(fused != graph.operations.end());
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

TEST_CASE("batch norm, pool and dropout are one call forward, batch norm and pool two backward") {
    Graph graph = training_graph(conv_relu + ", " + batch_norm + ", " + pool + ", " + dropout);
    const Operation normalise = find(graph, "batch_norm_fwd"), pooling = find(graph, "max_pool2d_fwd"), drop = find(graph, "dropout");
    const Operation stats = find(graph, "batch_norm_bwd_stats"), relu = find(graph, "relu_bwd"), unpool = find(graph, "max_pool2d_bwd");
    const std::vector<Fusion> fusions = fuse(graph, x86_avx2(), tuned_menu);
    CHECK(lines(fusions, true) ==
          std::vector<std::string>{
              "batch_norm_bwd_data of batch_normalization and relu_bwd of conv2d are one call: tuned",
              "max_pool2d_bwd of max_pooling2d, batch_norm_bwd_stats and batch_norm_bwd_data of batch_normalization are two calls: "
              "tuned, tuned",
              "batch_norm_fwd of batch_normalization and max_pool2d_fwd of max_pooling2d are one call: tuned",
              "batch_norm_pool_fwd of batch_normalization and dropout of dropout are one call: tuned",
              "conv2d_bwd_data of dense and dropout of dropout are one call: tuned",
          });
    for (const char *gone : {"batch_norm_fwd", "max_pool2d_fwd", "max_pool2d_bwd", "batch_norm_bwd_stats", "relu_bwd"})
        CHECK(count(graph, gone) == 0);
    for (int value : {normalise.outputs[0], pooling.outputs[0], unpool.outputs[0]}) CHECK_FALSE(is_used(graph, value));

    const int input = normalise.inputs[0], scale = normalise.inputs[1], shift = normalise.inputs[2], step = drop.inputs[1];
    const Operation &forward = find(graph, "batch_norm_pool_dropout_fwd");
    CHECK(forward.inputs == std::vector<int>{input, scale, shift, step});
    CHECK(forward.outputs == drop.outputs);

    const int d_pooled = find(graph, "conv2d_dropout_bwd_data").outputs[0], mean = stats.inputs[2], inv_std = stats.inputs[3];
    const Operation &backward_stats = find(graph, "batch_norm_pool_bwd_stats");
    CHECK(backward_stats.inputs == std::vector<int>{d_pooled, input, scale, shift, mean, inv_std});
    CHECK(backward_stats.outputs == stats.outputs);

    const Operation &data = find(graph, "batch_norm_pool_bwd_data");
    const int gamma = data.inputs[4], d_gamma = stats.outputs[0], d_beta = stats.outputs[1];
    CHECK(data.inputs == std::vector<int>{d_pooled, input, scale, shift, gamma, mean, inv_std, d_gamma, d_beta});
    CHECK(graph.values[gamma].name == "batch_normalization/gamma");
    CHECK(data.outputs == relu.outputs);
    CHECK(data.shape.relu == 1);
    for (const Operation *fused : {&forward, &backward_stats, &data}) CHECK(fused->shape.out_h == pooling.shape.out_h);
}

TEST_CASE("batch norm and pool need no dropout") {
    SECTION("in training") {
        Graph graph = training_graph(conv_relu + ", " + batch_norm + ", " + pool);
        fuse(graph, x86_avx2(), tuned_menu);
        for (const char *fused : {"batch_norm_pool_fwd", "batch_norm_pool_bwd_stats"}) CHECK(count(graph, fused) == 1);
        CHECK(count(graph, "batch_norm_pool_bwd_data", 1) == 1);
    }
    SECTION("in inference") {
        Graph graph = inference_graph(conv_relu + ", " + batch_norm + ", " + pool + ", " + dropout);
        fuse(graph, x86_avx2(), tuned_menu);
        CHECK(count(graph, "batch_norm_pool_fwd") == 1);
        CHECK(count(graph, "batch_norm_fwd") + count(graph, "max_pool2d_fwd") == 0);
    }
}

TEST_CASE("the first layer's weights take the gradient of its outputs from the pass that makes it") {
    const std::string block = conv_relu + ", " + batch_norm + ", " + pool;
    Graph graph = training_graph(block + ", " + block);
    const Operation forward = find(graph, "conv2d_fwd"), normalise = find(graph, "batch_norm_fwd"), pooling = find(graph, "max_pool2d_fwd");
    const Operation weights = *std::ranges::find(graph.operations, forward.inputs[0],
                                                 [](const Operation &o) { return o.kernel == "conv2d_bwd_weights" ? o.inputs[0] : -1; });
    fuse(graph, x86_avx2());
    CHECK(count(graph, "batch_norm_pool_bwd_data", 1) == 1);  // the second layer's, which its data gradient reads as well
    CHECK(count(graph, "conv2d_bwd_weights") == 2);           // of the second layer and the dense one

    const Operation &fused = find(graph, "conv2d_pool_bwd_weights");
    const Operation &stats = *std::ranges::find(graph.operations, normalise.inputs[0], [](const Operation &o) {
        return o.kernel == "batch_norm_pool_bwd_stats" ? o.inputs[1] : -1;
    });
    const int d_pooled = stats.inputs[0], mean = stats.inputs[4], inv_std = stats.inputs[5], gamma = fused.inputs[5];
    const int convolution = normalise.inputs[0], scale = normalise.inputs[1], shift = normalise.inputs[2];
    const int d_gamma = stats.outputs[0], d_beta = stats.outputs[1];
    CHECK(fused.inputs == std::vector<int>{forward.inputs[0], d_pooled, convolution, scale, shift, gamma, mean, inv_std, d_gamma, d_beta});
    CHECK(graph.values[gamma].name == "batch_normalization/gamma");
    CHECK(fused.outputs == weights.outputs);
    CHECK(fused.shape.relu == 1);
    CHECK(fused.shape.pool() == pooling.shape);
    CHECK_FALSE(is_used(graph, weights.inputs[1]));
}

TEST_CASE("in inference a batch norm is folded into the convolution after it, unless that is padded") {
    const std::string four = R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "activation": "relu"})";
    Graph graph = inference_graph(four + ", " + batch_norm + ", " + four);
    const Operation normalise = find(graph, "batch_norm_fwd");
    fuse(graph, x86_avx2(), tuned_menu);
    CHECK(count(graph, "batch_norm_fwd") == 0);
    const Operation &fold = find(graph, "conv2d_fold");
    CHECK(graph.values[fold.inputs[0]].name == "conv2d_1/kernel");
    CHECK(graph.values[fold.inputs[1]].name == "conv2d_1/bias");
    CHECK(fold.inputs[2] == normalise.inputs[1]);
    CHECK(fold.inputs[3] == normalise.inputs[2]);
    const Operation &weights = *std::ranges::find(graph.operations, std::vector{fold.outputs[0]}, &Operation::inputs);
    CHECK(weights.kernel == "winograd_weights");
    const auto convolution = std::ranges::find(graph.operations, normalise.inputs[0], [](const Operation &o) { return o.inputs[0]; });
    REQUIRE(convolution != graph.operations.end());
    CHECK(convolution->kernel == "conv2d_fwd");
    CHECK(convolution->inputs == std::vector<int>{normalise.inputs[0], weights.outputs[0], fold.outputs[1]});

    for (Graph apart : {inference_graph(four + ", " + batch_norm + ", " + conv_relu)}) {
        fuse(apart, x86_avx2(), tuned_menu);
        CHECK(count(apart, "batch_norm_fwd") == 1);
        CHECK(count(apart, "conv2d_fold") == 0);
    }
}

TEST_CASE("in training a batch norm is folded where weights are few, and its gradient follows from the folded weights'") {
    const std::string four = R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "activation": "relu"})";
    Graph graph = training_graph(four + ", " + batch_norm + ", " + four);
    const Operation normalise = find(graph, "batch_norm_fwd"), stats = find(graph, "batch_norm_bwd_stats");
    const std::vector<Fusion> fusions = fuse(graph, x86_avx2(), tuned_menu);
    CHECK(lines(fusions, true).back() ==
          "batch_norm_fwd of batch_normalization and conv2d_fwd of conv2d_1 take folded weights, forward and backward");
    for (const char *gone : {"batch_norm_fwd", "batch_norm_bwd_stats"}) CHECK(count(graph, gone) == 0);
    CHECK_FALSE(is_used(graph, normalise.outputs[0]));

    const Operation &fold = find(graph, "conv2d_fold"), &fold_backward = find(graph, "conv2d_fold_bwd");
    CHECK(fold.inputs[2] == normalise.inputs[1]);
    CHECK(fold.inputs[3] == normalise.inputs[2]);
    const std::vector<int> readers = graph.readers(normalise.inputs[0]);  // the statistics, the convolution and two gradients
    REQUIRE(readers.size() == 4);
    const Operation &forward = graph.operations[readers[1]], &backward_weights = graph.operations[readers[2]];
    CHECK(forward.inputs == std::vector<int>{normalise.inputs[0], fold.outputs[0], fold.outputs[1]});
    CHECK(backward_weights.kernel == "conv2d_bwd_weights");
    CHECK(fold_backward.inputs == std::vector<int>{fold.inputs[0], fold.inputs[2], fold.inputs[3], stats.inputs[2], stats.inputs[3],
                                                   backward_weights.outputs[0], backward_weights.outputs[1]});
    CHECK(graph.values[fold_backward.outputs[0]].name == "d conv2d_1/kernel");
    CHECK(fold_backward.outputs[1] == stats.outputs[0]);
    CHECK(fold_backward.outputs[2] == stats.outputs[1]);
    CHECK(&backward_weights < &fold_backward);

    const std::string many = R"({"type": "conv2d", "filters": 64, "kernel_size": 3, "activation": "relu"})";
    Graph apart = training_graph(four + ", " + batch_norm + ", " + many);
    const std::vector<std::string> refused = lines(fuse(apart, x86_avx2(), tuned_menu), false);
    CHECK(std::ranges::count(refused, "batch_norm_fwd of batch_normalization and conv2d_fwd of conv2d_1 stay apart: the weights are many "
                                      "beside the input") == 1);
    CHECK(count(apart, "batch_norm_bwd_stats") == 1);
}

TEST_CASE("in inference a convolution normalises and pools what it computes") {
    Graph graph = inference_graph(conv_relu + ", " + conv_relu + ", " + batch_norm + ", " + pool);
    const Operation normalise = find(graph, "batch_norm_fwd"), pooling = find(graph, "max_pool2d_fwd");
    fuse(graph, x86_avx2(), tuned_menu);
    const Operation &fused = find(graph, "conv2d_pool_fwd");
    REQUIRE(fused.inputs.size() == 5);
    CHECK(fused.inputs[3] == normalise.inputs[1]);
    CHECK(fused.inputs[4] == normalise.inputs[2]);
    CHECK(fused.outputs == pooling.outputs);
    CHECK(fused.shape.relu == 1);
    Shape pool_shape = pooling.shape;
    CHECK(fused.shape.pool() == pool_shape);
    CHECK_FALSE(is_used(graph, normalise.inputs[0]));

    Graph training = training_graph(conv_relu + ", " + conv_relu + ", " + batch_norm + ", " + pool);
    fuse(training, x86_avx2(), tuned_menu);
    CHECK(count(training, "conv2d_pool_fwd", 1) == 0);
}

TEST_CASE("weights are transformed once where they stay the same and tiles take them") {
    const Model model = cifar10();
    const auto tiles = [](Graph graph, const PlanOptions &options) {
        fuse(graph, x86_avx2(), options);
        std::vector<int> found;
        for (const Operation &operation : graph.operations)
            if (operation.kernel == "winograd_weights") found.push_back(operation.shape.tile);
        return found;
    };
    const Slabs slabs = lay_out_slabs(model);
    CHECK(tiles(lower_inference(model, slabs), {}) == std::vector<int>{4, 4, 4, 2});
    // A single image has too few tiles of 4x4 in the late layers, and too few of 2x2 in the last.
    CHECK(tiles(lower_inference(model, slabs, 1), {}) == std::vector<int>{4, 4, 2});
    CHECK(tiles(lower_training(model, slabs), {}).empty());
    CHECK(tiles(lower_inference(model, slabs), {.sets = {}, .without = {"winograd"}}).empty());
    CHECK(tiles(lower_inference(model, slabs), {.sets = {}, .without = {"winograd_f4"}}) == std::vector<int>{2, 2, 2, 2});
}

TEST_CASE("a dropout goes with the convolution before it, its gradient with that of the one after it") {
    const std::string linear = R"({"type": "conv2d", "filters": 4, "kernel_size": 3})";
    Graph graph = training_graph(linear + ", " + linear + ", " + dropout);
    const Operation drop = find(graph, "dropout"), backward = find(graph, "conv2d_bwd_data");
    fuse(graph, x86_avx2(), tuned_menu);
    CHECK(count(graph, "dropout") == 0);
    const Operation &fused = find(graph, "conv2d_dropout_fwd"), &fused_backward = find(graph, "conv2d_dropout_bwd_data");
    CHECK(fused.inputs.back() == drop.inputs[1]);
    CHECK(fused.outputs == drop.outputs);
    CHECK(fused_backward.inputs == std::vector<int>{backward.inputs[0], backward.inputs[1], drop.inputs[1]});
    CHECK_FALSE(is_used(graph, backward.outputs[0]));
}

TEST_CASE("a ReLU before that dropout is masked by what the dropout made, and what it wrote itself is not kept") {
    Graph graph = training_graph(conv_relu + ", " + conv_relu + ", " + dropout);
    const Operation drop = find(graph, "dropout"), backward = find(graph, "conv2d_bwd_data"), relu = find(graph, "relu_bwd");
    const std::vector<Fusion> fusions = fuse(graph, x86_avx2(), tuned_menu);
    CHECK(lines(fusions, true) == std::vector<std::string>{
                                      "conv2d_fwd of conv2d_1 and relu_fwd of conv2d_1 are one call: tuned",
                                      "conv2d_bwd_data of dense, dropout of dropout and relu_bwd of conv2d_1 are one call: tuned",
                                      "conv2d_fwd of conv2d_1 and dropout of dropout are one call: tuned",
                                  });
    const Operation &fused = find(graph, "conv2d_relu_dropout_bwd_data");
    CHECK(fused.inputs == std::vector<int>{backward.inputs[0], backward.inputs[1], drop.outputs[0], drop.inputs[1]});
    CHECK(fused.outputs == relu.outputs);
    CHECK(count(graph, "conv2d_dropout_fwd", 1) == 1);
    CHECK_FALSE(is_used(graph, drop.inputs[0]));
    CHECK(count(graph, "relu_bwd") == 1);  // the first convolution's
}

TEST_CASE("the loss and its gradient are one call where a device trains, with the logits where a block makes all classes") {
    struct Expected {
        const char *set;
        int classes, with_logits, together;
    };
    for (const Expected &expected : {Expected{"cuda", 10, 1, 0}, {"cuda", 100, 0, 1}, {"x86_avx2", 10, 0, 0}}) {
        CAPTURE(expected.set, expected.classes);
        const Model model = make_model(
            fmt::format(R"({{"type": "flatten"}}, {{"type": "dense", "units": {}, "activation": "softmax"}})", expected.classes));
        Graph training = lower_training(model, lay_out_slabs(model));
        const Operation logits = find(training, "conv2d_fwd"), loss = find(training, "softmax_cross_entropy_fwd"),
                        gradient = find(training, "softmax_cross_entropy_bwd");
        fuse(training, select_sets({expected.set}).front(), menu);
        CHECK(count(training, "conv2d_softmax_cross_entropy") == expected.with_logits);
        CHECK(count(training, "softmax_cross_entropy") == expected.together);
        CHECK(count(training, "softmax_cross_entropy_bwd") == 1 - expected.with_logits - expected.together);
        if (expected.with_logits + expected.together == 0) continue;
        const Operation &fused = find(training, expected.with_logits ? "conv2d_softmax_cross_entropy" : "softmax_cross_entropy");
        std::vector<int> inputs = expected.with_logits ? logits.inputs : logits.outputs;
        inputs.insert(inputs.end(), {loss.inputs[1], loss.inputs[2], gradient.inputs[3]});
        CHECK(fused.inputs == inputs);
        CHECK(fused.outputs == std::vector<int>{loss.outputs[0], loss.outputs[1], loss.outputs[2], gradient.outputs[0]});
    }
}

TEST_CASE("where a device trains, a batch norm of few pixels makes its statistics in the pass that wants them, forward and backward") {
    const Model model = cifar10();
    for (const auto &[set, together] : {std::pair{"cuda", 1}, {"x86_avx2", 0}}) {
        CAPTURE(set);
        Graph graph = lower_training(model, lay_out_slabs(model));
        std::vector<Operation> stats;
        for (const Operation &operation : graph.operations)
            if (operation.kernel == "batch_norm_stats") stats.push_back(operation);
        REQUIRE(stats.size() == 5);  // the last two of 4x4 and 2x2 pixels
        fuse(graph, select_sets({set}).front(), menu);
        for (const char *kernel : {"batch_norm_stats_fwd", "batch_norm_stats_pool_dropout_fwd"}) CHECK(count(graph, kernel) == together);
        for (const char *kernel : {"batch_norm_bwd", "batch_norm_pool_bwd"}) CHECK(count(graph, kernel, 1) == together);
        CHECK(count(graph, "batch_norm_stats") == 5 - 2 * together);
        int passes = 0;
        for (const char *pass : {"batch_norm_bwd_data", "batch_norm_pool_bwd_data", "conv2d_pool_bwd_weights"})
            passes += count(graph, pass, 1);
        CHECK(passes == 5 - 2 * together);
        if (!together) continue;

        const Operation &pooled = find(graph, "batch_norm_stats_pool_dropout_fwd"), &backward = find(graph, "batch_norm_pool_bwd");
        CHECK(std::vector(pooled.inputs.begin(), pooled.inputs.end() - 1) == stats[4].inputs);
        CHECK(graph.values[pooled.inputs.back()].name == "step");
        CHECK(std::vector(pooled.outputs.begin(), pooled.outputs.end() - 1) == stats[4].outputs);
        CHECK(graph.readers(pooled.outputs.back()).size() == 2);  // the dense layer, forward and for its weights
        CHECK(pooled.shape.out_h == 1);
        CHECK(pooled.shape.epsilon == stats[4].shape.epsilon);
        CHECK(pooled.shape.momentum == stats[4].shape.momentum);

        const int mean = stats[4].outputs[0], inv_std = stats[4].outputs[1], scale = stats[4].outputs[2], shift = stats[4].outputs[3];
        const int gamma = stats[4].inputs[1], d_output = find(graph, "conv2d_dropout_bwd_data").outputs[0];
        CHECK(backward.inputs == std::vector<int>{d_output, stats[4].inputs[0], scale, shift, gamma, mean, inv_std});
        CHECK(graph.values[backward.outputs[0]].name == "d batch_normalization_4/gamma");
        CHECK(graph.values[backward.outputs[1]].name == "d batch_normalization_4/beta");
    }
}

TEST_CASE("what a tuned entry refuses stays apart, forward and backward") {
    const std::string three = R"({"type": "conv2d", "filters": 3, "kernel_size": 3}, )";
    Graph graph = training_graph(three + batch_norm + ", " + pool + ", " + dropout);
    const std::vector<Fusion> fusions = fuse(graph, x86_avx2(), tuned_menu);
    CHECK(lines(fusions, false) ==
          std::vector<std::string>{
              "max_pool2d_bwd of max_pooling2d, batch_norm_bwd_stats and batch_norm_bwd_data of batch_normalization stay apart: "
              "tuned: 3 channels",
              "conv2d_bwd_data of dense and dropout of dropout stay apart: tuned: 3 channels",
              "softmax_cross_entropy_fwd of loss and softmax_cross_entropy_bwd of loss stay apart: tuned: 3 channels",
              "batch_norm_stats of batch_normalization and batch_norm_fwd of batch_normalization stay apart: no tuned entry",
              "batch_norm_bwd_stats of batch_normalization and batch_norm_bwd_data of batch_normalization stay apart: no tuned entry",
          });
    for (const char *part : {"batch_norm_fwd", "max_pool2d_fwd", "max_pool2d_bwd", "batch_norm_bwd_stats", "batch_norm_bwd_data"})
        CHECK(count(graph, part) == 1);
    CHECK(count(graph, "dropout") == 2);

    // The menu itself: a pool whose windows overlap has no tuned gradient.
    Graph overlapping = training_graph(conv_relu + ", " + batch_norm + R"(, {"type": "max_pooling2d", "pool_size": 3, "strides": 2})");
    CHECK(lines(fuse(overlapping, x86_avx2()), false) ==
          std::vector<std::string>{
              "max_pool2d_bwd of max_pooling2d, batch_norm_bwd_stats and batch_norm_bwd_data of batch_normalization stay apart: "
              "windows: the windows overlap; window_vectors: the set runs on the host; vectors: the set runs on the host; "
              "autoscheduled: the set has no autoscheduler",
              "softmax_cross_entropy_fwd of loss and softmax_cross_entropy_bwd of loss stay apart: images: the set runs on the host",
              "batch_norm_stats of batch_normalization and batch_norm_fwd of batch_normalization stay apart: channels: the set runs on the "
              "host",
              "batch_norm_bwd_stats of batch_normalization and batch_norm_bwd_data of batch_normalization stay apart: channels: the set "
              "runs on the host",
          });
}

TEST_CASE("a batch norm that others read as well stays apart from the pool") {
    const std::string branching =
        R"({"name": "c", "type": "conv2d", "filters": 4, "kernel_size": 3}, {"name": "b", "type": "batch_normalization"},
        {"name": "p", "type": "max_pooling2d", "pool_size": 1}, {"type": "add", "inputs": ["b", "p"]})";
    for (Graph graph : {training_graph(branching), inference_graph(branching)}) {
        fuse(graph, x86_avx2(), tuned_menu);
        CHECK(count(graph, "batch_norm_fwd") == 1);
        CHECK(count(graph, "max_pool2d_fwd") == 1);
        CHECK(count(graph, "max_pool2d_bwd") == count(graph, "batch_norm_bwd_data"));
    }
}

TEST_CASE("the gradient of a pool of a sum is not that of one batch norm") {
    // The image needs no gradient: the pool's gradient goes to the batch norm alone, whose output is not what was pooled.
    Graph graph =
        training_graph(R"({"name": "c", "type": "conv2d", "filters": 3, "kernel_size": 1}, {"name": "b", "type": "batch_normalization"},
        {"type": "add", "inputs": ["b", "input"]}, )" +
                       pool);
    for (Operation &operation : graph.operations) operation.shape.in_c = 4;  // which the menu does not refuse
    fuse(graph, x86_avx2(), tuned_menu);
    CHECK(count(graph, "max_pool2d_bwd") == 1);
}
