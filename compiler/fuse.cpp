#include "compiler/fuse.h"

#include "compiler/planner.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

namespace halcyon {
namespace {

/// Whether the menu has a tuned entry for the kernel; `line` becomes the entry's name or what every tuned entry said.
Fusion find_tuned(const std::string &kernel, const Shape &shape, const Set &set, const PlanOptions &options) {
    std::vector<std::string> refusals;
    for (const Entry &entry : options.menu(kernel)) {
        if (is_reference(entry.name)) continue;
        const std::string reason = refusal(entry, shape, set, options);
        if (reason.empty()) return {true, entry.name};
        refusals.push_back(entry.name + ": " + reason);
    }
    if (refusals.empty()) return {false, "no tuned entry"};
    return {false, fmt::format("{}", fmt::join(refusals, "; "))};
}

/// What of a convolution's shape its weights have.
Shape weights_shape(const Shape &convolution) {
    Shape shape;
    shape.in_c = convolution.in_c, shape.out_c = convolution.out_c;
    shape.in_h = shape.kernel_h = convolution.kernel_h, shape.in_w = shape.kernel_w = convolution.kernel_w;
    shape.tile = convolution.tile;
    return shape;
}

std::string call_of(const Operation &operation) { return fmt::format("{} of {}", operation.kernel, operation.layer); }

/// Makes the call at `at` and the `others`, in their order, the one call `merged`, if a tuned entry does it.
Fusion merge(Graph &graph, int at, const std::vector<int> &others, Operation merged, const Set &set, const PlanOptions &options) {
    const Fusion tuned = find_tuned(merged.kernel, merged.shape, set, options);
    std::string all = call_of(graph.operations[at]);
    for (const int other : others) all += (other == others.back() ? " and " : ", ") + call_of(graph.operations[other]);
    if (!tuned.taken) return {false, fmt::format("{} stay apart: {}", all, tuned.line)};
    graph.operations[at] = std::move(merged);
    for (auto other = others.rbegin(); other != others.rend(); ++other) graph.operations.erase(graph.operations.begin() + *other);
    return {true, fmt::format("{} are one call: {}", all, tuned.line)};
}

/// Merges the ReLU call at `relu` into the call at `at`, the only one to write what the ReLU reads.
Fusion merge_relu(Graph &graph, int at, int relu, const Set &set, const PlanOptions &options) {
    Operation merged = graph.operations[at];
    merged.shape.relu = 1;
    merged.outputs = graph.operations[relu].outputs;
    return merge(graph, at, {relu}, std::move(merged), set, options);
}

/// The one operation that reads what operation `at` writes first, if it runs `kernel`.
std::optional<int> only_reader(const Graph &graph, int at, std::string_view kernel) {
    const std::vector<int> readers = graph.readers(graph.operations[at].outputs[0]);
    if (readers.size() != 1 || graph.operations[readers[0]].kernel != kernel) return {};
    return readers[0];
}

/// A convolution's epilogue clamps its sums while they are in registers.
std::optional<Fusion> convolution_with_relu(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    if (graph.operations[at].kernel != "conv2d_fwd") return {};
    const std::optional<int> relu = only_reader(graph, at, "relu_fwd");
    if (!relu) return {};
    return merge_relu(graph, at, *relu, set, options);
}

/// The gradient of a batch norm that normalises a ReLU's output reads that output anyway, and can mask by it.
std::optional<Fusion> batch_norm_gradient_with_relu(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    const Operation &batch_norm = graph.operations[at];
    if (batch_norm.kernel != "batch_norm_bwd_data") return {};
    const std::optional<int> relu = only_reader(graph, at, "relu_bwd");
    constexpr int input_of_batch_norm = 1, output_of_relu = 1;  // places among the kernels' inputs
    if (!relu || graph.operations[*relu].inputs[output_of_relu] != batch_norm.inputs[input_of_batch_norm]) return {};
    return merge_relu(graph, at, *relu, set, options);
}

/// The two operations that read what the one at `at` writes, if they are a batch norm's whole gradient.
struct BatchNormGradient {
    int stats, data;
};
std::optional<BatchNormGradient> batch_norm_gradient_of(const Graph &graph, int at) {
    const std::vector<int> readers = graph.readers(graph.operations[at].outputs[0]);
    if (readers.size() != 2 || graph.operations[readers[0]].kernel != "batch_norm_bwd_stats" ||
        graph.operations[readers[1]].kernel != "batch_norm_bwd_data")
        return {};
    return BatchNormGradient{readers[0], readers[1]};
}

/// `gradient`, a call of a batch norm's gradient, for the gradient of what the pool made of its output.
Operation through_pool(Operation gradient, std::string kernel, const Operation &pool, const Operation &batch_norm) {
    constexpr int d_output = 0, after_input = 2, scale = 1, shift = 2;  // places among the kernels' inputs
    const int relu = gradient.shape.relu;
    gradient.kernel = std::move(kernel);
    gradient.shape = pool.shape;
    gradient.shape.relu = relu;
    gradient.inputs[d_output] = pool.inputs[d_output];
    gradient.inputs.insert(gradient.inputs.begin() + after_input, {batch_norm.inputs[scale], batch_norm.inputs[shift]});
    return gradient;
}

/// Both halves of a batch norm's gradient make the choice of the pool after it themselves, from the batch norm's own input: the gradient of
/// the pool's input is never written, the normalised activation never read.
std::optional<Fusion> pool_gradient_with_batch_norm(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    const Operation pool = graph.operations[at];
    if (pool.kernel != "max_pool2d_bwd") return {};
    const std::optional<BatchNormGradient> gradient = batch_norm_gradient_of(graph, at);
    constexpr int input_of_pool = 1;  // place among the kernel's inputs
    const auto batch_norm = std::ranges::find(graph.operations, std::vector{pool.inputs[input_of_pool]}, &Operation::outputs);
    if (!gradient || batch_norm == graph.operations.end() || batch_norm->kernel != "batch_norm_fwd") return {};

    const Operation stats = through_pool(graph.operations[gradient->stats], "batch_norm_pool_bwd_stats", pool, *batch_norm),
                    data = through_pool(graph.operations[gradient->data], "batch_norm_pool_bwd_data", pool, *batch_norm);
    const std::string all = fmt::format("{}, batch_norm_bwd_stats and batch_norm_bwd_data of {}", call_of(pool), stats.layer);
    const Fusion tuned_stats = find_tuned(stats.kernel, stats.shape, set, options),
                 tuned_data = find_tuned(data.kernel, data.shape, set, options);
    for (const Fusion &tuned : {tuned_stats, tuned_data})
        if (!tuned.taken) return Fusion{false, fmt::format("{} stay apart: {}", all, tuned.line)};
    graph.operations[at] = stats;
    graph.operations[gradient->data] = data;
    graph.operations.erase(graph.operations.begin() + gradient->stats);
    return Fusion{true, fmt::format("{} are two calls: {}, {}", all, tuned_stats.line, tuned_data.line)};
}

/// A pool normalises what it compares.
std::optional<Fusion> batch_norm_with_pool(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    if (graph.operations[at].kernel != "batch_norm_fwd") return {};
    const std::optional<int> pool = only_reader(graph, at, "max_pool2d_fwd");
    if (!pool) return {};
    Operation merged = graph.operations[at];
    merged.kernel = "batch_norm_pool_fwd";
    merged.shape = graph.operations[*pool].shape;
    merged.outputs = graph.operations[*pool].outputs;
    return merge(graph, at, {*pool}, std::move(merged), set, options);
}

/// Merges the dropout that alone reads what a call of `kernel` writes into that call, which becomes one of `merged_kernel`.
std::optional<Fusion> dropout_behind(const char *kernel, const char *merged_kernel, Graph &graph, int at, const Set &set,
                                     const PlanOptions &options) {
    if (graph.operations[at].kernel != kernel) return {};
    const std::optional<int> reader = only_reader(graph, at, "dropout");
    if (!reader) return {};
    const Operation &dropout = graph.operations[*reader];
    Operation merged = graph.operations[at];
    merged.kernel = merged_kernel;
    merged.shape.dropout = dropout.shape.dropout;
    merged.inputs.push_back(dropout.inputs[1]);
    merged.outputs = dropout.outputs;
    return merge(graph, at, {*reader}, std::move(merged), set, options);
}

/// Dropout decides on the pool's output while it is in registers.
std::optional<Fusion> pool_with_dropout(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    return dropout_behind("batch_norm_pool_fwd", "batch_norm_pool_dropout_fwd", graph, at, set, options);
}

/// The same for a convolution's output.
std::optional<Fusion> convolution_with_dropout(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    return dropout_behind("conv2d_fwd", "conv2d_dropout_fwd", graph, at, set, options);
}

/// The gradient that a convolution gives to a dropout before it.
std::optional<Fusion> data_gradient_with_dropout(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    return dropout_behind("conv2d_bwd_data", "conv2d_dropout_bwd_data", graph, at, set, options);
}

/// Where a ReLU lies before that dropout: what the dropout made is positive where the ReLU's output was and was kept, so that the gradient
/// needs no random numbers and nothing else reads what the ReLU wrote.
std::optional<Fusion> data_gradient_with_dropout_and_relu(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    if (graph.operations[at].kernel != "conv2d_bwd_data") return {};
    const std::optional<int> dropout = only_reader(graph, at, "dropout");
    const std::optional<int> relu = dropout ? only_reader(graph, *dropout, "relu_bwd") : std::nullopt;
    if (!relu) return {};
    const Operation backward = graph.operations[*dropout], mask = graph.operations[*relu];
    constexpr int output_of_relu = 1, step = 1;  // places among the kernels' inputs
    const auto forward =
        std::ranges::find(graph.operations, std::vector{mask.inputs[output_of_relu], backward.inputs[step]}, &Operation::inputs);
    if (forward == graph.operations.end() || forward->kernel != "dropout" || forward->shape != backward.shape) return {};

    Operation merged = graph.operations[at];
    merged.kernel = "conv2d_relu_dropout_bwd_data";
    merged.shape.dropout = backward.shape.dropout;
    merged.inputs.insert(merged.inputs.end(), {forward->outputs[0], backward.inputs[step]});
    merged.outputs = mask.outputs;
    return merge(graph, at, {*dropout, *relu}, std::move(merged), set, options);
}

/// In training the loss' gradient takes the probabilities from registers.
std::optional<Fusion> loss_with_gradient(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    if (graph.operations[at].kernel != "softmax_cross_entropy_fwd") return {};
    const std::optional<int> gradient = only_reader(graph, at, "softmax_cross_entropy_bwd");
    if (!gradient) return {};
    const Operation &backward = graph.operations[*gradient];
    Operation merged = graph.operations[at];
    merged.kernel = "softmax_cross_entropy";
    merged.outputs.push_back(backward.outputs[0]);
    return merge(graph, at, {*gradient}, std::move(merged), set, options);
}

/// The loss takes the logits from the blocks that make them.
std::optional<Fusion> convolution_with_loss(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    const Operation &convolution = graph.operations[at];
    if (convolution.kernel != "conv2d_fwd" || convolution.shape.relu) return {};
    const std::optional<int> reader = only_reader(graph, at, "softmax_cross_entropy");
    if (!reader) return {};
    const Operation &loss = graph.operations[*reader];
    Operation merged = convolution;
    merged.kernel = "conv2d_softmax_cross_entropy";
    merged.inputs.insert(merged.inputs.end(), loss.inputs.begin() + 1, loss.inputs.end());
    merged.outputs = loss.outputs;
    return merge(graph, at, {*reader}, std::move(merged), set, options);
}

/// Where a batch norm's pixels are few, one call makes its statistics and takes them to its pass, which comes next.
std::optional<Fusion> statistics_with_pass(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    const Operation &stats = graph.operations[at];
    if (stats.kernel != "batch_norm_stats" || at + 1 == int(graph.operations.size())) return {};
    const Operation &pass = graph.operations[at + 1];
    const bool normalises = pass.kernel == "batch_norm_fwd", pools = pass.kernel == "batch_norm_pool_dropout_fwd";
    constexpr int scale = 2, shift = 3;  // places among the statistics
    const std::array wanted = {stats.inputs[0], stats.outputs[scale], stats.outputs[shift]};
    if ((!normalises && !pools) || !std::ranges::equal(wanted, std::span(pass.inputs).first(wanted.size()))) return {};

    Operation merged = stats;
    merged.kernel = normalises ? "batch_norm_stats_fwd" : "batch_norm_stats_pool_dropout_fwd";
    merged.shape = pass.shape;
    merged.shape.epsilon = stats.shape.epsilon, merged.shape.momentum = stats.shape.momentum;
    merged.inputs.insert(merged.inputs.end(), pass.inputs.begin() + int(wanted.size()), pass.inputs.end());
    merged.outputs.insert(merged.outputs.end(), pass.outputs.begin(), pass.outputs.end());
    return merge(graph, at, {at + 1}, std::move(merged), set, options);
}

/// The same of its gradients.
std::optional<Fusion> gradient_with_pass(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    const Operation &stats = graph.operations[at];
    const bool pools = stats.kernel == "batch_norm_pool_bwd_stats";
    if ((stats.kernel != "batch_norm_bwd_stats" && !pools) || at + 1 == int(graph.operations.size())) return {};
    const Operation &pass = graph.operations[at + 1];
    if (pass.kernel != (pools ? "batch_norm_pool_bwd_data" : "batch_norm_bwd_data") ||
        !std::ranges::equal(stats.outputs, std::span(pass.inputs).last(stats.outputs.size())))
        return {};

    Operation merged = pass;
    merged.kernel = pools ? "batch_norm_pool_bwd" : "batch_norm_bwd";
    merged.inputs.resize(pass.inputs.size() - stats.outputs.size());
    merged.outputs.insert(merged.outputs.begin(), stats.outputs.begin(), stats.outputs.end());
    return merge(graph, at, {at + 1}, std::move(merged), set, options);
}

/// In inference the convolution is read by nothing but the batch norm, whose scale and shift come from the weights: what it computes is
/// normalised and pooled in registers. The merged call stands where the pool stood, after those of the scale and the shift.
std::optional<Fusion> convolution_with_pool(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    if (graph.operations[at].kernel != "conv2d_fwd") return {};
    const std::optional<int> reader = only_reader(graph, at, "batch_norm_pool_fwd");
    if (!reader) return {};
    const Operation convolution = graph.operations[at], pool = graph.operations[*reader];
    Operation merged = convolution;
    merged.kernel = "conv2d_pool_fwd";
    merged.shape = convolution.shape.with_pool(pool.shape);
    merged.inputs.insert(merged.inputs.end(), pool.inputs.begin() + 1, pool.inputs.end());
    merged.outputs = pool.outputs;
    return merge(graph, *reader, {at}, std::move(merged), set, options);
}

/// The first layer's weights alone read the gradient of its outputs: it is made where they take it, and never written.
std::optional<Fusion> weights_gradient_with_pool(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    if (graph.operations[at].kernel != "batch_norm_pool_bwd_data") return {};
    const std::optional<int> reader = only_reader(graph, at, "conv2d_bwd_weights");
    if (!reader) return {};
    const Operation &gradient = graph.operations[at];
    Operation merged = graph.operations[*reader];
    merged.kernel = "conv2d_pool_bwd_weights";
    merged.shape = merged.shape.with_pool(gradient.shape);
    merged.shape.relu = gradient.shape.relu;
    merged.inputs.pop_back();
    merged.inputs.insert(merged.inputs.end(), gradient.inputs.begin(), gradient.inputs.end());
    return merge(graph, *reader, {at}, std::move(merged), set, options);
}

/// A new value that what depends on weights alone writes.
int add_derived_weight(Graph &graph, int like, const std::string &suffix, const std::vector<int> &extents) {
    Buffer value = graph.values[like];
    value.name += suffix;
    value.home = Home::arena_fixed;
    value.offset = 0;
    value.extents = extents;
    value.bytes = std::accumulate(extents.begin(), extents.end(), std::int64_t{4}, std::multiplies<>());
    graph.values.push_back(std::move(value));
    return int(graph.values.size()) - 1;
}

/// Without padding every output sums over whole windows: a convolution of scale * x + shift is one of x with other weights and another
/// bias.
std::optional<Fusion> batch_norm_into_convolution(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    const Operation batch_norm = graph.operations[at];
    if (batch_norm.kernel != "batch_norm_fwd") return {};
    const std::optional<int> reader = only_reader(graph, at, "conv2d_fwd");
    if (!reader || graph.operations[*reader].shape.padded()) return {};
    Operation &convolution = graph.operations[*reader];
    const std::string both = call_of(batch_norm) + " and " + call_of(convolution);

    Operation fold{
        .kernel = "conv2d_fold", .layer = convolution.layer, .shape = weights_shape(convolution.shape), .inputs = {}, .outputs = {}};
    const Fusion tuned = find_tuned(fold.kernel, fold.shape, set, options);
    if (!tuned.taken) return Fusion{false, fmt::format("{} stay apart: {}", both, tuned.line)};
    const int weights = convolution.inputs[1], bias = convolution.inputs[2], scale = batch_norm.inputs[1], shift = batch_norm.inputs[2];
    fold.inputs = {weights, bias, scale, shift};
    fold.outputs = {add_derived_weight(graph, weights, " folded", graph.values[weights].extents),
                    add_derived_weight(graph, bias, " folded", graph.values[bias].extents)};
    convolution.inputs = {batch_norm.inputs[0], fold.outputs[0], fold.outputs[1]};
    graph.operations[at] = std::move(fold);
    return Fusion{true, fmt::format("{} are one call with folded weights: {}", both, tuned.line)};
}

/// Whether a pass over the weights is small beside one over the input of, say, 16 images.
bool has_few_weights(const Shape &convolution) {
    const std::int64_t weights = std::int64_t{convolution.out_c} * convolution.in_c * convolution.kernel_h * convolution.kernel_w;
    return weights < std::int64_t{16} * convolution.in_h * convolution.in_w * convolution.in_c;
}

/// In training as well: forward as above; backward, the gradients of gamma and beta follow from that of the folded weights, instead of a
/// pass over activations. The normalised activation is never written.
std::optional<Fusion> batch_norm_into_trained_convolution(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    const Operation batch_norm = graph.operations[at];
    if (batch_norm.kernel != "batch_norm_fwd") return {};
    const std::vector<int> readers = graph.readers(batch_norm.outputs[0]);
    if (readers.size() != 2 || graph.operations[readers[0]].kernel != "conv2d_fwd" ||
        graph.operations[readers[1]].kernel != "conv2d_bwd_weights")
        return {};
    const Operation forward = graph.operations[readers[0]], backward_weights = graph.operations[readers[1]];
    const int weights = forward.inputs[1], bias = forward.inputs[2], d_output = backward_weights.inputs[1];
    const auto backward_data = std::ranges::find(graph.operations, std::vector{d_output, weights}, &Operation::inputs);
    if (forward.shape.padded() || backward_data == graph.operations.end()) return {};
    const std::optional<BatchNormGradient> gradient = batch_norm_gradient_of(graph, int(backward_data - graph.operations.begin()));
    if (!gradient) return {};
    const Operation stats = graph.operations[gradient->stats];

    const std::string both = fmt::format("{} and {}", call_of(batch_norm), call_of(forward));
    if (!has_few_weights(forward.shape)) return Fusion{false, fmt::format("{} stay apart: the weights are many beside the input", both)};
    Operation fold{.kernel = "conv2d_fold", .layer = forward.layer, .shape = weights_shape(forward.shape), .inputs = {}, .outputs = {}};
    Operation fold_backward{.kernel = "conv2d_fold_bwd", .layer = forward.layer, .shape = fold.shape, .inputs = {}, .outputs = {}};
    for (const Operation &operation : {fold, fold_backward})
        if (const Fusion tuned = find_tuned(operation.kernel, operation.shape, set, options); !tuned.taken)
            return Fusion{false, fmt::format("{} stay apart: {}", both, tuned.line)};

    const int input = batch_norm.inputs[0], scale = batch_norm.inputs[1], shift = batch_norm.inputs[2];
    const int mean = stats.inputs[2], inv_std = stats.inputs[3];
    const int d_weights = backward_weights.outputs[0], d_bias = backward_weights.outputs[1];
    const int d_folded = add_derived_weight(graph, d_weights, " folded", graph.values[d_weights].extents);
    fold.inputs = {weights, bias, scale, shift};
    fold.outputs = {add_derived_weight(graph, weights, " folded", graph.values[weights].extents),
                    add_derived_weight(graph, bias, " folded", graph.values[bias].extents)};
    fold_backward.inputs = {weights, scale, shift, mean, inv_std, d_folded, d_bias};
    fold_backward.outputs = {d_weights, stats.outputs[0], stats.outputs[1]};
    graph.operations[readers[0]].inputs = {input, fold.outputs[0], fold.outputs[1]};
    graph.operations[readers[1]].inputs[0] = input;
    graph.operations[readers[1]].outputs[0] = d_folded;
    graph.operations[at] = std::move(fold);
    graph.operations[gradient->stats] = std::move(fold_backward);
    return Fusion{true, fmt::format("{} take folded weights, forward and backward", both)};
}

/// Where no run changes the weights, they are transformed for a convolution in tiles once.
std::optional<Fusion> transform_weights(Graph &graph, int at, const Set &set, const PlanOptions &options) {
    const Operation &convolution = graph.operations[at];
    const bool forward = convolution.kernel == "conv2d_fwd" || convolution.kernel == "conv2d_pool_fwd";
    const Shape &s = convolution.shape;
    if (!graph.keeps_weights || !forward || s.tile > 0 || s.kernel_h != 3 || s.kernel_w != 3 || s.stride_h != 1 || s.stride_w != 1)
        return {};
    std::vector<std::string> refusals;
    for (const int tile : {4, 2}) {
        Operation tiled = convolution;
        tiled.shape.tile = tile;
        Operation weights{
            .kernel = "winograd_weights", .layer = tiled.layer, .shape = weights_shape(tiled.shape), .inputs = {}, .outputs = {}};
        const Fusion tuned = find_tuned(tiled.kernel, tiled.shape, set, options),
                     tuned_weights = find_tuned(weights.kernel, weights.shape, set, options);
        if (!tuned.taken || !tuned_weights.taken) {
            refusals.push_back(fmt::format("tiles of {0}x{0}: {1}", tile, tuned.taken ? tuned_weights.line : tuned.line));
            continue;
        }
        weights.inputs = {tiled.inputs[1]};
        weights.outputs = {add_derived_weight(graph, tiled.inputs[1], " in tiles", tiled.shape.weights())};
        tiled.inputs[1] = weights.outputs[0];
        const std::string line = fmt::format("{} takes its weights in tiles of {}x{}: {}", call_of(tiled), tile, tile, tuned.line);
        graph.operations[at] = std::move(tiled);
        graph.operations.insert(graph.operations.begin() + at, std::move(weights));
        return Fusion{true, line};
    }
    return Fusion{false, fmt::format("{} takes its weights as they are: {}", call_of(convolution), fmt::join(refusals, "; "))};
}

/// Tries to fuse the call at `at` with others. Nothing: it does not apply there.
using Rule = std::optional<Fusion> (*)(Graph &graph, int at, const Set &set, const PlanOptions &options);

// The pool's gradient comes before the pool: after it nothing reads the pool's input backward. So does a ReLU's gradient before the dropout
// of what the ReLU wrote. Weights go into tiles before a convolution takes its pool, for in tiles it takes windows that a direct one
// refuses. Statistics go into a pass that has taken all it can.
constexpr Rule rules[] = {
    convolution_with_relu,
    batch_norm_gradient_with_relu,
    pool_gradient_with_batch_norm,
    batch_norm_with_pool,
    pool_with_dropout,
    batch_norm_into_convolution,
    batch_norm_into_trained_convolution,
    transform_weights,
    convolution_with_pool,
    data_gradient_with_dropout_and_relu,
    data_gradient_with_dropout,
    convolution_with_dropout,
    loss_with_gradient,
    convolution_with_loss,
    statistics_with_pass,
    gradient_with_pass,
    weights_gradient_with_pool,
};

}  // namespace

std::vector<Fusion> fuse(Graph &graph, const Set &set, const PlanOptions &options) {
    std::vector<Fusion> fusions;
    for (const Rule rule : rules)
        for (int at = 0; at < int(graph.operations.size()); ++at)
            if (std::optional<Fusion> fusion = rule(graph, at, set, options)) fusions.push_back(std::move(*fusion));
    return fusions;
}

}  // namespace halcyon
