// What weights begin as: the moments and bounds of Keras's definitions.
#include "plan/initializers.h"
#include "runtime/engine/initializers.h"
#include "tests/catch.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

using namespace halcyon;

namespace {

constexpr int fan_in = 90, fan_out = 160;

std::vector<float> drawn(const std::string &initializer, const std::vector<float> &values, std::uint32_t index = 3) {
    const Parameter parameter{.name = "w", .shape = {}, .initializer = initializer, .fan_in = fan_in, .fan_out = fan_out, .values = values};
    std::vector<float> weight(100'000);
    initialize_weight(weight, parameter, index, 5);
    return weight;
}

/// The mean and the standard deviation lie within five of their standard errors, of which no distribution here has a larger one than the
/// normal; all values lie within the bound and reach that part of it.
void check(const std::string &initializer, const std::vector<float> &values, double mean, double deviation, double bound,
           double reached = 0.95) {
    CAPTURE(initializer);
    const std::vector<float> weight = drawn(initializer, values);
    const double count = double(weight.size());
    double sum = 0, squares = 0, largest = 0;
    for (const float value : weight) sum += value;
    for (const float value : weight) {
        squares += std::pow(value - sum / count, 2);
        largest = std::max(largest, std::abs(value - mean));
    }
    CHECK(std::abs(sum / count - mean) <= 5 * deviation / std::sqrt(count));
    CHECK(std::abs(std::sqrt(squares / count) - deviation) <= 5 * deviation / std::sqrt(2 * count));
    CHECK(largest <= bound * (1 + 1e-6));
    CHECK(largest >= reached * bound);
    CHECK(drawn(initializer, values, 4) != weight);
    CHECK(drawn(initializer, values) == weight);
}

}  // namespace

TEST_CASE("initializers that scale have Keras's variance and bounds") {
    const struct {
        std::string name;
        double variance;
    } rows[] = {{"glorot", 2.0 / (fan_in + fan_out)}, {"he", 2.0 / fan_in}, {"lecun", 1.0 / fan_in}};
    for (const auto &[name, variance] : rows) {
        const double deviation = std::sqrt(variance);
        check(name + "_uniform", {}, 0, deviation, std::sqrt(3) * deviation);
        check(name + "_normal", {}, 0, deviation, 2 * deviation / 0.87962566103423978);
    }
    check("pytorch", {}, 0, 1 / std::sqrt(3.0 * fan_in), 1 / std::sqrt(double(fan_in)));
}

TEST_CASE("initializers that are told their values keep to them") {
    check("random_uniform", {-1, 3}, 1, 2 / std::sqrt(3), 2);
    check("truncated_normal", {2, 0.5F}, 2, 0.5 * 0.87962566103423978, 1);
    // The largest of 100,000 numbers lies beyond four deviations; none can lie beyond six.
    check("random_normal", {-1, 0.25F}, -1, 0.25, 6 * 0.25, 4.0 / 6);
    for (const auto &[name, values, value] : {std::tuple<std::string, std::vector<float>, float>{"zeros", {}, 0},
                                              {"ones", {}, 1},
                                              {"constant", {0.3F}, 0.3F},
                                              {"random_normal", {2, 0}, 2}})
        CHECK(drawn(name, values) == std::vector<float>(100'000, value));
    CHECK_THROWS_AS(drawn("uniform", {}), std::runtime_error);
    CHECK_THROWS_AS(drawn("constant", {}), std::runtime_error);
}
