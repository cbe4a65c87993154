#include "compiler/fuse.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

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

/// Merges the ReLU call at `relu` into the call at `at`, the only one to write what the ReLU reads, if a tuned entry does both.
Fusion merge_relu(Graph &graph, int at, int relu, const Set &set, Menu menu) {
    Operation &operation = graph.operations[at];
    const Operation &relu_operation = graph.operations[relu];
    Shape merged = operation.shape;
    merged.relu = 1;
    const Fusion tuned = find_tuned(operation.kernel, merged, set, menu);
    const std::string both =
        fmt::format("{} of {} and {} of {}", operation.kernel, operation.layer, relu_operation.kernel, relu_operation.layer);
    if (!tuned.taken) return {false, fmt::format("{} stay apart: {}", both, tuned.line)};
    operation.shape = merged;
    operation.outputs = relu_operation.outputs;
    graph.operations.erase(graph.operations.begin() + relu);
    return {true, fmt::format("{} are one call: {}", both, tuned.line)};
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

/// Tries to fuse the call at `at` with others. Nothing: it does not apply there.
using Rule = std::optional<Fusion> (*)(Graph &graph, int at, const Set &set, Menu menu);

constexpr Rule rules[] = {
    convolution_with_relu,
    batch_norm_gradient_with_relu,
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
