#include "bench/results.h"

#include "runtime/devices/device.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <span>
#include <tuple>

namespace halcyon {
namespace {

using nlohmann::ordered_json;

/// A column of the table: its title, its key in the report, the decimals of its numbers.
struct Column {
    const char *title, *key;
    int decimals = 0;
};

const Column kernel_columns[] = {
    {"kernel", "kernel"},
    {"shape", "shape"},
    {"set", "set"},
    {"entry", "entry"},
    {"batch", "batch"},
    {"train", "train_calls"},
    {"infer", "infer_calls"},
    {"ms", "ms", 3},
    {"tasks", "tasks"},
    {"GFLOP/s", "gflops", 1},
    {"GB/s", "gb_per_second", 1},
    {"% peak", "percent_of_peak", 1},
    {"bound", "bound"},
    {"% bound", "percent_of_bound", 1},
    {"lost ms", "lost_ms", 3},
    {"x ref", "times_reference", 1},
};

const Column step_columns[] = {
    {"step", "step"},
    {"set", "set"},
    {"batch", "batch"},
    {"ms", "ms", 3},
    {"images/s", "images_per_second"},
    {"GFLOP/s", "gflops", 1},
    {"% peak", "percent_of_peak", 1},
};

std::string cell(const ordered_json &value, int decimals) {
    if (value.is_null()) return "-";
    if (value.is_string()) return value;
    if (value.is_array()) return value.empty() ? "-" : fmt::format("{}", fmt::join(value.get<std::vector<int>>(), "+"));
    return fmt::format("{:.{}f}", value.get<double>(), decimals);
}

using Cells = std::vector<std::string>;

/// The rows as lines, every column as wide as its widest cell; numbers are aligned to the right.
std::string aligned(const ordered_json &rows, std::span<const Column> columns) {
    std::vector<Cells> lines(rows.size() + 1);
    std::string text;
    for (const Column &column : columns) {
        lines[0].emplace_back(column.title);
        for (std::size_t i = 0; i < rows.size(); i++) lines[i + 1].push_back(cell(rows[i].at(column.key), column.decimals));
    }
    for (const Cells &line : lines) {
        for (std::size_t c = 0; c < columns.size(); c++) {
            std::size_t width = 0;
            for (const Cells &other : lines) width = std::max(width, other[c].size());
            const bool left = rows[0].at(columns[c].key).is_string();
            text += left ? fmt::format("{:{}} ", line[c], width + 1) : fmt::format("{:>{}} ", line[c], width);
        }
        text.back() = '\n';
    }
    return text;
}

std::string cpu_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    return "unknown CPU";
}

ordered_json machine(const Results &results) {
    ordered_json levels = ordered_json::array();
    for (const Bandwidth &level : results.peaks.bandwidths)
        levels.push_back({{"level", level.level}, {"bytes", level.bytes}, {"gb_per_second", level.gb_per_second}});
    return {{"cpu", cpu_name()},
            {"threads", results.threads},
            {"date", fmt::format("{:%F}", fmt::localtime(std::time(nullptr)))},
            {"auto", results.automatic},
            {"peak_gflops", results.peaks.gflops},
            {"bandwidths", levels}};
}

/// How many times as fast as the reference set's kernel of the same name, shape and batch; nothing where there is none, as for a fused one.
ordered_json times_reference(const KernelResult &kernel, const std::vector<KernelResult> &kernels) {
    for (const KernelResult &other : kernels)
        if (other.set == "reference" && other.kernel == kernel.kernel && other.shape == kernel.shape && other.batch == kernel.batch &&
            other.seconds > 0)
            return other.seconds / kernel.seconds;
    return nullptr;
}

ordered_json batch_or_none(int batch) { return batch > 0 ? ordered_json(batch) : ordered_json(nullptr); }

/// The least seconds that a kernel can take; 0 where nothing is known of its device.
double bound_of(const KernelResult &kernel, const Results &results) {
    const MachinePeaks *peaks = results.peaks_of(kernel.set);
    return peaks ? peaks->bound(kernel.flops, kernel.bytes) : 0;
}

ordered_json percent_of_peak(double flops, double seconds, const MachinePeaks *peaks) {
    return peaks ? ordered_json(100 * flops / seconds / (peaks->gflops * 1e9)) : ordered_json(nullptr);
}

/// What a kernel's time is compared with; nothing where nothing is known of its device.
ordered_json bound_columns(const KernelResult &kernel, const Results &results) {
    const MachinePeaks *peaks = results.peaks_of(kernel.set);
    if (!peaks) return {{"bound", nullptr}, {"percent_of_bound", nullptr}, {"lost_ms", nullptr}};
    const double bound = bound_of(kernel, results);
    const bool compute = bound > kernel.bytes / (peaks->bandwidth_for(kernel.bytes) * 1e9);
    return {{"bound", compute ? "compute" : "memory"},
            {"percent_of_bound", 100 * bound / kernel.seconds},
            {"lost_ms", 1e3 * (kernel.seconds - bound)}};
}

ordered_json kernel_row(const KernelResult &kernel, const Results &results) {
    ordered_json row = {{"kernel", kernel.kernel},
                        {"shape", kernel.shape},
                        {"set", kernel.set},
                        {"entry", kernel.entry},
                        {"batch", batch_or_none(kernel.batch)},
                        {"train_calls", kernel.train_calls},
                        {"infer_calls", kernel.infer_calls},
                        {"flop", kernel.flops},
                        {"bytes", kernel.bytes},
                        {"ms", 1e3 * kernel.seconds},
                        {"tasks", kernel.tasks},
                        {"gflops", kernel.flops / kernel.seconds / 1e9},
                        {"gb_per_second", kernel.bytes / kernel.seconds / 1e9},
                        {"percent_of_peak", percent_of_peak(kernel.flops, kernel.seconds, results.peaks_of(kernel.set))}};
    row.update(bound_columns(kernel, results));
    row["times_reference"] = times_reference(kernel, results.kernels);
    return row;
}

ordered_json step_row(const StepResult &step, const Results &results) {
    return {{"step", step.step},
            {"set", step.set},
            {"batch", step.batch},
            {"flop", step.flops},
            {"ms", 1e3 * step.seconds},
            {"images_per_second", step.batch / step.seconds},
            {"gflops", step.flops / step.seconds / 1e9},
            {"percent_of_peak", percent_of_peak(step.flops, step.seconds, results.peaks_of(step.set))}};
}

}  // namespace

