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

/// AdamW's: a step takes the weight_decay times the learning rate, as it was, of each weight.
void correct_bias_and_decay(OptimizerNumbers &numbers, std::int64_t update) {
    numbers.settings[3] *= numbers.learning_rate;
    correct_bias(numbers, update);
}

}  // namespace

const std::vector<Optimizer> &all_optimizers() {
    using enum Exactness;
    const std::vector<StateSlot> moments = {{"first_moment", "m"}, {"second_moment", "v"}};
    // In the order that correct_bias() knows.
    const OptimizerSetting beta_1 = {"beta_1", 0.9, below_one}, beta_2 = {"beta_2", 0.999, below_one}, epsilon = {"epsilon", 1e-7, scale};
    static const std::vector<Optimizer> optimizers = {
        {"adam", moments, {beta_1, beta_2, epsilon}, 12, derived, correct_bias},
        {"adamw", moments, {beta_1, beta_2, epsilon, {"weight_decay", 0.004, zero_or_scale}}, 14, derived, correct_bias_and_decay},
        {"sgd", {{"velocity", "velocity"}}, {{"momentum", 0, below_one}}, 4, exact},
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
    const auto setting = std::ranges::find(settings, key, &OptimizerSetting::key) - settings.begin();
    if (setting >= std::min<std::ptrdiff_t>(std::ssize(settings), most_optimizer_settings))
        throw std::logic_error(fmt::format("the step buffer has no word for the {} of {}", key, name));
    return step_first_setting + static_cast<int>(setting);
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
