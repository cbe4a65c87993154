#include "compiler/planner.h"

#include "compiler/memory_plan.h"
#include "plan/files.h"
#include "plan/json.h"
#include "plan/text.h"
#include "plan/traffic.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <numeric>
#include <set>
#include <stdexcept>

namespace halcyon {
namespace {

struct Choice {
    const Entry *entry;
    std::string reason;
};

bool is_called(const std::string &entry, const std::string &name) { return entry == name || entry.starts_with(name + "_"); }

bool is_left_out(const std::string &entry, const PlanOptions &options) {
    return std::ranges::any_of(options.without, [&](const std::string &name) { return is_called(entry, name); });
}

void check_left_out(const PlanOptions &options) {
    for (const std::string &name : options.without) {
        const auto is_on_menu = [&](const Core &core) {
            return std::ranges::any_of(options.menu(core.name), [&](const Entry &entry) { return is_called(entry.name, name); });
        };
        if (is_reference(name)) throw std::runtime_error(fmt::format("the entry \"{}\" cannot be left out: it is what remains", name));
        if (std::ranges::none_of(all_cores(), is_on_menu))
            throw std::runtime_error(fmt::format("there is no entry \"{}\" to do without", name));
    }
}

std::vector<Workspace> workspaces(const Entry &entry, const Shape &shape, const Set &set) {
    return entry.workspaces ? entry.workspaces(shape, set) : std::vector<Workspace>{};
}

/// "" where Halide can index every workspace of the entry.
std::string too_large_workspace(const Entry &entry, const Shape &shape, const Set &set) {
    for (const Workspace &workspace : workspaces(entry, shape, set)) {
        const double floats = std::accumulate(workspace.extents.begin(), workspace.extents.end(), 1.0, std::multiplies<>());
        if (floats > double(most_floats)) return fmt::format("its {} would hold {:.3g} floats", workspace.name, floats);
    }
    return "";
}

Choice choose_pinned(const Kernel &kernel, const Set &set, const std::string &pinned, const PlanOptions &options) {
    const auto fail = [&](const std::string &reason) {
        throw std::runtime_error(
            fmt::format("tuned {}.json: \"{}\" is pinned to \"{}\", {}", set.name, kernel_name(kernel), pinned, reason));
    };
    for (const Entry &entry : options.menu(kernel.core)) {
        if (entry.name != pinned) continue;
        const std::string reason = refusal(entry, kernel, set, options);
        if (!reason.empty()) fail("which refuses: " + reason);
        return {&entry, "pinned"};
    }
    fail("which is not on its menu");
    return {};
}

Choice choose_entry(const Kernel &kernel, const std::string &layer, const Set &set, const PlanOptions &options) {
    const auto pins = options.pins.find(set.name);
    if (pins != options.pins.end()) {
        const auto pin = pins->second.find(kernel_name(kernel));
        if (pin != pins->second.end() && !is_left_out(pin->second, options)) return choose_pinned(kernel, set, pin->second, options);
    }
    std::vector<std::string> refusals;
    for (const Entry &entry : options.menu(kernel.core)) {
        const std::string reason = refusal(entry, kernel, set, options);
        if (reason.empty()) return {&entry, refusals.empty() ? "first that accepts" : fmt::format("{}", fmt::join(refusals, "; "))};
        refusals.push_back(entry.name + ": " + reason);
    }
    throw std::runtime_error(
        fmt::format("layer \"{}\": no entry for {} on {}: {}", layer, kernel_name(kernel), set.name, fmt::join(refusals, "; ")));
}

Buffer workspace_buffer(const std::string &name, const Workspace &workspace) {
    Buffer buffer{.name = name, .type = "float32", .extents = workspace.extents, .home = Home::arena_fixed};
    buffer.bytes = 4;
    for (int extent : workspace.extents) buffer.bytes *= extent;
    return buffer;
}

void place(Program &program, Home arena, std::int64_t &arena_bytes) {
    std::vector<Lifetime> lifetimes;
    for (const Buffer &buffer : program.buffers)
        if (buffer.home == arena) lifetimes.push_back({buffer.bytes, buffer.first_call, buffer.last_call});
    const MemoryPlan memory = plan_memory(lifetimes);
    auto offset = memory.offsets.begin();
    for (Buffer &buffer : program.buffers)
        if (buffer.home == arena) buffer.offset = *offset++;
    arena_bytes = memory.bytes;
}

/// Drops the values that fusion left unused, finds the lifetimes of the others and places them. What is prepared stays, from
/// `prepared_bytes` on.
Program lay_out(std::string name, std::vector<Buffer> values, std::vector<Call> calls, std::int64_t &prepared_bytes) {
    Program program{.name = std::move(name), .buffers = {}, .calls = std::move(calls)};
    std::vector<int> places(values.size(), -1);
    for (int i = 0; i < int(program.calls.size()); ++i) {
        for (int &argument : program.calls[i].arguments) {
            if (places[argument] < 0) {
                places[argument] = int(program.buffers.size());
                program.buffers.push_back(values[argument]);
                program.buffers.back().first_call = i;
            }
            argument = places[argument];
            program.buffers[argument].last_call = i;
        }
    }
    for (Buffer &buffer : program.buffers)
        if (buffer.home != Home::arena_batch && buffer.home != Home::arena_fixed) buffer.first_call = buffer.last_call = 0;
    place(program, Home::arena_batch, program.arena_bytes_per_image);
    place(program, Home::arena_fixed, program.arena_bytes_fixed);

    std::int64_t own_bytes = 0;
    place(program, Home::prepared, own_bytes);
    for (Buffer &buffer : program.buffers)
        if (buffer.home == Home::prepared) buffer.offset += prepared_bytes;
    prepared_bytes += own_bytes;
    return program;
}

/// The arguments of a compiled kernel: those of the call under its own names, then the entry's workspaces.
std::vector<Buffer> kernel_arguments(const Kernel &kernel, const std::vector<Buffer> &called_with,
                                     const std::vector<Workspace> &workspaces) {
    std::vector<Buffer> arguments;
    const auto add = [&](const std::string &name, const std::string &type, const std::vector<int> &extents) {
        Buffer argument;
        argument.name = name, argument.type = type, argument.extents = extents;
        arguments.push_back(std::move(argument));
    };
    const std::vector<KernelArgument> named = arguments_of(kernel);
    for (std::size_t i = 0; i < named.size(); ++i) add(named[i].name, called_with[i].type, called_with[i].extents);
    for (const Workspace &workspace : workspaces) add(workspace.name, "float32", workspace.extents);
    return arguments;
}

/// Plans one set.
class SetPlanner {
public:
    SetPlanner(const std::string &model, const Set &set, const PlanOptions &options) : model_(model), set_(set), options_(options) {
        plan_.set = set.name;
        plan_.target = set.halide_target;
        plan_.order = set.order;
    }

