// <model>_bench: every kernel under every schedule and whole steps, in a table beside the machine's measured peaks. The build names the
// model's function as HALCYON_MODEL (halcyon_cifar10).
#include "bench/benchmarks.h"
#include "bench/reporter.h"
#include "runtime/devices/device.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "runtime/engine/threads.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

extern "C" const halcyon_model *HALCYON_MODEL();

namespace {

constexpr const char *usage =
    "{}_bench [--batch=N,...] [--threads=N] [--json=FILE] [--benchmark_...]\n"
    "  times every kernel under every schedule for batches of N images (64), and whole steps; --json writes the table too\n";

/// What follows `--name=`; "" where `word` is another flag.
std::string_view value_of(std::string_view word, std::string_view name) {
    return word.starts_with(name) ? word.substr(name.size()) : std::string_view();
}

/// Reads "64" or "32,64": numbers from 1 up; none where it is malformed.
std::vector<int> read_numbers(std::string_view text) {
    std::vector<int> numbers;
    while (true) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), numbers.emplace_back());
        if (error != std::errc() || numbers.back() < 1) return {};
        if (end == text.data() + text.size()) return numbers;
        if (*end != ',') return {};
        text.remove_prefix(static_cast<std::size_t>(end + 1 - text.data()));
    }
}

struct Arguments {
    halcyon::BenchOptions options{.threads = halcyon::hardware_threads()};
    std::string json;

    /// False where `word` is none of ours, or malformed.
    bool read(std::string_view word) {
        if (const auto batches = read_numbers(value_of(word, "--batch=")); !batches.empty())
            options.batches = batches;
        else if (const auto threads = read_numbers(value_of(word, "--threads=")); threads.size() == 1)
            options.threads = threads.front();
        else if (const auto file = value_of(word, "--json="); !file.empty())
            json = file;
        else
            return false;
        return true;
    }
};

/// Of the devices that the plan's sets run on here, as far as they tell.
std::map<std::string, halcyon::MachinePeaks> device_peaks(const halcyon::Plan &plan) {
    std::map<std::string, halcyon::MachinePeaks> peaks;
    for (const halcyon::Set &set : halcyon::select_sets(halcyon::compiled_sets(plan))) {
        if (!set.on_device() || !halcyon::why_not(set).empty()) continue;
        const halcyon::DeviceDescription device = halcyon::describe_device(set.name);
        if (device.gflops > 0) peaks[set.name] = {device.gflops, {{"memory", INT64_MAX, device.gb_per_second}}};
    }
    return peaks;
}

}  // namespace

int main(int argc, char **argv) {
    const halcyon_model &model = *HALCYON_MODEL();
    if (std::any_of(argv, argv + argc, [](const char *word) { return std::string_view(word) == "--help"; })) fmt::print(usage, model.name);
    benchmark::Initialize(&argc, argv);  // ends the program after --help
    Arguments arguments;
    for (int i = 1; i < argc; i++) {
        if (arguments.read(argv[i])) continue;
        fmt::print(stderr, "{}_bench: unknown or malformed option {}; see --help\n", model.name, argv[i]);
        return 2;
    }

    const halcyon::Plan plan = halcyon::plan_of(model);
    halcyon::Session session(arguments.options.threads);
    halcyon::Results results{.peaks = halcyon::measure_machine_peaks(session.threads()),
                             .threads = arguments.options.threads,
                             .automatic = halcyon::choose_set("auto", halcyon::compiled_sets(plan)).name};
    results.device_peaks = device_peaks(plan);
    halcyon::register_kernels(model, plan, arguments.options, session, results);
#ifdef HALCYON_BENCH_ONEDNN
    halcyon::register_onednn(plan, arguments.options, results);
#endif
    halcyon::register_steps(model, plan, arguments.options, results);
    halcyon::Reporter reporter(results);
    halcyon::on_kernel_stack([&] { benchmark::RunSpecifiedBenchmarks(&reporter); });
    benchmark::Shutdown();
    // A virtual machine may have its CPUs on one core for seconds, at half the peak: kernels timed after those would look twice as good.
    results.peaks = best_of(results.peaks, halcyon::measure_machine_peaks(session.threads()));

    const nlohmann::ordered_json report = halcyon::report(results);
    fmt::print("{}", halcyon::table(report));
    if (arguments.json.empty()) return 0;
    std::ofstream file(arguments.json);
    if (file << report.dump(1) << std::endl) return 0;
    fmt::print(stderr, "{}_bench: {}: cannot be written\n", model.name, arguments.json);
    return 1;
}
