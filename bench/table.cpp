#include "bench/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <unistd.h>

namespace halcyon {
namespace {

std::vector<std::string> split(const std::string &text) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, '/');) parts.push_back(part);
    return parts;
}

}  // namespace

TableReporter::TableReporter() : ConsoleReporter(isatty(STDOUT_FILENO) ? OO_Defaults : OO_None) {}

void TableReporter::ReportRuns(const std::vector<Run> &runs) {
    benchmark::ConsoleReporter::ReportRuns(runs);
    for (const Run &run : runs) {
        if (run.error_occurred || run.run_type != Run::RT_Iteration) continue;
        const std::vector<std::string> parts = split(run.run_name.function_name);
        const double seconds = run.real_accumulated_time / static_cast<double>(run.iterations);
        if (parts.at(0) == "step")
            steps_.push_back({parts.at(1), parts.at(2), seconds, run.counters.at("images/s").value});
        else
            rows_.push_back(
                {parts.at(0), parts.at(1), parts.at(2), parts.at(3), seconds, run.counters.at("FLOP"), run.counters.at("bytes")});
    }
}

std::string TableReporter::table(const MachinePeaks &peaks) const {
    std::string text = fmt::format("\nmeasured on this machine: {:.0f} GFLOP/s", peaks.gflops);
    for (const Bandwidth &level : peaks.bandwidths) text += fmt::format(", {} {:.0f} GB/s", level.level, level.gb_per_second);

    std::vector<Row> rows = rows_;
    const auto lost = [&](const Row &row) { return row.seconds - peaks.bound(row.flops, row.bytes); };
    std::stable_sort(rows.begin(), rows.end(), [&](const Row &a, const Row &b) { return lost(a) > lost(b); });
    text += fmt::format("\n\n{:26} {:30} {:10} {:16} {:>9} {:>8} {:>7} {:>6} {:>6} {:>8} {:>9}\n", "kernel", "shape", "set", "entry", "ms",
                        "GFLOP/s", "GB/s", "% peak", "bound", "% bound", "x ref");
    for (const Row &row : rows) text += kernel_row(row, peaks);

    if (!steps_.empty()) text += fmt::format("\n{:26} {:10} {:>9} {:>10}\n", "step", "set", "ms", "images/s");
    for (const Step &step : steps_)
        text += fmt::format("{:26} {:10} {:9.3f} {:10.0f}\n", step.what, step.set, 1e3 * step.seconds, step.images_per_second);
    return text;
}

std::string TableReporter::kernel_row(const Row &row, const MachinePeaks &peaks) const {
    const double gflops = row.flops / row.seconds / 1e9, gb = row.bytes / row.seconds / 1e9;
    const bool compute = row.flops / (peaks.gflops * 1e9) > row.bytes / (peaks.bandwidth_for(row.bytes) * 1e9);
    return fmt::format("{:26} {:30} {:10} {:16} {:9.3f} {:8.1f} {:7.1f} {:6.1f} {:>6} {:8.1f} {:>9}\n", row.kernel, row.shape, row.set,
                       row.entry, 1e3 * row.seconds, gflops, gb, 100 * gflops / peaks.gflops, compute ? "fma" : "memory",
                       100 * peaks.bound(row.flops, row.bytes) / row.seconds, times_reference(row));
}

/// How many times as fast as the reference set's kernel of the same name and shape; a fused one may have none.
std::string TableReporter::times_reference(const Row &row) const {
    for (const Row &other : rows_)
        if (other.set == "reference" && other.kernel == row.kernel && other.shape == row.shape)
            return fmt::format("{:.1f}", other.seconds / row.seconds);
    return "-";
}

}  // namespace halcyon