std::string KernelResult::name() const {
    return fmt::format("{}/{}/{}/{}{}", kernel, shape, set, entry, batch > 0 ? fmt::format("/{}", batch) : "");
}

std::string StepResult::name() const { return fmt::format("step/{}/{}/{}", step, set, batch); }

const MachinePeaks *Results::peaks_of(const std::string &set) const {
    const auto device = device_peaks.find(set);
    if (device != device_peaks.end()) return &device->second;
    return device_of(set) ? nullptr : &peaks;
}

void Results::record(const std::string &name, double seconds) {
    for (KernelResult &kernel : kernels)
        if (kernel.name() == name) kernel.seconds = seconds;
    for (StepResult &step : steps)
        if (step.name() == name) step.seconds = seconds;
}

ordered_json report(const Results &results) {
    std::vector<KernelResult> kernels = results.kernels;
    std::erase_if(kernels, [](const KernelResult &kernel) { return kernel.seconds == 0; });
    std::ranges::stable_sort(kernels, {}, [&](const KernelResult &kernel) {
        const bool taken = kernel.set == results.automatic && kernel.train_calls + kernel.infer_calls > 0;
        return std::tuple(!taken, bound_of(kernel, results) - kernel.seconds);
    });
    ordered_json rows = ordered_json::array(), steps = ordered_json::array();
    for (const KernelResult &kernel : kernels) rows.push_back(kernel_row(kernel, results));
    for (const StepResult &step : results.steps)
        if (step.seconds > 0) steps.push_back(step_row(step, results));
    return {{"machine", machine(results)}, {"kernels", rows}, {"steps", steps}};
}

std::string table(const ordered_json &report) {
    const ordered_json &machine = report.at("machine");
    std::string text = fmt::format("\n{}, threads: {}, auto takes {}; measured in this run: {:.0f} GFLOP/s", cell(machine.at("cpu"), 0),
                                   machine.at("threads").get<int>(), cell(machine.at("auto"), 0), machine.at("peak_gflops").get<double>());
    for (const ordered_json &level : machine.at("bandwidths"))
        text += fmt::format(", {} {:.0f} GB/s", cell(level.at("level"), 0), level.at("gb_per_second").get<double>());
    text += '\n';
    if (!report.at("kernels").empty()) text += '\n' + aligned(report.at("kernels"), kernel_columns);
    if (!report.at("steps").empty()) text += '\n' + aligned(report.at("steps"), step_columns);
    return text;
}

}  // namespace halcyon
