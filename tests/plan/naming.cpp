// Names of kernels: no two shapes of a kernel share one.
#include "plan/naming.h"
#include "plan/kernels.h"
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <type_traits>

using namespace halcyon;

namespace {

/// Every kernel that the shipped network, the one of odd sizes and random ones need on any set.
std::vector<CompiledKernel> planned_kernels() {
    std::vector<CompiledKernel> kernels;
    const auto add = [&](const Model &model) {
        const Plan plan = make_plan(model, {.sets = all_sets()});
        for (const SetPlan &set : plan.sets) kernels.insert(kernels.end(), set.kernels.begin(), set.kernels.end());
    };
    add(cifar10());
    add(load_model(HALCYON_SOURCE_DIR "/tests/kernels/ragged.json"));
    add(load_model(HALCYON_SOURCE_DIR "/tests/kernels/normalised.json"));
    // More classes than a device's block makes with their loss.
    add(make_model(R"({"type": "flatten"}, {"type": "dense", "units": 255, "activation": "softmax"})"));
    std::mt19937 random(5);
    for (int round = 0; round < 40; ++round) {
        // Small inputs, for batch norms whose pixels are few; not every window fits.
        const std::string text = random_chain(random, 3 + round % 6, {1, 2, 3, 4, 8});
        std::optional<Model> model;
        if (failure_of([&] { model = parse_model(text, "t.json"); }).empty()) add(*model);
    }
    return kernels;
}

bool has_window(const std::string &kernel) { return kernel.find("pool") != kernel.npos || kernel.starts_with("conv2d"); }
bool works_on_weights(const std::string &kernel) { return kernel.starts_with("conv2d_fold") || kernel == "winograd_weights"; }

/// By Keras's rules fewer rows and columns than a stride's stay unread.
bool is_whole(const Shape &s) { return s.pad_bottom() > -s.stride_h && s.pad_right() > -s.stride_w; }

/// Whether a layer can have this shape. A name leaves out what follows from the rest.
bool can_be(const std::string &kernel, const Shape &s) {
    if (works_on_weights(kernel)) return s.in_h == s.kernel_h && s.in_w == s.kernel_w;
    if (s.relu > 1 || s.floats > 1) return false;
    if (!has_window(kernel)) return true;
    if (kernel.starts_with("conv2d_pool_") && !is_whole(s.pool())) return false;
    return is_whole(s) && (kernel.starts_with("conv2d") || s.in_c == s.out_c);
}

/// The fields that any of the kernel's shapes sets.
std::set<std::string> fields_of(const std::vector<Shape> &shapes) {
    std::set<std::string> fields;
    std::map<std::string, float> defaults;
    const Shape default_shape;
    for_each_field(default_shape, [&](const std::string &name, auto value) { defaults[name] = float(value); });
    for (const Shape &shape : shapes)
        for_each_field(shape, [&](const std::string &name, auto value) {
            if (float(value) != defaults[name]) fields.insert(name);
        });
    return fields;
}

/// `shape` with another value in each field in turn, and in two that go together.
std::map<std::string, Shape> variations(const Shape &shape) {
    std::map<std::string, Shape> varied;
    for_each_field(shape, [&](const std::string &field, auto) {
        Shape other = shape;
        for_each_field(other, [&](const std::string &name, auto &value) {
            if (name != field) return;
            if constexpr (std::is_floating_point_v<std::remove_reference_t<decltype(value)>>)
                value = std::nextafter(value, 2.0f);
            else
                ++value;
        });
        varied[field] = other;
    });
    varied["in_c"].out_c += shape.in_c == shape.out_c;
    varied["kernel_h"].in_h += shape.in_h == shape.kernel_h;
    varied["kernel_w"].in_w += shape.in_w == shape.kernel_w;
    return varied;
}

}  // namespace

TEST_CASE("no two shapes of any plan share a name") {
    std::map<std::string, Shape> shapes;
    for (const CompiledKernel &kernel : planned_kernels()) {
        const auto [known, is_new] = shapes.emplace(kernel_name(kernel.kernel, kernel.shape), kernel.shape);
        CAPTURE(known->first);
        CHECK(known->second == kernel.shape);
    }
    CHECK(shapes.size() > 500);
}

