#include "plan/optimizers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace halcyon {
namespace {

constexpr SettingRange below_one{1e-30, 0.9999999, true}, scale{1e-30, 1e30, false}, zero_or_scale{1e-30, 1e30, true};

/// Adam's: the moments begin as 0, which their first means lean to.
void correct_bias(OptimizerNumbers &numbers, std::int64_t update) {
    const auto t = static_cast<double>(update);
    const double beta_1 = numbers.settings[0], beta_2 = numbers.settings[1];
    numbers.learning_rate = numbers.learning_rate * std::sqrt(1.0 - std::pow(beta_2, t)) / (1.0 - std::pow(beta_1, t));
}

/// A step takes the weight_decay times the learning rate, as it was, of each weight.
template<int place>
void decay(OptimizerNumbers &numbers, std::int64_t) {
    numbers.settings[place] *= numbers.learning_rate;
}

void correct_bias_and_decay(OptimizerNumbers &numbers, std::int64_t update) {
    decay<3>(numbers, update);
    correct_bias(numbers, update);
}

/// The accumulator in memory begins as 0: what it is to begin as is added with epsilon.
void add_initial_accumulator(OptimizerNumbers &numbers, std::int64_t update) {
    numbers.settings[1] += numbers.settings[0];
    decay<2>(numbers, update);
}

/// Keras's Nadam: its momentum u_t = beta_1 (1 - 0.96^t / 2) grows with the steps, and the first moment is corrected by the product of all
/// so far. With r = sqrt(1 - beta_2^t), p -= lr (a m + b g) / (sqrt(v) / r + epsilon) is lr r a, lr r b and epsilon r.
void correct_growing_momentum(OptimizerNumbers &numbers, std::int64_t update) {
    const double beta_1 = numbers.settings[0], beta_2 = numbers.settings[1];
    const auto momentum = [&](std::int64_t t) { return beta_1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(t))); };
    constexpr std::int64_t factors = 899;  // from the next one on 1 - 0.96^t / 2 is 1 in double
    double product = std::pow(beta_1, static_cast<double>(update)), fading = 1;
    for (std::int64_t t = 1; t <= std::min(update, factors); ++t) {
        fading *= 0.96;
        product *= 1 - fading / 2;
    }
    const double r = std::sqrt(1 - std::pow(beta_2, static_cast<double>(update))), rate = numbers.learning_rate * r;
    numbers.learning_rate = rate * momentum(update + 1) / (1 - product * momentum(update + 1));
    numbers.settings[2] *= r;
    numbers.settings[3] = rate * (1 - momentum(update)) / (1 - product);
}

}  // namespace

const std::vector<Optimizer> &all_optimizers() {
    using enum Exactness;
    const std::vector<StateSlot> moments = {{"first_moment", "m"}, {"second_moment", "v"}};
    // In the order that correct_bias() knows.
    const OptimizerSetting beta_1 = {"beta_1", 0.9, below_one}, beta_2 = {"beta_2", 0.999, below_one}, epsilon = {"epsilon", 1e-7, scale};
    const OptimizerSetting weight_decay = {"weight_decay", 0, zero_or_scale}, momentum = {"momentum", 0, below_one};
    const std::vector<OptimizerSetting> sgd = {momentum, weight_decay, {"l2", 0, zero_or_scale}};
    const std::vector<OptimizerSetting> rmsprop = {{"rho", 0.9, below_one}, momentum, epsilon, weight_decay};
    const std::vector<StateSlot> rms = {{"momentum", "momentum"}, {"mean_square", "velocity"}};
    static const std::vector<Optimizer> optimizers = {
        {"adam", moments, {beta_1, beta_2, epsilon}, 12, derived, correct_bias},
        {"adamw", moments, {beta_1, beta_2, epsilon, {"weight_decay", 0.004, zero_or_scale}}, 14, derived, correct_bias_and_decay},
        {"sgd", {{"velocity", "velocity"}}, sgd, 8, exact, decay<1>},
        {"sgd_nesterov", {{"velocity", "velocity"}}, sgd, 10, exact, decay<1>, {}, "sgd", "nesterov"},
        {"rmsprop", rms, rmsprop, 11, derived, decay<3>},
        {"rmsprop_centered",
         {rms[0], rms[1], {"average_gradient", "average_gradient"}},
         rmsprop,
         16,
         derived,
         decay<3>,
         {},
         "rmsprop",
         "centered"},
        {"adagrad",
         {{"accumulator", "accumulator"}},
         {{"initial_accumulator_value", 0.1, zero_or_scale}, epsilon, weight_decay},
         8,
         derived,
         add_initial_accumulator},
        {"adadelta",
         {{"accumulated_delta", "accumulated_delta_var"}, {"accumulated_gradient", "accumulated_grad"}},
         {{"rho", 0.95, below_one}, epsilon, weight_decay},
         17,
         derived,
         decay<2>},
        {"nadam", moments, {beta_1, beta_2, epsilon}, 14, derived, correct_growing_momentum, {"gradient_rate"}},
    };
    return optimizers;
}

const Optimizer &find_optimizer(std::string_view name) {
    const auto optimizer = std::ranges::find(all_optimizers(), name, &Optimizer::name);
    if (optimizer != all_optimizers().end()) return *optimizer;
    std::vector<std::string> there_are;
    for (const Optimizer &known : all_optimizers()) there_are.push_back(known.name);
    throw std::invalid_argument(fmt::format("there is no optimizer \"{}\"; there are {}", name, fmt::join(there_are, ", ")));
}

int Optimizer::word_of(std::string_view key) const {
    auto place = std::ranges::find(settings, key, &OptimizerSetting::key) - settings.begin();
    if (place == std::ssize(settings)) place += std::ranges::find(computed, key) - computed.begin();
    if (place >= std::min<std::ptrdiff_t>(std::ssize(settings) + std::ssize(computed), most_optimizer_settings))
        throw std::logic_error(fmt::format("the step buffer has no word for the {} of {}", key, name));
    return step_first_setting + static_cast<int>(place);
}

std::vector<double> standard_settings(const Optimizer &optimizer) {
    std::vector<double> settings;
    for (const OptimizerSetting &setting : optimizer.settings) settings.push_back(setting.standard);
    return settings;
}

int most_optimizer_slots() {
    std::size_t most = 0;
    for (const Optimizer &optimizer : all_optimizers()) most = std::max(most, optimizer.slots.size());
    return static_cast<int>(most);
}

std::string to_string(const SettingRange &range) {
    std::string text = fmt::format("{}a number from {} to {}", range.or_zero ? "0 or " : "", range.least, range.most);
    std::erase(text, '+');  // 1e30 as a recipe has it
    return text;
}

}  // namespace halcyon
