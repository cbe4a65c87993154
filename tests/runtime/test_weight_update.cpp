#include "runtime/engine/weight_update.h"

#include "tests/catch.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

using Floats = std::vector<float>;

/// Tensors of these shapes, as lay_out_slabs() places them.
Plan plan_of(const std::vector<std::vector<int>> &shapes) {
    Plan plan;
    for (const std::vector<int> &shape : shapes) {
        plan.parameters.push_back({.name = "w", .shape = shape, .offset = plan.parameter_bytes, .initializer = "zeros"});
        plan.parameter_bytes += align_buffer(std::int64_t(elements_of(plan.parameters.back()) * sizeof(float)));
    }
    return plan;
}

/// A slab that has these values, one tensor behind the other.
Floats slab_of(const Plan &plan, const std::vector<Floats> &tensors) {
    Floats slab(std::size_t(plan.parameter_bytes) / sizeof(float));
    for (std::size_t i = 0; i < tensors.size(); ++i)
        std::ranges::copy(tensors[i], slab.begin() + plan.parameters[i].offset / std::int64_t(sizeof(float)));
    return slab;
}

/// Two tensors of norms 5 and 10, clipped.
Floats clipped(const Floats &first, const Floats &second, Clipping::By by, double most) {
    const Plan plan = plan_of({{2}, {2}});
    ThreadPool threads(2);
    Floats gradients = slab_of(plan, {first, second});
    WeightUpdate(plan, threads).clip(gradients, {by, most});
    const std::size_t second_at = std::size_t(plan.parameters[1].offset) / sizeof(float);
    return {gradients[0], gradients[1], gradients[second_at], gradients[second_at + 1]};
}

}  // namespace

TEST_CASE("gradients are clipped by value, by each tensor's norm, or by that of all") {
    using enum Clipping::By;
    const Floats small = {3, -4}, large = {-6, 8};
    CHECK(clipped(small, large, value, 3.5) == Floats{3, -3.5, -3.5, 3.5});
    CHECK(clipped(small, large, norm, 5) == Floats{3, -4, -3, 4});
    CHECK(clipped(small, large, norm, 4.96875) == Floats{2.98125F, -3.975F, -2.98125F, 3.975F});
    CHECK(clipped(small, large, norm, 10) == Floats{3, -4, -6, 8});
    CHECK(clipped(small, {0, 0}, norm, 2.5) == Floats{1.5, -2, 0, 0});
    CHECK(clipped({6, 0}, {0, -8}, global_norm, 5) == Floats{3, 0, 0, -4});
    CHECK(clipped({6, 0}, {0, -8}, global_norm, 10) == Floats{6, 0, 0, -8});
    CHECK(clipped({3e30F, -4e30F}, large, norm, 5) == Floats{3, -4, -3, 4});  // whose squares float32 does not hold
}

TEST_CASE("what is not finite among gradients is not clipped away") {
    using enum Clipping::By;
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    const auto nans = [&](const Floats &second, Clipping::By by) {
        std::string pattern;
        for (const float gradient : clipped({3, -4}, second, by, 5)) pattern += std::isnan(gradient) ? '?' : '.';
        return pattern;
    };
    CHECK(nans({nan, 8}, value) == "..?.");
    CHECK(nans({nan, 8}, norm) == "..??");
    CHECK(nans({nan, 8}, global_norm) == "????");
    CHECK(nans({-infinity, 8}, norm) == "..??");
    CHECK(nans({-infinity, 8}, global_norm) == "????");
}

TEST_CASE("a clipped gradient has the same bits with any number of threads") {
    const Plan plan = plan_of({{3, 3, 40, 70}, {70}, {1}, {97, 11, 17}});
    std::vector<Floats> tensors;
    for (const Parameter &parameter : plan.parameters) {
        Floats &tensor = tensors.emplace_back(elements_of(parameter));
        for (std::size_t i = 0; i < tensor.size(); ++i) tensor[i] = std::sin(float(i)) * (i % 7 == 0 ? 1e-39F : 3);  // denormals too
    }
    for (const Clipping::By by : {Clipping::By::value, Clipping::By::norm, Clipping::By::global_norm}) {
        std::vector<Floats> results;
        for (const int count : {1, 2, 5}) {
            ThreadPool threads(count);
            Floats &gradients = results.emplace_back(slab_of(plan, tensors));
            WeightUpdate(plan, threads).clip(gradients, {by, 0.75});
        }
        CHECK(results[0] != slab_of(plan, tensors));
        CHECK(results[1] == results[0]);
        CHECK(results[2] == results[0]);
    }
}

namespace {

using enum Constraint::Type;

/// What becomes of one tensor.
Floats constrained(const Constraint &constraint, const std::vector<int> &shape, const Floats &weights, int count = 2) {
    Plan plan = plan_of({{3}, shape, {5}});  // its neighbours are left alone
    plan.parameters[1].constraint = constraint;
    ThreadPool threads(count);
    Floats slab = slab_of(plan, {{1, -2, 30}, weights, {-1, 2, 3, 4, 50}});
    const Floats before = slab;
    WeightUpdate update(plan, threads);
    CHECK(update.constrains());
    update.constrain(slab);
    const auto begin = plan.parameters[1].offset / std::int64_t(sizeof(float)), end = begin + std::int64_t(weights.size());
    CHECK(std::equal(slab.begin(), slab.begin() + begin, before.begin()));
    CHECK(std::equal(slab.begin() + end, slab.end(), before.begin() + end));
    return {slab.begin() + begin, slab.begin() + end};
}

/// Keras adds 1e-7 to the norm.
float over_norm(double weight, double norm, double desired) { return float(weight * (desired / (1e-7 + norm))); }

}  // namespace