    void add_program(Graph graph) {
        for (Fusion &fusion : fuse(graph, set_, options_))
            if (fusion.taken) plan_.fusions.push_back(graph.name + ": " + fusion.line);
        const int prepared_calls = graph.move_preparations_first();
        std::vector<Buffer> values = graph.values;
        std::vector<Call> calls;
        for (const Operation &operation : graph.operations) calls.push_back(plan_call(operation, values));
        plan_.programs.push_back(lay_out(graph.name, std::move(values), std::move(calls), plan_.prepared_bytes));
        plan_.programs.back().prepared_calls = prepared_calls;
    }

    /// Adds every entry that accepts the kernel `like`, another set's.
    void add_entries(const CompiledKernel &like) {
        for (const Entry &entry : options_.menu(like.kernel.core)) {
            const bool wanted = !is_reference(entry.name) || set_.on_device() || set_.name == "reference";
            if (wanted && refusal(entry, like.kernel, set_, options_).empty()) add_kernel(like.kernel, entry, like.arguments);
        }
    }

    SetPlan finish() && { return std::move(plan_); }
    const SetPlan &plan() const { return plan_; }

private:
    Call plan_call(const Operation &operation, std::vector<Buffer> &values) {
        const Kernel kernel = operation.kernel();
        const Choice choice = choose_entry(kernel, operation.layer, set_, options_);

        Call call;
        call.kernel = kernel;
        call.layer = operation.layer;
        call.entry = choice.entry->name;
        call.reason = choice.reason;
        call.arguments = operation.arguments();
        std::vector<Buffer> called_with;
        for (int argument : call.arguments) called_with.push_back(values[argument]);
        call.symbol = add_kernel(kernel, *choice.entry, called_with);

        for (const Workspace &workspace : workspaces(*choice.entry, operation.shape, set_)) {
            call.arguments.push_back(int(values.size()));
            values.push_back(workspace_buffer(fmt::format("{} {} {}", operation.layer, kernel.core, workspace.name), workspace));
        }
        call.flops = flops(kernel);
        std::vector<Buffer> arguments;
        for (int argument : call.arguments) arguments.push_back(values[argument]);
        const Traffic moved = traffic(kernel, arguments);
        call.bytes_per_image = moved.per_image;
        call.bytes_fixed = moved.fixed;
        return call;
    }

    /// The kernel's symbol; it is compiled once however often it is called.
    std::string add_kernel(const Kernel &kernel, const Entry &entry, const std::vector<Buffer> &called_with) {
        std::string symbol = symbol_name(model_, kernel, set_.name, entry.name);
        if (symbol.size() > longest_symbol)
            throw std::runtime_error(fmt::format("the name {} has {} characters; the most is {}, so the model needs a shorter name", symbol,
                                                 symbol.size(), longest_symbol));
        if (std::ranges::find(plan_.kernels, symbol, &CompiledKernel::symbol) == plan_.kernels.end())
            plan_.kernels.push_back(
                {kernel, entry.name, symbol, kernel_arguments(kernel, called_with, workspaces(entry, kernel.shape, set_))});
        return symbol;
    }

