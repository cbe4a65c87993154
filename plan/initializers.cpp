#include "plan/initializers.h"

#include <algorithm>
#include <cmath>

namespace halcyon {
namespace {

using enum Distribution;

float both(const Parameter &parameter) { return static_cast<float>(parameter.fan_in + parameter.fan_out); }
float inputs(const Parameter &parameter) { return static_cast<float>(parameter.fan_in); }

/// Of the variance numerator / fan.
template<int numerator, float (*fan)(const Parameter &)>
Draw uniform_of(const Parameter &parameter) {
    return {uniform, 0, std::sqrt(3.0F * numerator / fan(parameter))};
}

/// The deviation of a normal distribution of deviation 1 that is cut off at -2 and 2.
constexpr float truncated_deviation = 0.87962566103423978F;

template<int numerator, float (*fan)(const Parameter &)>
Draw normal_of(const Parameter &parameter) {
    return {truncated_normal, 0, std::sqrt(numerator / fan(parameter)) / truncated_deviation};
}

template<Distribution distribution>
Draw given(const Parameter &parameter) {
    return {distribution, parameter.values[0], parameter.values[1]};
}

template<int value>
Draw everywhere(const Parameter &) {
    return {uniform, value, 0};
}

constexpr double most = 1e12;

}  // namespace

const std::vector<Initializer> &all_initializers() {
    static const std::vector<InitializerOption> normal_options = {{"mean", 0, -most, most}, {"stddev", 0.05, 0, most}};
    static const std::vector<Initializer> initializers = {
        // Glorot and Bengio, 2010.
        {"glorot_uniform", Fans::own, {}, uniform_of<2, both>},
        {"glorot_normal", Fans::own, {}, normal_of<2, both>},
        // He and others, 2015.
        {"he_uniform", Fans::own, {}, uniform_of<2, inputs>},
        {"he_normal", Fans::own, {}, normal_of<2, inputs>},
        // LeCun and others, 1998.
        {"lecun_uniform", Fans::own, {}, uniform_of<1, inputs>},
        {"lecun_normal", Fans::own, {}, normal_of<1, inputs>},
        {"random_uniform",
         Fans::none,
         {{"minval", -0.05, -most, most}, {"maxval", 0.05, -most, most}},
         [](const Parameter &p) {
             return Draw{uniform, (p.values[1] + p.values[0]) / 2, (p.values[1] - p.values[0]) / 2};
         }},
        {"random_normal", Fans::none, normal_options, given<normal>},
        {"truncated_normal", Fans::none, normal_options, given<truncated_normal>},
        {"zeros", Fans::none, {}, everywhere<0>},
        {"ones", Fans::none, {}, everywhere<1>},
        {"constant",
         Fans::none,
         {{"value", 0, -most, most}},
         [](const Parameter &p) {
             return Draw{uniform, p.values[0], 0};
         }},
        // kaiming_uniform(a = sqrt(5)) of a kernel, and of a bias the same limit: 1 / sqrt(fan_in).
        {"pytorch",
         Fans::of_kernel,
         {},
         [](const Parameter &p) {
             return Draw{uniform, 0, 1 / std::sqrt(inputs(p))};
         }},
    };
    return initializers;
}

const Initializer *find_initializer(std::string_view name) {
    const auto found = std::ranges::find(all_initializers(), name, &Initializer::name);
    return found == all_initializers().end() ? nullptr : &*found;
}

}  // namespace halcyon