TEST_CASE("a name shows every field in which two shapes of a kernel can differ") {
    std::map<std::string, std::vector<Shape>> shapes;
    for (const CompiledKernel &kernel : planned_kernels()) shapes[kernel.kernel].push_back(kernel.shape);
    for (const Kernel &kernel : all_kernels()) {
        CAPTURE(kernel.name);
        CHECK(shapes.contains(kernel.name));
    }
    for (const auto &[kernel, of_kernel] : shapes) {
        const std::set<std::string> fields = fields_of(of_kernel);
        int shown = 0;
        for (const Shape &shape : of_kernel) {
            INFO(kernel_name(kernel, shape));
            REQUIRE(can_be(kernel, shape));
            for (const auto &[field, other] : variations(shape)) {
                if (!fields.contains(field) || !can_be(kernel, other)) continue;
                INFO(kernel_name(kernel, shape) << " with another " << field);
                CHECK(kernel_name(kernel, other) != kernel_name(kernel, shape));
                ++shown;
            }
        }
        CAPTURE(kernel);
        CHECK(shown > 0);
    }
}

TEST_CASE("batch norms of one size may differ in each constant alone") {
    std::string layers = R"({"name": "base", "type": "conv2d", "filters": 8, "kernel_size": 3, "strides": 2, "padding": "same"})";
    std::string ends;
    for (const char *kind : {"relu", "max_pooling2d"})
        for (const char *constants : {R"("momentum": 0)", R"("momentum": 0.99)", R"("epsilon": 1e-5)", R"("epsilon": 0.5)"}) {
            const std::string end = fmt::format("end{}", std::ranges::count(layers, '\n'));
            layers += fmt::format(R"(,
                {{"type": "batch_normalization", "inputs": ["base"], {}}}, {{"type": "{}"{}}}, {{"name": "{}", "type": "dropout"}})",
                                  constants, kind, kind == std::string_view("relu") ? "" : R"(, "strides": 1, "padding": "same")", end);
            ends += fmt::format(R"({}"{}")", ends.empty() ? "" : ", ", end);
        }
    layers += fmt::format(R"(, {{"type": "add", "inputs": [{}]}}, {{"type": "flatten"}}, {{"type": "dense", "units": 3,
        "activation": "softmax"}})",
                          ends);
    Plan plan;
    CHECK(failure_of([&] { plan = make_plan(make_model(layers), {.sets = all_sets(), .all_entries = true}); }) == "");
    std::set<std::string> fused;
    for (const SetPlan &set : plan.sets)
        for (const CompiledKernel &kernel : set.kernels)
            if (kernel.kernel == "batch_norm_stats_fwd" || kernel.kernel == "batch_norm_stats_pool_dropout_fwd")
                fused.insert(kernel_name(kernel.kernel, kernel.shape));
    CHECK(fused.size() == 8);
}

TEST_CASE("a symbol that no file can be named after is refused with the limit") {
    const std::string layers = R"({"type": "conv2d", "filters": 3, "kernel_size": 1, "activation": "relu"},
        {"type": "batch_normalization", "momentum": 0.123456}, {"type": "max_pooling2d", "pool_size": [100003, 5003],
        "strides": [123457, 234571], "padding": "same"}, {"type": "dropout"}, {"type": "flatten"},
        {"type": "dense", "units": 3, "activation": "softmax"})";
    const auto failure = [&](std::size_t name_length) {
        std::string text = model_text(layers, "999983, 5, 3");
        text.replace(text.find("\"t\"") + 1, 1, std::string(name_length, 'n'));
        return failure_of([&] { make_plan(parse_model(text, "t.json"), {.sets = all_sets()}); });
    };
    CHECK(failure(50) == "");
    CHECK(failure(100).ends_with(" characters; the most is 220, so the model needs a shorter name"));
    CHECK(failure(100).starts_with("the name nnn"));
    CHECK(failure(101).starts_with("t.json: \"name\" must have at most 100 characters, not \"nnn"));
}