    const std::string &model_;
    const Set &set_;
    const PlanOptions &options_;
    SetPlan plan_;
};

void add_all_entries(std::vector<SetPlanner> &planners) {
    std::vector<CompiledKernel> planned;
    for (const SetPlanner &planner : planners) planned.insert(planned.end(), planner.plan().kernels.begin(), planner.plan().kernels.end());
    for (SetPlanner &planner : planners)
        for (const CompiledKernel &kernel : planned) planner.add_entries(kernel);
}

std::vector<LayerSummary> summarize(const Model &model) {
    std::vector<LayerSummary> summaries;
    for (const auto &layer : model.layers) {
        const FeatureMap &out = layer->out;
        LayerSummary summary{.name = layer->name, .type = layer->type, .output_shape = {out.h, out.w, out.c}};
        if (out.flat) summary.output_shape = {out.h * out.w * out.c};
        for (const Weight &weight : layer->weights()) {
            std::int64_t count = 1;
            for (int size : weight.shape) count *= size;
            summary.parameters += count;
        }
        summaries.push_back(std::move(summary));
    }
    return summaries;
}

}  // namespace

std::string refusal(const Entry &entry, const Kernel &kernel, const Set &set, const PlanOptions &options) {
    if (is_left_out(entry.name, options)) return "left out";
    const std::string reason = refusal(entry, kernel, set);
    return reason.empty() ? too_large_workspace(entry, kernel.shape, set) : reason;
}

std::vector<Graph> lower_programs(const Model &model, const Slabs &slabs) {
    std::vector<Graph> graphs = {lower_input(model, slabs, false), lower_input(model, slabs, true), lower_training(model, slabs)};
    for (Graph &optimizer : lower_optimizers(model, slabs)) graphs.push_back(std::move(optimizer));
    for (Graph &augmentation : lower_augmentation(model)) graphs.push_back(std::move(augmentation));
    for (int batch : {0, 1}) graphs.push_back(lower_inference(model, slabs, batch));
    for (Graph &features : lower_features(model, slabs)) graphs.push_back(std::move(features));
    return graphs;
}

Plan make_plan(const Model &model, const PlanOptions &options) {
    check_left_out(options);
    const Slabs slabs = lay_out_slabs(model);
    Plan plan;
    plan.model = model.name;
    plan.in_h = model.input.h, plan.in_w = model.input.w, plan.in_c = model.input.c;
    plan.classes = model.classes();
    plan.targets = model.loss->units();
    plan.metric = model.loss->metric();
    const std::vector<double> rates = model.dropout_rates();
    plan.dropout_layers = int(rates.size());
    if (std::ranges::any_of(rates, [](double rate) { return rate != 0; })) plan.dropout_rates = rates;
    plan.layers = summarize(model);
    plan.feature_layers = feature_layers(model);
    plan.parameters = slabs.parameters;
    plan.trainable = slabs.trainable;
    plan.non_trainable = slabs.non_trainable;
    plan.parameter_bytes = slabs.parameter_bytes;
    plan.moving_bytes = slabs.moving_bytes;

    const std::vector<Graph> graphs = lower_programs(model, slabs);
    std::vector<SetPlanner> planners;
    for (const Set &set : options.sets) {
        planners.emplace_back(model.name, set, options);
        for (const Graph &graph : graphs) planners.back().add_program(graph);
    }
    if (options.all_entries) add_all_entries(planners);
    for (SetPlanner &planner : planners) plan.sets.push_back(std::move(planner).finish());
    return plan;
}

std::map<std::string, Pins> read_pins(const std::string &folder, const std::vector<Set> &sets) {
    if (!std::filesystem::is_directory(folder))
        throw std::runtime_error(fmt::format("{}: there is no such folder of tuned schedules", folder));
    std::map<std::string, Pins> pins;
    for (const Set &set : sets) {
        const std::filesystem::path file = std::filesystem::path(folder) / (set.name + ".json");
        if (!std::filesystem::exists(file)) continue;
        const nlohmann::json document = parse_json(read_file(file), file);
        if (!document.is_object())
            throw std::runtime_error(fmt::format("{}: must be an object of kernel names and entries", file.string()));
        for (const auto &[kernel, entry] : document.items()) {
            if (!entry.is_string())
                throw std::runtime_error(
                    fmt::format("{}: \"{}\" must name an entry, not {}", file.string(), shortened(kernel, 100), short_json(entry)));
            pins[set.name][kernel] = entry;
        }
    }
    return pins;
}

}  // namespace halcyon
