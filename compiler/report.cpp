#include "compiler/report.h"

#include "compiler/memory_plan.h"
#include "plan/text.h"
#include "plan/traffic.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace halcyon {
namespace {

/// 297226 as "297,226".
std::string grouped(std::int64_t number) {
    std::string text = fmt::to_string(number);
    for (int place = int(text.size()) - 3; place > 0; place -= 3) text.insert(place, 1, ',');
    return text;
}

std::string kibibytes(std::int64_t bytes) { return fmt::format("{:.1f}", double(bytes) / 1024); }

std::string describe_layers(const Plan &plan) {
    std::string text = fmt::format("{}: {}x{}x{} images, {} {}\n\n{:<28}{:<22}{:>12}{:>12}\n", plan.model, plan.in_h, plan.in_w, plan.in_c,
                                   plan.predictions(), plan.classes > 0 ? "classes" : "targets", "layer", "type", "output", "parameters");
    for (const LayerSummary &layer : plan.layers)
        text += fmt::format("{:<28}{:<22}{:>12}{:>12}\n", layer.name, layer.type, fmt::format("{}", fmt::join(layer.output_shape, "x")),
                            grouped(layer.parameters));
    text += fmt::format("\n{} parameters: {} trainable, {} not\n", grouped(plan.trainable + plan.non_trainable), grouped(plan.trainable),
                        grouped(plan.non_trainable));
    if (plan.feature_layers > 0) {
        const LayerSummary &last = plan.layers[std::size_t(plan.feature_layers - 1)];
        std::int64_t bytes = 4;
        for (const int size : last.output_shape) bytes *= size;
        text += fmt::format("cut behind {}: frozen up to there, its output is made once for an image and kept, {} bytes\n", last.name,
                            grouped(bytes));
    }
    return text;
}

/// For whom calls are shown: a set's plan, so many images, and a machine where there are measurements.
struct Setting {
    std::string set;
    int batch;
    const std::optional<Measurements> &measured;
};

/// What calls move and, on the machine of the measurements, take.
struct Cost {
    std::int64_t bytes = 0;
    double least_ms = 0, ms = 0;  // ms: NaN where not all were measured

