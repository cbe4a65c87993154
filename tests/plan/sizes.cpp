// Sizes that no machine has: a model is refused with a line, or every number of its plan is sound.
#include "compiler/options.h"
#include "compiler/report.h"
#include "plan/optimizers.h"
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <optional>

using namespace halcyon;

namespace {

const std::string flatten = R"({"type": "flatten"})", softmax = R"({"type": "dense", "units": 3, "activation": "softmax"})";

/// The elements of a buffer, of one image where there are many.
double elements(const Buffer &buffer) {
    return std::accumulate(buffer.extents.begin(), buffer.extents.end(), 1.0,
                           [](double product, int extent) { return extent < 0 ? product : product * extent; });
}

bool lies_within(const Buffer &buffer, std::int64_t end) { return buffer.offset >= 0 && buffer.bytes <= end - buffer.offset; }

/// The size of what the buffer lies in; nothing where the runtime binds it or makes it as large as it must be.
std::optional<std::int64_t> home_bytes(const Plan &plan, const SetPlan &set, const Program &program, Home home) {
    switch (home) {
    case Home::arena_batch:
        return program.arena_bytes_per_image;
    case Home::arena_fixed:
        return program.arena_bytes_fixed;
    case Home::parameters:
    case Home::gradients:
        return plan.parameter_bytes;
    case Home::moving:
        return plan.moving_bytes;
    case Home::optimizer:
        return most_optimizer_slots() * plan.parameter_bytes;
    case Home::prepared:
        return set.prepared_bytes;
    case Home::zeros:
    case Home::ones:
    case Home::external:
        return {};
    }
    return {};
}

void check(bool sound, const std::string &what) {
    if (!sound) FAIL_CHECK(what << " is not sound");
}

void check_program(const Plan &plan, const SetPlan &set, const Program &program) {
    for (const Buffer &buffer : program.buffers) {
        check(elements(buffer) <= double(most_floats), buffer.name);
        const std::optional<std::int64_t> bytes = home_bytes(plan, set, program, buffer.home);
        if (bytes) check(double(buffer.bytes) == 4 * elements(buffer) && lies_within(buffer, *bytes), buffer.name);
    }
    for (const Call &call : program.calls) {
        double per_image = 0, fixed = 0;
        for (const int argument : call.arguments) {
            const Buffer &buffer = program.buffers[argument];
            const bool of_images = std::ranges::any_of(buffer.extents, [](int extent) { return extent < 0; });
            (of_images ? per_image : fixed) += elements(buffer) * (buffer.type == "uint8" ? 1 : buffer.type == "uint16" ? 2 : 4);
        }
        check(double(call.bytes_per_image) == per_image, call.symbol);
        check(double(call.bytes_fixed) >= fixed && double(call.bytes_fixed) <= 2 * fixed, call.symbol);
        check(call.flops >= 0 && call.flops < std::ldexp(1.0, 63), call.symbol);
    }
}

void check_plan(const Plan &plan) {
    double weights = 0;
    for (const LayerSummary &layer : plan.layers) weights += double(layer.parameters);
    CHECK(double(plan.trainable + plan.non_trainable) == weights);
    CHECK(plan.parameter_bytes + plan.moving_bytes <= 4 * most_floats);
    CHECK(double(plan.parameter_bytes) >= 4 * double(plan.trainable));
    for (const SetPlan &set : plan.sets) {
        for (const Program &program : set.programs) check_program(plan, set, program);
        for (const CompiledKernel &kernel : set.kernels)
            for (const Buffer &argument : kernel.arguments)
                check(elements(argument) <= double(most_floats), kernel.symbol + " " + argument.name);
    }
}

std::string message(const std::string &layers, const std::string &input) {
    return failure_of([&] { parse_model(model_text(layers + ", " + flatten + ", " + softmax, input), "t.json"); });
}

}  // namespace

TEST_CASE("a model of random sizes is refused with a line that names the layer, or planned soundly", "[exhaustive]") {
    std::mt19937 random(6);
    int planned = 0, refused = 0;
    for (int round = 0; round < 400; ++round) {
        const std::string text = random_chain(random, 1 + round % 5, {1, 1, 2, 3, 4, 16, 113, 1024, 4099, 32768, 65535, 1'000'000});
        CAPTURE(text);
        std::optional<Model> model;
        const std::string failure = failure_of([&] { model = parse_model(text, "t.json"); });
        if (!model) {
            CHECK((failure.starts_with("t.json: layers[") || failure.starts_with("t.json: the input would hold")));
            ++refused;
            continue;
        }
        for (const Set &set : all_sets()) {
            Plan plan;
            const std::string failure = failure_of([&] { plan = make_plan(*model, {.sets = {set}, .all_entries = round % 4 == 0}); });
            if (failure.empty()) {
                check_plan(plan);
                ++planned;
            } else {
                // The sums of so many channels have no place on a device.
                CHECK(failure.starts_with("layer \"batch_normalization"));
                CHECK(set.on_device());
            }
        }
    }
    CHECK(planned > 1000);
    CHECK(refused > 100);
}

