// cifar10_bench: Google Benchmark's flags, and --batch=N, --threads=N. Ends in a table of every kernel under every schedule, those that
// lose most time against the machine's limit first.
#include "bench/benchmarks.h"
#include "bench/machine_peaks.h"
#include "bench/table.h"
#include "halcyon_cifar10.h"
#include "runtime/machine.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <string_view>

namespace {

/// Reads `--name=N`, N >= 1; false where `word` is another flag or N no such number.
bool read_flag(std::string_view word, std::string_view name, int &value) {
    if (!word.starts_with("--") || !word.substr(2).starts_with(name)) return false;
    word.remove_prefix(2 + name.size());
    if (!word.starts_with("=")) return false;
    const auto [end, error] = std::from_chars(word.data() + 1, word.data() + word.size(), value);
    return error == std::errc() && end == word.data() + word.size() && value >= 1;
}

}  // namespace

int main(int argc, char **argv) {
    benchmark::Initialize(&argc, argv);
    halcyon::BenchOptions options{.batch = 64, .threads = halcyon::hardware_threads()};
    for (int i = 1; i < argc; i++) {
        if (read_flag(argv[i], "batch", options.batch) || read_flag(argv[i], "threads", options.threads)) continue;
        fmt::print(stderr, "cifar10_bench: unknown or malformed option {}; there are --batch=N, --threads=N and --benchmark_...\n",
                   argv[i]);
        return 2;
    }

    halcyon::Session session(options.threads);
    const halcyon::MachinePeaks peaks = halcyon::measure_machine_peaks(session.threads());
    benchmark::AddCustomContext("batch", fmt::to_string(options.batch));
    benchmark::AddCustomContext("threads", fmt::to_string(options.threads));
    benchmark::AddCustomContext("peak_gflops", fmt::format("{:.1f}", peaks.gflops));
    for (const halcyon::Bandwidth &level : peaks.bandwidths)
        benchmark::AddCustomContext(fmt::format("{}_gb_per_second", level.level), fmt::format("{:.1f}", level.gb_per_second));

    halcyon::register_kernels(*halcyon_cifar10(), options, session);
    halcyon::register_steps(*halcyon_cifar10(), options);
    halcyon::TableReporter reporter;
    benchmark::RunSpecifiedBenchmarks(&reporter);
    fmt::print("{}", reporter.table(peaks));
    benchmark::Shutdown();
    return 0;
}
