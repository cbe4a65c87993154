#include "runtime/engine/step_words.h"

#include "plan/step.h"
#include "runtime/engine/random.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <string_view>

namespace halcyon {
namespace {

using Words = std::span<std::uint32_t>;

void require(bool holds, std::string_view what, float value, std::string_view range) {
    if (!holds) throw std::invalid_argument(fmt::format("a {} of {}: it must be {}", what, value, range));
}

template<typename Word>
void set_word(Words words, int field, Word value) {
    words[static_cast<std::size_t>(field)] = std::bit_cast<std::uint32_t>(value);
}

void write_dropout(Words words, const Plan &plan, const std::vector<float> &rates) {
    if (!rates.empty() && rates.size() != static_cast<std::size_t>(plan.dropout_layers))
        throw std::invalid_argument(fmt::format("{} dropout rates for {} dropout layers", rates.size(), plan.dropout_layers));
    for (int layer = 0; layer < plan.dropout_layers; ++layer) {
        const auto place = static_cast<std::size_t>(layer);
        const float own = plan.dropout_rates.empty() ? 0.0F : static_cast<float>(plan.dropout_rates.at(place));
        const float rate = rates.empty() ? own : rates[place];
        require(rate >= 0 && rate < 1 && chance_of(rate) < 65536, "dropout rate", rate, "from 0 to 0.99999");
        set_word(words, dropout_threshold(layer), chance_of(rate));
        set_word(words, dropout_scale(layer), 1.0F / (1.0F - rate));
    }
}

void write_class_weights(Words words, const Plan &plan, const std::vector<float> &weights) {
    if (!weights.empty() && weights.size() != static_cast<std::size_t>(plan.classes))
        throw std::invalid_argument(fmt::format("{} class weights for {} classes", weights.size(), plan.classes));
    for (int label = 0; label < plan.classes; ++label) {
        const float weight = weights.empty() ? 1.0F : weights[static_cast<std::size_t>(label)];
        require(weight >= 0 && std::isfinite(weight), "class weight", weight, "finite and at least 0");
        set_word(words, class_weight(static_cast<int>(words.size()), plan.classes, label), weight);
    }
}

void check(const UpdateOptions &options) {
    if (const auto &clip = options.clip) require(is_scale(clip->most), clipping_key(*clip), static_cast<float>(clip->most), scale_range);
    if (!options.average) return;
    const auto &[momentum, frequency] = *options.average;
    require(ema_momentum.range.holds(momentum), ema_momentum.key, static_cast<float>(momentum), to_string(ema_momentum.range));
    require(frequency.value_or(1) >= 1, "frequency of overwriting", static_cast<float>(frequency.value_or(1)), "at least 1");
}

/// The settings of a step, or the optimizer's own.
OptimizerNumbers numbers_of(const Optimizer &optimizer, const StepValues &values) {
    if (!values.settings.empty() && values.settings.size() != optimizer.settings.size())
        throw std::invalid_argument(
            fmt::format("{} settings for the {} of {}", values.settings.size(), optimizer.settings.size(), optimizer.name));
    OptimizerNumbers numbers{values.learning_rate, {}};
    for (std::size_t i = 0; i < optimizer.settings.size(); ++i) {
        const OptimizerSetting &setting = optimizer.settings[i];
        const float value = values.settings.empty() ? static_cast<float>(setting.standard) : values.settings[i];
        if (!setting.range.holds(value)) require(false, setting.key, value, to_string(setting.range));
        numbers.settings.at(i) = value;
    }
    return numbers;
}

/// Whether a setting makes weights decay.
bool is_decay(const OptimizerSetting &setting) { return setting.key == "weight_decay" || setting.key == "l2"; }

}  // namespace

void write_step(Words words, const Plan &plan, const StepValues &values, std::size_t batch) {
    set_word(words, step_seed, values.seed);
    set_word(words, step_epoch, values.epoch);
    set_word(words, step_position, values.position);
    const std::size_t global_batch = values.global_batch == 0 ? batch : static_cast<std::size_t>(std::max(values.global_batch, 0));
    require(global_batch >= batch, "global batch", static_cast<float>(values.global_batch), "0 or no less than the batch");
    set_word(words, step_inverse_batch, 1.0F / static_cast<float>(global_batch));
    require(values.flip_probability >= 0 && values.flip_probability <= 1, "flip probability", values.flip_probability, "from 0 to 1");
    set_word(words, step_flip_threshold, chance_of(values.flip_probability));
    write_dropout(words, plan, values.dropout_rates);
    write_class_weights(words, plan, values.class_weights);
}

void write_optimizer_step(Words words, const Optimizer &optimizer, const StepValues &values) {
    require(values.update >= 1, "number of an update", static_cast<float>(values.update), "at least 1");
    require(values.learning_rate >= 0, "learning rate", values.learning_rate, "at least 0");
    check(values.options);
    OptimizerNumbers numbers = numbers_of(optimizer, values);
    if (!values.options.exclude_from_weight_decay.empty())
        for (std::size_t i = 0; i < optimizer.settings.size(); ++i)
            if (is_decay(optimizer.settings[i])) numbers.settings.at(i) = 0;
    if (optimizer.correct) optimizer.correct(numbers, values.update);
    const auto set = [&](int field, double number) {
        const auto rounded = static_cast<float>(number);
        require(std::isfinite(rounded), "learning rate", values.learning_rate, "finite, with the optimizer's corrections too");
        set_word(words, field, rounded);
    };
    set(step_learning_rate, numbers.learning_rate);
    for (std::size_t i = 0; i < numbers.settings.size(); ++i) set(step_first_setting + static_cast<int>(i), numbers.settings[i]);
}

WeightDecay weight_decay(const Optimizer &optimizer, const StepValues &values) {
    const OptimizerNumbers numbers = numbers_of(optimizer, values);
    WeightDecay decay{0, 0};
    for (std::size_t i = 0; i < optimizer.settings.size(); ++i) {
        const double number = numbers.settings.at(i);
        if (optimizer.settings[i].key == "weight_decay") decay.shrink = static_cast<float>(number * numbers.learning_rate);
        if (optimizer.settings[i].key == "l2") decay.l2 = static_cast<float>(number);
    }
    return decay;
}

}  // namespace halcyon
