// The plan beside what a machine measured.
#include "compiler/measurements.h"
#include "compiler/report.h"
#include "tests/catch.h"
#include "tests/plan/support.h"
#include "tests/text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

using namespace halcyon;
using nlohmann::json;

namespace {

/// A file for the life of a test.
class Written {
public:
    explicit Written(const std::string &text) { std::ofstream(path_) << text; }
    ~Written() { std::filesystem::remove(path_); }
    const std::string &path() const { return path_; }

private:
    std::string path_ = fmt::format("{}/halcyon_measurements_{}.json", std::filesystem::temp_directory_path().string(), ::getpid());
};

Plan dense_plan() {
    return make_plan(make_model(R"({"type": "flatten"}, {"type": "dense", "units": 3, "activation": "softmax"})"), {.sets = {x86_avx2()}});
}

const Program &program(const Plan &plan, std::string_view name) { return *std::ranges::find(plan.sets[0].programs, name, &Program::name); }

/// Every call of the plan took 2 ms for 32 images in loops of 4 and 36 tasks, at peaks of 100 GFLOP/s and 10 GB/s, 50 GB/s up to 1 kB.
json bench_of(const Plan &plan) {
    json rows = json::array();
    for (const SetPlan &set : plan.sets)
        for (const Program &program : set.programs)
            for (const Call &call : program.calls) {
                const std::string name = kernel_name(call.kernel);
                rows.push_back({{"kernel", name.substr(0, name.find("__"))},
                                {"shape", name.substr(name.find("__") + 2)},
                                {"set", set.set},
                                {"entry", call.entry},
                                {"batch", call.bytes_per_image > 0 ? json(32) : json(nullptr)},
                                {"ms", 2.0},
                                {"tasks", {4, 36}}});
            }
    return {{"machine",
             {{"cpu", "a CPU"},
              {"threads", 2},
              {"peak_gflops", 100.0},
              {"bandwidths",
               {{{"level", "L2"}, {"bytes", 1000}, {"gb_per_second", 50.0}},
                {{"level", "memory"}, {"bytes", INT64_MAX}, {"gb_per_second", 10.0}}}}}},
            {"kernels", rows}};
}

Measurements read(const json &bench) { return read_measurements(Written(bench.dump()).path()); }

std::string line_with(const std::string &text, const std::string &part) {
    const std::size_t place = text.find(part);
    if (place == std::string::npos) return "";
    const std::size_t begin = text.rfind('\n', place) + 1;
    return text.substr(begin, text.find('\n', place) - begin);
}

}  // namespace

TEST_CASE("a plan adds up what a step moves") {
    const Plan plan = dense_plan();
    std::int64_t bytes = 0;
    for (const Call &call : program(plan, "gradients").calls) bytes += 32 * call.bytes_per_image + call.bytes_fixed;
    CHECK(contains(line_with(describe(plan, 32), "program gradients"),
                   fmt::format("; 32 images move {:.2f} MiB", double(bytes) / (1 << 20))));
}

TEST_CASE("a plan beside measurements shows each call's tasks, bound and time, and their sums") {
    const Plan plan = dense_plan();
    const Program &gradients = program(plan, "gradients");
    const std::string text = describe(plan, 32, read(bench_of(plan)));
    CHECK(contains(text, "measured on a CPU, threads: 2, 100 GFLOP/s"));

    // The input layer only moves bytes, more than 1 kB of them: 32 images of 192 bytes and as many floats, and their indices.
    const Call &input = program(plan, "input").calls[0];
    const double least_ms = 1e3 * double(32 * input.bytes_per_image + input.bytes_fixed) / 10e9;
    CHECK(contains(line_with(text, "input_fwd__"), fmt::format("{:.3f}    2.000              4+36", least_ms)));
    CHECK(contains(line_with(text, "program gradients"), fmt::format("measured {}.000 ms", 2 * gradients.calls.size())));
}

TEST_CASE("what was not measured has no time, nor has its sum") {
    const Plan plan = dense_plan();
    json bench = bench_of(plan);
    std::erase_if(bench["kernels"].get_ref<json::array_t &>(), [](const json &row) { return row.at("kernel") == "input_fwd"; });
    const std::string text = describe(plan, 32, read(bench));
    CHECK(contains(line_with(text, "input_fwd__"), "        -                 -"));
    CHECK(contains(line_with(text, "program input:"), "measured - ms"));
    CHECK(contains(line_with(text, "program adam"), "measured 2.000 ms"));
    CHECK(contains(line_with(describe(plan, 16, read(bench_of(plan))), "program gradients"), "measured - ms"));
}

TEST_CASE("what is no benchmark's result is refused in a line") {
    const auto error_of = [](const std::string &text) {
        const Written file(text);
        const std::string message = failure_of([&] { read_measurements(file.path()); });
        CHECK(message.starts_with(file.path()));
        CHECK(!contains(message, "\n"));
        return message;
    };
    CHECK(contains(error_of("{\"machine\": "), ":1: syntax error"));
    CHECK(contains(error_of("[1, 2]"), "is not what this version's cifar10_bench --json writes"));
    CHECK(contains(error_of(to_json(dense_plan())), "machine"));
    json old = bench_of(dense_plan());
    old["kernels"][0].erase("tasks");
    CHECK(contains(error_of(old.dump()), "tasks"));
    CHECK_FALSE(contains(error_of(old.dump()), "json.exception"));
    const auto error_with = [&](const char *place, const json &value) {
        json bench = bench_of(dense_plan());
        bench[json::json_pointer(place)] = value;
        return error_of(bench.dump());
    };
    for (const json &value : {json(-1), json(1.5), json(1e300), json("4"), json(nullptr), json(std::uint64_t{1} << 63)}) {
        CHECK(contains(error_with("/machine/threads", value), value.dump() + " must be a whole number"));
        CHECK(contains(error_with("/machine/bandwidths/0/bytes", value), value.dump() + " must be a whole number"));
        CHECK(contains(error_with("/kernels/0/tasks/1", value), value.dump() + " must be a whole number"));
    }
    for (const json &value : {json(0), json(-2.5), json("4"), json(nullptr), json::array()}) {
        CHECK(contains(error_with("/machine/peak_gflops", value), value.dump() + " must be a number above 0"));
        CHECK(contains(error_with("/machine/bandwidths/1/gb_per_second", value), value.dump() + " must be a number above 0"));
        CHECK(contains(error_with("/kernels/0/ms", value), value.dump() + " must be a number above 0"));
    }
    CHECK_FALSE(contains(error_with("/kernels/0/set", json(3)), "json.exception"));
    json empty = bench_of(dense_plan());
    empty["machine"]["bandwidths"] = json::array();
    CHECK(contains(error_of(empty.dump()), "no bandwidths"));
    CHECK(contains(failure_of([] { read_measurements("/nowhere/bench.json"); }), "/nowhere/bench.json: cannot be read"));
}
