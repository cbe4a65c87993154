#include "bench/results.h"
#include "tests/catch.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

using namespace halcyon;
using nlohmann::ordered_json;

namespace {

/// 100 GFLOP/s; 50 GB/s for what fits in 1 MB, 10 for the rest.
Results results_on_a_machine() {
    return {.peaks = {.gflops = 100, .bandwidths = {{"L2", 1'000'000, 50}, {"memory", INT64_MAX, 10}}}, .threads = 2, .automatic = "fast"};
}

KernelResult kernel(const std::string &name, const std::string &set, int calls, double flops, double bytes, double seconds) {
    return {.kernel = name,
            .shape = "h4",
            .set = set,
            .entry = "tile",
            .batch = 64,
            .train_calls = calls,
            .flops = flops,
            .bytes = bytes,
            .seconds = seconds};
}

std::vector<std::string> kernels_of(const ordered_json &report) {
    std::vector<std::string> names;
    for (const ordered_json &row : report.at("kernels"))
        names.push_back(row.at("kernel").get<std::string>() + ' ' + row.at("set").get<std::string>());
    return names;
}

}  // namespace

TEST_CASE("the kernel that loses most time against its bound comes first, what the automatic set calls before all else") {
    Results results = results_on_a_machine();
    results.kernels = {kernel("slow", "reference", 1, 1e9, 1e3, 9), kernel("idle", "fast", 0, 1e9, 1e3, 8),
                       kernel("small", "fast", 1, 1e6, 1e3, 0.1),   kernel("long", "fast", 1, 100e9, 1e3, 1.05),
                       kernel("never", "fast", 1, 1e9, 1e3, 0),     kernel("winner", "fast", 1, 100e9, 1e3, 0.7)};
    CHECK(kernels_of(report(results)) == std::vector<std::string>{"small fast", "long fast", "winner fast", "slow reference", "idle fast"});
}

TEST_CASE("a kernel is rated against what bounds it") {
    Results results = results_on_a_machine();
    results.kernels = {kernel("compute", "fast", 1, 2e9, 1e5, 0.04), kernel("cached", "fast", 1, 1e3, 500'000, 20e-6),
                       kernel("streamed", "fast", 1, 1e3, 2'000'000, 400e-6), kernel("fewer", "fast", 1, 3e9, 1e5, 0.02)};
    const ordered_json rows = report(results).at("kernels");
    const auto near = [](const ordered_json &value, double expected) {
        return std::abs(value.get<double>() - expected) <= 1e-9 * std::abs(expected);
    };
    const auto check = [&](const std::string &name, const std::string &bound, double of_peak, double of_bound, double lost_ms) {
        INFO(name);
        const ordered_json row = *std::ranges::find_if(rows, [&](const ordered_json &any) { return any.at("kernel") == name; });
        CHECK(row.at("bound") == bound);
        CHECK(near(row.at("percent_of_peak"), of_peak));
        CHECK(near(row.at("percent_of_bound"), of_bound));
        CHECK(near(row.at("lost_ms"), lost_ms));
    };
    check("compute", "compute", 50, 50, 20);
    check("cached", "memory", 1e3 / 20e-6 / 1e11 * 100, 50, 0.01);
    check("streamed", "memory", 1e3 / 400e-6 / 1e11 * 100, 50, 0.2);
    check("fewer", "compute", 150, 150, -10);  // as an algorithm does that needs fewer operations than it is counted
}

TEST_CASE("of two measurements of the machine the faster figures count") {
    const MachinePeaks one_core{.gflops = 100, .bandwidths = {{"L2", 1'000'000, 50}, {"memory", INT64_MAX, 12}}},
        two_cores{.gflops = 200, .bandwidths = {{"L2", 1'000'000, 100}, {"memory", INT64_MAX, 10}}};
    for (const MachinePeaks &best : {best_of(one_core, two_cores), best_of(two_cores, one_core)}) {
        CHECK(best.gflops == 200);
        CHECK(best.bandwidth_for(1e3) == 100);
        CHECK(best.bandwidth_for(1e9) == 12);
    }
}

TEST_CASE("a time goes to the row of its benchmark, and rows are compared with the reference of the same batch") {
    Results results = results_on_a_machine();
    results.kernels = {kernel("conv", "fast", 1, 1e9, 1e3, 0), kernel("conv", "reference", 1, 1e9, 1e3, 0)};
    results.kernels.push_back(results.kernels.back());
    results.kernels.back().batch = 0;
    results.steps = {{.step = "train", .set = "fast", .batch = 64, .flops = 50e9}};
    results.record("conv/h4/fast/tile/64", 0.5);
    results.record("conv/h4/reference/tile/64", 4);
    results.record("conv/h4/reference/tile", 7);
    results.record("step/train/fast/64", 2);

    const ordered_json document = report(results);
    CHECK(document.at("kernels").at(0).at("ms") == 500);
    CHECK(document.at("kernels").at(0).at("times_reference") == 8);
    CHECK(document.at("kernels").at(1).at("batch").is_null());
    CHECK(document.at("steps").at(0).at("images_per_second") == 32);
    CHECK(document.at("steps").at(0).at("percent_of_peak") == 25);
    CHECK(document.at("machine").at("peak_gflops") == 100);
    CHECK(document.at("machine").at("bandwidths").at(1).at("gb_per_second") == 10);
}

TEST_CASE("the table's columns line up") {
    Results results = results_on_a_machine();
    results.kernels = {kernel("a_kernel_with_a_long_name", "fast", 1, 5e9, 1e3, 12345), kernel("conv", "fast", 1, 1e9, 1e3, 0.001)};
    results.kernels.back().batch = 0;
    std::istringstream lines(table(report(results)));
    std::vector<std::string> rows;
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("kernel") || line.find("tile") != std::string::npos) rows.push_back(line);
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].size() == rows[1].size());
    CHECK(rows[0].size() == rows[2].size());
    CHECK(rows[1].starts_with("a_kernel_with_a_long_name  h4"));
}

TEST_CASE("a row has the tasks of every parallel loop") {
    Results results = results_on_a_machine();
    results.kernels = {kernel("loops", "fast", 1, 1e9, 1e3, 1), kernel("serial", "fast", 1, 1e9, 1e3, 2)};
    results.kernels[0].tasks = {36, 4};
    const ordered_json rows = report(results).at("kernels");
    CHECK(rows[1].at("tasks") == ordered_json({36, 4}));
    CHECK(rows[0].at("tasks").empty());
    const std::string text = table(report(results));
    CHECK(text.find(" 36+4 ") != std::string::npos);
}