TEST_CASE("norms are held along the axes of a constraint") {
    const Floats weights = {3, 6, -4, 8};  // rows of two; the columns' norms are 5 and 10
    const auto scaled = [&](const Floats &norms, double desired) {
        Floats expected;
        for (std::size_t i = 0; i < weights.size(); ++i)
            expected.push_back(over_norm(weights[i], norms[i], std::min(desired, double(norms[i]))));
        return expected;
    };
    const float row_0 = std::sqrt(45.0F), row_1 = std::sqrt(80.0F);
    CHECK(constrained({max_norm, 7, {0}}, {2, 2}, weights) == scaled({5, 10, 5, 10}, 7));
    CHECK(constrained({max_norm, 7, {0, 1, 2}}, {1, 2, 1, 2}, weights) == scaled({5, 10, 5, 10}, 7));
    CHECK(constrained({max_norm, 7, {1}}, {1, 2, 2}, weights) == scaled({5, 10, 5, 10}, 7));
    CHECK(constrained({max_norm, 2, {0}}, {1, 4}, weights) == scaled({3, 6, 4, 8}, 2));
    CHECK(constrained({max_norm, 2, {0, 2}}, {1, 2, 1, 2}, weights) == scaled({3, 6, 4, 8}, 2));
    const auto nearly = [](const Floats &ours, const Floats &expected) {
        for (std::size_t i = 0; i < ours.size(); ++i) CHECK(std::abs(ours[i] - expected[i]) <= 1e-6F);
    };
    nearly(constrained({unit_norm, 0, {1}}, {2, 2}, weights), {3 / row_0, 6 / row_0, -4 / row_1, 8 / row_1});
    nearly(constrained({unit_norm, 0, {0, 3}}, {1, 2, 1, 2}, weights), {3 / row_0, 6 / row_0, -4 / row_1, 8 / row_1});
    nearly(constrained({unit_norm, 0, {0, 1}}, {2, 2}, {2, 4, -4, 8}), {0.2F, 0.4F, -0.4F, 0.8F});
    Floats many, each_its_own;  // twelve rows of two, whose norms are 5, 10, 15, ...
    for (int row = 1; row <= 12; ++row)
        for (const float weight : {3, -4}) {
            many.push_back(weight * float(row));
            each_its_own.push_back(weight / 5);
        }
    nearly(constrained({unit_norm, 0, {3}}, {2, 3, 2, 2}, many), each_its_own);
    CHECK(constrained({max_norm, 7, {0}}, {2, 2}, {0, 0, 0, 0}) == Floats{0, 0, 0, 0});
    CHECK(constrained({unit_norm, 0, {0}}, {1, 1}, {1e-6F}) == Floats{over_norm(1e-6F, 1e-6F, 1)});  // 0.91
}

TEST_CASE("what is negative becomes zero") {
    CHECK(constrained({non_neg}, {2, 3}, {1, -1, 0.5, -1e-30F, 0, -3}) == Floats{1, 0, 0.5, 0, 0, 0});
}

TEST_CASE("a constraint hands on what is no number") {
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    for (const float bad : {nan, infinity})
        for (const Constraint &constraint : {Constraint{max_norm, 3, {0}}, Constraint{unit_norm, 0, {0}}}) {
            const Floats result = constrained(constraint, {2, 2}, {bad, 1, 2, 1});
            CHECK(std::isnan(result[0]));
            CHECK((std::isfinite(result[1]) && std::isfinite(result[3])));
        }
    CHECK(std::isnan(constrained({non_neg}, {2, 2}, {nan, 1, 2, -1})[0]));
    CHECK(constrained({non_neg}, {2, 2}, {infinity, 1, 2, -1}) == Floats{infinity, 1, 2, 0});
}

TEST_CASE("constrained weights have the same bits with any number of threads, in any columns") {
    const int rows = 37, columns = 201;
    Floats weights(std::size_t(rows * columns));
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(float(i));
    for (const Constraint &constraint : {Constraint{max_norm, 3, {0}}, Constraint{max_norm, 3, {1}}, Constraint{unit_norm, 0, {0, 1}}}) {
        const Floats one = constrained(constraint, {rows, columns}, weights, 1);
        CHECK(one != weights);
        for (const int threads : {2, 5}) CHECK(constrained(constraint, {rows, columns}, weights, threads) == one);
        if (constraint.axes != std::vector{0}) continue;
        for (const int column : {0, 63, 64, 200}) {  // each as a tensor of its own
            Floats alone, in_all;
            for (int row = 0; row < rows; ++row) {
                alone.push_back(weights[std::size_t(row * columns + column)]);
                in_all.push_back(one[std::size_t(row * columns + column)]);
            }
            CHECK(constrained(constraint, {rows, 1}, alone) == in_all);
        }
    }
}
