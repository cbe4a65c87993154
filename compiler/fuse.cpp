#include "compiler/fuse.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace halcyon {
namespace {

/// Whether the menu has a tuned entry for the kernel; `line` becomes the entry's name or what every tuned entry said.
Fusion find_tuned(const std::string &kernel, const Shape &shape, const Set &set, Menu menu) {
    std::vector<std::string> refusals;
    for (const Entry &entry : menu(kernel)) {
        if (entry.name == "reference") continue;
        const std::string refusal = entry.refuses(shape, set);
        if (refusal.empty()) return {true, entry.name};
        refusals.push_back(entry.name + ": " + refusal);
    }
    if (refusals.empty()) return {false, "no tuned entry"};
    return {false, fmt::format("{}", fmt::join(refusals, "; "))};
}

std::string call_of(const Operation &operation) { return fmt::format("{} of {}", operation.kernel, operation.layer); }

/// Makes the call at `at` and the later one at `other` the one call `merged`, if a tuned entry does it.
Fusion merge(Graph &graph, int at, int other, Operation merged, const Set &set, Menu menu) {
    const Fusion tuned = find_tuned(merged.kernel, merged.shape, set, menu);
    const std::string both = call_of(graph.operations[at]) + " and " + call_of(graph.operations[other]);
    if (!tuned.taken) return {false, fmt::format("{} stay apart: {}", both, tuned.line)};
    graph.operations[at] = std::move(merged);
    graph.operations.erase(graph.operations.begin() + other);
    return {true, fmt::format("{} are one call: {}", both, tuned.line)};
}

/// Merges the ReLU call at `relu` into the call at `at`, the only one to write what the ReLU reads.
Fusion merge_relu(Graph &graph, int at, int relu, const Set &set, Menu menu) {
    Operation merged = graph.operations[at];
    merged.shape.relu = 1;
    merged.outputs = graph.operations[relu].outputs;
    return merge(graph, at, relu, std::move(merged), set, menu);
}

/// The one operation that reads what operation `at` writes first, if it runs `kernel`.
std::optional<int> only_reader(const Graph &graph, int at, std::string_view kernel) {
    const std::vector<int> readers = graph.readers(graph.operations[at].outputs[0]);
    if (readers.size() != 1 || graph.operations[readers[0]].kernel != kernel) return {};
    return readers[0];
}

/// A convolution's epilogue clamps its sums while they are in registers.
std::optional<Fusion> convolution_with_relu(Graph &graph, int at, const Set &set, Menu menu) {
    if (graph.operations[at].kernel != "conv2d_fwd") return {};
    const std::optional<int> relu = only_reader(graph, at, "relu_fwd");
    if (!relu) return {};
    return merge_relu(graph, at, *relu, set, menu);
}

/// The gradient of a batch norm that normalises a ReLU's output reads that output anyway, and can mask by it.
std::optional<Fusion> batch_norm_gradient_with_relu(Graph &graph, int at, const Set &set, Menu menu) {
    const Operation &batch_norm = graph.operations[at];
    if (batch_norm.kernel != "batch_norm_bwd_data") return {};
    const std::optional<int> relu = only_reader(graph, at, "relu_bwd");
    constexpr int input_of_batch_norm = 1, output_of_relu = 1;  // places among the kernels' inputs
    if (!relu || graph.operations[*relu].inputs[output_of_relu] != batch_norm.inputs[input_of_batch_norm]) return {};
    return merge_relu(graph, at, *relu, set, menu);
}

/// The two operations that read what the pool's gradient at `at` writes, if they are a batch norm's whole gradient.
struct BatchNormGradient {
    int stats, data;
};
std::optional<BatchNormGradient> batch_norm_before_pool(const Graph &graph, int at) {
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
std::optional<Fusion> pool_gradient_with_batch_norm(Graph &graph, int at, const Set &set, Menu menu) {
    const Operation pool = graph.operations[at];
    if (pool.kernel != "max_pool2d_bwd") return {};
    const std::optional<BatchNormGradient> gradient = batch_norm_before_pool(graph, at);
    constexpr int input_of_pool = 1;  // place among the kernel's inputs
    const auto batch_norm = std::ranges::find(graph.operations, std::vector{pool.inputs[input_of_pool]}, &Operation::outputs);
    if (!gradient || batch_norm == graph.operations.end() || batch_norm->kernel != "batch_norm_fwd") return {};

    const Operation stats = through_pool(graph.operations[gradient->stats], "batch_norm_pool_bwd_stats", pool, *batch_norm),
                    data = through_pool(graph.operations[gradient->data], "batch_norm_pool_bwd_data", pool, *batch_norm);
    const std::string all = fmt::format("{}, batch_norm_bwd_stats and batch_norm_bwd_data of {}", call_of(pool), stats.layer);
    const Fusion tuned_stats = find_tuned(stats.kernel, stats.shape, set, menu),
                 tuned_data = find_tuned(data.kernel, data.shape, set, menu);
    for (const Fusion &tuned : {tuned_stats, tuned_data})
        if (!tuned.taken) return Fusion{false, fmt::format("{} stay apart: {}", all, tuned.line)};
    graph.operations[at] = stats;
    graph.operations[gradient->data] = data;
    graph.operations.erase(graph.operations.begin() + gradient->stats);
    return Fusion{true, fmt::format("{} are two calls: {}, {}", all, tuned_stats.line, tuned_data.line)};
}

/// A pool normalises what it compares.
std::optional<Fusion> batch_norm_with_pool(Graph &graph, int at, const Set &set, Menu menu) {
    if (graph.operations[at].kernel != "batch_norm_fwd") return {};
    const std::optional<int> pool = only_reader(graph, at, "max_pool2d_fwd");
    if (!pool) return {};
    Operation merged = graph.operations[at];
    merged.kernel = "batch_norm_pool_fwd";
    merged.shape = graph.operations[*pool].shape;
    merged.outputs = graph.operations[*pool].outputs;
    return merge(graph, at, *pool, std::move(merged), set, menu);
}

/// Dropout decides on the pool's output while it is in registers.
std::optional<Fusion> pool_with_dropout(Graph &graph, int at, const Set &set, Menu menu) {
    if (graph.operations[at].kernel != "batch_norm_pool_fwd") return {};
    const std::optional<int> reader = only_reader(graph, at, "dropout");
    if (!reader) return {};
    const Operation &dropout = graph.operations[*reader];
    Operation merged = graph.operations[at];
    merged.kernel = "batch_norm_pool_dropout_fwd";
    merged.shape.dropout = dropout.shape.dropout;
    merged.inputs.push_back(dropout.inputs[1]);
    merged.outputs = dropout.outputs;
    return merge(graph, at, *reader, std::move(merged), set, menu);
}

/// Tries to fuse the call at `at` with others. Nothing: it does not apply there.
using Rule = std::optional<Fusion> (*)(Graph &graph, int at, const Set &set, Menu menu);

// The pool's gradient comes before the pool: after it nothing reads the pool's input backward.
constexpr Rule rules[] = {
    convolution_with_relu, batch_norm_gradient_with_relu, pool_gradient_with_batch_norm, batch_norm_with_pool, pool_with_dropout,
};

}  // namespace

std::vector<Fusion> fuse(Graph &graph, const Set &set, Menu menu) {
    std::vector<Fusion> fusions;
    for (const Rule rule : rules)
        for (int at = 0; at < int(graph.operations.size()); ++at)
            if (std::optional<Fusion> fusion = rule(graph, at, set, menu)) fusions.push_back(std::move(*fusion));
    return fusions;
}

}  // namespace halcyon