TEST_CASE("the largest of each kind is taken, and one more refused") {
    const std::string relu = R"({"type": "relu"})";
    CHECK(message(relu, "13, 5, 2753210") == "t.json: \"shape\" must be [rows, columns, channels], each a whole number from 1 to 1000000, "
                                             "not [13,5,2753210]");
    CHECK(message(R"({"type": "max_pooling2d", "pool_size": 1000})", "16384, 32767, 1") == "");
    CHECK(message(R"({"type": "max_pooling2d", "pool_size": 1000})", "16384, 32768, 1") ==
          "t.json: the input would hold 5.37e+08 floats; the most is 536870911");
    CHECK(message(relu, "20000, 20000, 3") == "t.json: the input would hold 1.2e+09 floats; the most is 536870911");
    CHECK(message(R"({"type": "max_pooling2d", "pool_size": 1000})", "100000, 100000, 3") ==
          "t.json: the input would hold 3e+10 floats; the most is 536870911");
    CHECK(message(R"({"type": "conv2d", "filters": 1000000, "kernel_size": 1})", "32, 32, 3") ==
          "t.json: layers[0] \"conv2d\": its output would hold 1.02e+09 floats; the most is 536870911");
    CHECK(message(R"({"type": "max_pooling2d", "pool_size": [23170, 23171], "padding": "same"})", "8, 8, 3") ==
          "t.json: layers[0] \"max_pooling2d\": pool 23170x23171 has 536872070 taps; the most is 536870911");
    // An odd window, whose padding fills it up, and strides far beyond it.
    const std::string sparse = R"({"type": "conv2d", "filters": 2, "kernel_size": [9999, 1], "strides": 1000000, "padding": "same"})";
    const Model model = parse_model(model_text(sparse + ", " + flatten + ", " + softmax), "t.json");
    CHECK(model.layers[0]->out == FeatureMap{1, 1, 2});

    const auto dense = [](int units) { return fmt::format(R"({{"type": "dense", "units": {}}})", units); };
    CHECK(message(flatten + ", " + dense(530'000), "10, 10, 10") == "");
    CHECK(message(flatten + ", " + dense(536'870), "10, 10, 10") ==
          "t.json: layers[1] \"dense\": the weights up to here would hold 5.37e+08 floats; the most is 536870911");
    CHECK(message(flatten + ", " + dense(536'871), "10, 10, 10") ==
          "t.json: layers[1] \"dense\": its kernel would hold 5.37e+08 floats; the most is 536870911");
    CHECK(message(flatten + ", " + dense(300'000) + ", " + dense(1000), "10, 10, 10") ==
          "t.json: layers[2] \"dense_1\": the weights up to here would hold 6e+08 floats; the most is 536870911");
}

TEST_CASE("layers are so few that a plan takes no more than a minute") {
    const auto relus = [](int count) {
        std::string layers;
        for (int i = 0; i < count; ++i) layers += fmt::format(R"({}{{"type": "relu"}})", i == 0 ? "" : ", ");
        return layers;
    };
    CHECK(message(relus(9998), "1, 1, 1") == "");
    CHECK(message(relus(9999), "1, 1, 1") == "t.json: layers[10000] \"dense\": the layers up to here read 10001 inputs; the most is 10000");
    const auto add = [](int count) {
        std::string inputs = R"("input")";
        for (int i = 1; i < count; ++i) inputs += R"(, "input")";
        return fmt::format(R"({{"type": "add", "inputs": [{}]}})", inputs);
    };
    CHECK(message(add(9998), "1, 1, 1") == "");
    CHECK(message(add(100'000), "1, 1, 1") == "t.json: layers[0] \"add\": the layers up to here read 100000 inputs; the most is 10000");
}

TEST_CASE("what lives how long is drawn where the calls have room on a line", "[exhaustive]") {
    const std::string convolution = R"({"type": "conv2d", "filters": 1, "kernel_size": 1})";
    const auto described = [&](int relus) {
        std::string layers = convolution;
        for (int i = 0; i < relus; ++i) layers += R"(, {"type": "relu"})";
        const Plan plan = make_plan(make_model(layers + ", " + flatten + ", " + softmax), {.sets = {x86_avx2()}});
        const std::string text = describe(plan, 1);
        // In inference the ReLUs are a few calls' chains.
        return text.substr(0, text.find("program infer"));
    };
    const std::string few = described(10), many = described(2000);
    CHECK(few.find("##") != std::string::npos);
    CHECK(many.find("##") == std::string::npos);
    CHECK(many.find("  0 to 2337\n") != std::string::npos);
    CHECK(many.size() < 500 * few.size());
}

TEST_CASE("a workspace that Halide cannot index leaves an entry out") {
    // Two sums for every one of 2^28 and more inputs.
    const Model model = parse_model(
        model_text(R"({"type": "batch_normalization"}, {"type": "max_pooling2d", "pool_size": 4096}, )" + flatten + ", " + softmax,
                   "16384, 16384, 1"),
        "t.json");
    const Plan plan = make_plan(model, {.sets = {x86_avx2()}});
    check_plan(plan);
    const auto &calls = std::ranges::find(plan.sets[0].programs, "gradients", &Program::name)->calls;
    const auto stats = std::ranges::find_if(calls, [](const Call &call) { return call.kernel.core == "batch_norm_stats"; });
    REQUIRE(stats != calls.end());
    CHECK(stats->reason.find("its tiles would hold 5.37e+08 floats") != std::string::npos);
}