    Cost &operator+=(const Cost &other) {
        bytes += other.bytes;
        least_ms += other.least_ms;
        ms += other.ms;
        return *this;
    }
};

Cost cost(const Call &call, const Setting &setting) {
    Cost cost{.bytes = Traffic{call.bytes_per_image, call.bytes_fixed}.bytes(setting.batch)};
    if (!setting.measured) return cost;
    const double flops = call.flops * (call.bytes_per_image > 0 ? setting.batch : 1);
    cost.least_ms = 1e3 * setting.measured->peaks.bound(flops, double(cost.bytes));
    const MeasuredKernel *kernel = setting.measured->find(setting.set, call, setting.batch);
    cost.ms = kernel ? kernel->milliseconds : std::nan("");
    return cost;
}

Cost cost(const Program &program, const Setting &setting) {
    Cost sum;
    for (const Call &call : program.calls) sum += cost(call, setting);
    return sum;
}

std::string mebibytes(std::int64_t bytes) { return fmt::format("{:.2f}", double(bytes) / (1 << 20)); }

std::string milliseconds(double ms) { return std::isnan(ms) ? "-" : fmt::format("{:.3f}", ms); }

/// "4+36": the tasks of one parallel loop after the other.
std::string tasks(const Call &call, const Setting &setting) {
    const MeasuredKernel *kernel = setting.measured->find(setting.set, call, setting.batch);
    return kernel && !kernel->tasks.empty() ? fmt::format("{}", fmt::join(kernel->tasks, "+")) : "-";
}

std::string describe_calls(const Program &program, const Setting &setting) {
    double flops = 0;
    for (const Call &call : program.calls) flops += call.flops;
    const Cost sum = cost(program, setting);
    std::string text = fmt::format("\n  program {}: {} calls, {:.2f} MFLOP; {} images move {} MiB", program.name, program.calls.size(),
                                   flops / 1e6, setting.batch, mebibytes(sum.bytes));
    if (setting.measured) text += fmt::format(", at least {} ms, measured {} ms", milliseconds(sum.least_ms), milliseconds(sum.ms));
    text +=
        fmt::format("\n  {:>3}  {:<24}{:<58}{:<20}{:>9}{:>11}{:>11}", "", "layer", "kernel", "entry", "MFLOP", "KiB/image", "KiB fixed");
    if (setting.measured) text += fmt::format("{:>9}{:>10}{:>9}{:>18}", "MiB", "least ms", "ms", "tasks");
    text += "  why\n";
    for (std::size_t i = 0; i < program.calls.size(); ++i) {
        const Call &call = program.calls[i];
        text += fmt::format("  {:>3}  {:<24}{:<58}{:<20}{:>9.3f}{:>11}{:>11}", i, call.layer, kernel_name(call.kernel), call.entry,
                            call.flops / 1e6, kibibytes(call.bytes_per_image), kibibytes(call.bytes_fixed));
        const Cost one = cost(call, setting);
        if (setting.measured)
            text += fmt::format("{:>9}{:>10}{:>9}{:>18}", mebibytes(one.bytes), milliseconds(one.least_ms), milliseconds(one.ms),
                                tasks(call, setting));
        text += fmt::format("  {}\n", call.reason);
    }
    return text;
}

/// A column a call, '#' while the buffer lives; the first and the last call where there are too many for a picture.
std::string draw_life(const Buffer &buffer, std::size_t calls) {
    if (calls > 1000) return fmt::format("{} to {}", buffer.first_call, buffer.last_call);
    std::string life(calls, '.');
    std::fill(life.begin() + buffer.first_call, life.begin() + buffer.last_call + 1, '#');
    return life;
}

/// A row a buffer, by offset.
std::string draw_arena(const Program &program, Home arena, std::int64_t bytes, const char *title, const char *unit) {
    std::vector<const Buffer *> buffers;
    std::vector<Lifetime> lifetimes;
    for (const Buffer &buffer : program.buffers)
        if (buffer.home == arena) {
            buffers.push_back(&buffer);
            lifetimes.push_back({buffer.bytes, buffer.first_call, buffer.last_call});
        }
    if (buffers.empty()) return "";
    std::ranges::stable_sort(buffers, {}, &Buffer::offset);
    std::string text = fmt::format("\n  {} of {}: {} bytes{}, at most {} of them alive at once\n", title, program.name, grouped(bytes),
                                   unit, grouped(most_alive(lifetimes)));
    text += fmt::format("  {:>10}{:>10}  {:<34}calls 0 to {}\n", "offset", "bytes", "buffer", program.calls.size() - 1);
    for (const Buffer *buffer : buffers) {
        text += fmt::format("  {:>10}{:>10}  {:<34}{}\n", buffer->offset, buffer->bytes, buffer->name,
                            draw_life(*buffer, program.calls.size()));
    }
    return text;
}

std::string describe_set(const SetPlan &set, const Setting &setting) {
    std::string text = fmt::format("\nset {}: {}, activations stored as {}, {} kernels\n", set.set, set.target,
                                   set.order == StorageOrder::hwnc ? "H, W, N, C" : "N, H, W, C", set.kernels.size());
    for (const std::string &fusion : set.fusions) text += fmt::format("  fused in {}\n", fusion);
    for (const Program &program : set.programs) {
        text += describe_calls(program, setting);
        text += draw_arena(program, Home::arena_batch, program.arena_bytes_per_image, "arena", " an image");
        text += draw_arena(program, Home::arena_fixed, program.arena_bytes_fixed, "fixed arena", "");
    }
    return text;
}

/// Each entry of the kernel's menu; `taken` is the planned one.
std::string explain_kernel(const CompiledKernel &kernel, const std::string &taken, const Set &set, const PlanOptions &options) {
    std::string text = fmt::format("  {}\n", kernel_name(kernel.kernel));
    bool passed = false;
    for (const Entry &entry : options.menu(kernel.kernel.core)) {
        const std::string reason = refusal(entry, kernel.kernel, set, options);
        const bool is_taken = entry.name == taken;
        const std::string verdict = is_taken          ? "taken"
                                    : !reason.empty() ? "refused: " + reason
                                    : passed          ? "not needed, it comes later"
                                                      : "not taken, another is pinned";
        passed = passed || is_taken;
        text += fmt::format("    {:<24}{}\n", entry.name, verdict);
    }
    return text;
}

}  // namespace

std::string describe(const Plan &plan, int batch, const std::optional<Measurements> &measured) {
    std::string text = describe_layers(plan);
    if (measured)
        text +=
            fmt::format("\nmeasured on {}, threads: {}, {:.0f} GFLOP/s; a call takes at least its operations at that rate, or its bytes "
                        "at the bandwidth of the nearest level that they fit in\n",
                        printable(measured->cpu), measured->threads, measured->peaks.gflops);
    for (const SetPlan &set : plan.sets) text += describe_set(set, {set.set, batch, measured});
    return text;
}

std::string explain(const Model &model, const Plan &plan, const PlanOptions &options) {
    const std::vector<Graph> graphs = lower_programs(model, lay_out_slabs(model));
    std::string text;
    for (std::size_t i = 0; i < options.sets.size(); ++i) {
        const Set &set = options.sets[i];
        text += fmt::format("\nset {}: fusions\n", set.name);
        for (Graph graph : graphs)
            for (const Fusion &fusion : fuse(graph, set, options))
                text += fmt::format("  {:<7}{}: {}\n", fusion.taken ? "taken" : "not", graph.name, fusion.line);

        text += fmt::format("\nset {}: entries\n", set.name);
        std::set<std::string> seen;
        for (const Program &program : plan.sets[i].programs)
            for (const Call &call : program.calls)
                if (seen.insert(call.symbol).second)
                    text += explain_kernel({call.kernel, call.entry, call.symbol, {}}, call.entry, set, options);
    }
    return text;
}

}  // namespace halcyon
