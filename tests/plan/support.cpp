#include "tests/plan/support.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string_view>

namespace halcyon {
namespace {

std::string accepts(const Shape &, const Set &) { return ""; }

std::string takes_chains(const Kernel &, const Set &) { return ""; }

std::string refuses_three_channels(const Shape &shape, const Set &) { return shape.in_c == 3 ? "3 channels" : ""; }

std::vector<Workspace> one_workspace(const Shape &shape, const Set &) { return {{"sums", {shape.in_c, shape.in_w}}}; }

bool is_called(const Operation &operation, const std::string &name, const std::string &layer) {
    return (operation.core == name || name_of(operation) == name) && (layer.empty() || operation.layer == layer);
}

bool is_tuned(std::string_view core) {
    static const std::set<std::string_view> untuned = {"batch_norm_stats_fwd", "batch_norm_stats_pool_fwd", "batch_norm_bwd",
                                                       "batch_norm_pool_bwd"};
    return !untuned.contains(core) && find_core(core).sizes != Sizes::slab;
}

}  // namespace

Model cifar10() { return load_model(HALCYON_SOURCE_DIR "/models/cifar10.json"); }

std::string model_text(const std::string &layers, const std::string &input) {
    return fmt::format(R"({{"name": "t", "input": {{"shape": [{}]}}, "layers": [{}], "loss": "sparse_categorical_crossentropy"}})", input,
                       layers);
}

Model make_model(const std::string &layers) { return parse_model(model_text(layers), "t.json"); }

Model random_model(std::mt19937 &random, int size) {
    const auto below = [&](int end) { return int(random() % unsigned(end)); };
    std::vector<std::string> layers, unread;
    const auto add = [&](const std::string &type, const std::string &options, const std::vector<std::string> &inputs) {
        const std::string name = fmt::format("l{}", layers.size());
        for (const std::string &input : inputs) std::erase(unread, input);
        unread.push_back(name);
        layers.push_back(
            fmt::format(R"({{"name": "{}", "type": "{}", "inputs": ["{}"]{}}})", name, type, fmt::join(inputs, "\", \""), options));
        return name;
    };
    const auto convolution = [&](const std::string &input) {
        return add("conv2d",
                   fmt::format(R"(, "filters": 4, "kernel_size": 3, "padding": "same", "activation": "{}"{})", below(2) ? "relu" : "linear",
                               below(4) ? "" : R"(, "kernel_regularizer": "l2")"),
                   {input});
    };

    // All layers since the last pool have one shape, and any two of them can be added.
    std::vector<std::string> equal = {convolution("input")};
    const auto any = [&] { return equal[below(int(equal.size()))]; };
    for (int i = 0; i < size; ++i) {
        switch (below(7)) {
        case 0:
            equal.push_back(convolution(any()));
            break;
        case 1:
            equal.push_back(add("batch_normalization", "", {any()}));
            break;
        case 2:
            equal.push_back(add("relu", "", {any()}));
            break;
        case 3:
            equal.push_back(add(below(2) ? "dropout" : "spatial_dropout2d", "", {any()}));
            break;
        case 4:
            equal.push_back(add("add", "", {any(), any()}));
            break;
        case 5:
            equal.push_back(add("add", "", {any(), any(), any()}));
            break;
        case 6:
            if (unread.size() > 1) add("add", "", std::vector<std::string>(unread));
            equal = {add("max_pooling2d", R"(, "padding": "same")", {unread.back()})};
            break;
        }
    }
    if (unread.size() > 1) add("add", "", std::vector<std::string>(unread));
    add("flatten", "", {unread.back()});
    add("dense", R"(, "units": 3, "activation": "softmax")", {unread.back()});
    return parse_model(model_text(fmt::format("{}", fmt::join(layers, ", "))), "random.json");
}

std::string random_chain(std::mt19937 &random, int length, const std::vector<int> &sizes) {
    const auto one_of = [&](const auto &list) { return list[random() % list.size()]; };
    const auto size = [&] { return one_of(sizes); };
    const auto window = [&] {
        return fmt::format(R"([{}, {}], "strides": [{}, {}], "padding": "{}")", size(), size(), size(), size(),
                           random() % 4 ? "same" : "valid");
    };
    const auto activation = [&] { return random() % 2 ? "relu" : "linear"; };
    const std::vector<float> momenta = {0, 0.5f, 0.9f, 0.99f, 1}, epsilons = {1e-12f, 1e-5f, 1e-3f};
    const auto constants = [&] { return fmt::format(R"("momentum": {}, "epsilon": {})", one_of(momenta), one_of(epsilons)); };

    std::vector<std::string> layers;
    for (int i = 0; i < length; ++i) {
        switch (random() % 6) {
        case 0:
        case 1:
            layers.push_back(fmt::format(R"({{"type": "conv2d", "filters": {}, "activation": "{}", "kernel_size": {}}})", size(),
                                         activation(), window()));
            break;
        case 2:
            layers.push_back(fmt::format(R"({{"type": "max_pooling2d", "pool_size": {}}})", window()));
            break;
        case 3:
        case 4:
            layers.push_back(fmt::format(R"({{"type": "batch_normalization", {}}})", constants()));
            break;
        case 5:
            layers.push_back(R"({"type": "dropout"})");
            break;
        }
    }
    layers.push_back(R"({"type": "flatten"})");
    if (random() % 2) layers.push_back(fmt::format(R"({{"type": "dense", "units": {}, "activation": "{}"}})", size(), activation()));
    layers.push_back(R"({"type": "dense", "units": 3, "activation": "softmax"})");
    return model_text(fmt::format("{}", fmt::join(layers, ", ")), fmt::format("{}, {}, {}", size(), size(), size()));
}

std::string name_of(const Operation &operation) {
    const auto rows = [](const AppliedChain &chain) {
        std::vector<std::string> names;
        for (const AppliedLink &link : chain) names.push_back(link.row);
        return fmt::format("{}", fmt::join(names, ", "));
    };
    if (operation.core == "pointwise") return rows(operation.chain("output"));
    std::string name = operation.core;
    for (const std::string &place : places_of(find_core(operation.core)))
        if (!operation.chain(place).empty()) name += fmt::format(" {}[{}]", place, rows(operation.chain(place)));
    return name;
}

std::vector<std::string> calls_of(const Graph &graph) {
    std::vector<std::string> calls;
    for (const Operation &operation : graph.operations) calls.push_back(fmt::format("{}: {}", operation.layer, name_of(operation)));
    return calls;
}

std::vector<Operation> find_all(const Graph &graph, const std::string &name, const std::string &layer) {
    std::vector<Operation> found;
    for (const Operation &operation : graph.operations)
        if (is_called(operation, name, layer)) found.push_back(operation);
    return found;
}

const Operation &find(const Graph &graph, const std::string &name, const std::string &layer) {
    const auto found = std::ranges::find_if(graph.operations, [&](const Operation &o) { return is_called(o, name, layer); });
    if (found == graph.operations.end()) throw std::out_of_range(fmt::format("no call of {} {}", name, layer));
    return *found;
}

int count(const Graph &graph, const std::string &name) { return int(find_all(graph, name).size()); }

std::vector<int> readers(const Graph &graph, int value) {
    std::vector<int> found;
    for (int i = 0; i < int(graph.operations.size()); ++i)
        if (graph.operations[i].reads(value)) found.push_back(i);
    return found;
}

int writer(const Graph &graph, int value) {
    const auto found = std::ranges::find_if(graph.operations, [&](const Operation &o) { return o.outputs.holds(value); });
    return found == graph.operations.end() ? -1 : int(found - graph.operations.begin());
}

const std::vector<Entry> &tuned_menu(std::string_view core) {
    static const std::vector<Entry> tuned = {{"tuned", refuses_three_channels, one_workspace, takes_chains},
                                             {"reference", accepts, nullptr, takes_chains}};
    return is_tuned(core) ? tuned : reference_menu(core);
}

const std::vector<Entry> &behind_menu(std::string_view core) {
    static const std::vector<Entry> tuned = {{"tuned", refuses_three_channels, one_workspace},
                                             {"reference", accepts, nullptr, takes_chains}};
    return is_tuned(core) ? tuned : reference_menu(core);
}

const std::vector<Entry> &reference_menu(std::string_view) {
    static const std::vector<Entry> reference = {{"reference", accepts, nullptr, takes_chains}};
    return reference;
}

std::vector<Fusion> fuse(Graph &graph, const Set &set, Menu menu) { return fuse(graph, set, PlanOptions{.sets = {set}, .menu = menu}); }

const Set &x86_avx2() { return *std::ranges::find(all_sets(), "x86_avx2", &Set::name); }

}  // namespace halcyon
