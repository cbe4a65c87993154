// The optimizers: what each keeps for a weight, what a recipe can set, and what the host makes of that for a step. The cores and programs
// that run them, recipes, checkpoints and the step buffer are made of these rows. Beside its row an optimizer has its expression
// (generators/layers/optimizers.h) and its oracle (tests/kernels/optimizers.cpp).
#pragma once

#include "plan/pointwise.h"
#include "plan/step.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// The numbers from `least` to `most`, and 0 where it is allowed. Within the ranges of the settings no number becomes zero, one or infinite
/// in float32 that was not.
struct SettingRange {
    double least, most;
    bool or_zero;

    bool holds(double value) const { return (or_zero && value == 0) || (value >= least && value <= most); }

    /// The same for a value that was rounded to float32.
    bool holds(float value) const { return (or_zero && value == 0) || (value >= float(least) && value <= float(most)); }
};

/// "0 or a number from 1e-30 to 0.9999999"
std::string to_string(const SettingRange &range);

/// A number of an optimizer's that a recipe can set.
struct OptimizerSetting {
    std::string key;  // in the recipe
    double standard;  // where the recipe does not say
    SettingRange range;
};

/// A number that an optimizer keeps for each weight, in a slab of its own. It begins as 0.
struct StateSlot {
    std::string name;      // of the kernel's argument
    std::string saved_as;  // in a checkpoint, behind the weight's name
};

/// The numbers of a step in double: a recipe's, then what the step buffer is to hold.
struct OptimizerNumbers {
    double learning_rate;
    std::array<double, most_optimizer_settings> settings;  // as Optimizer::settings
};

struct Optimizer {
    std::string name;  // in a recipe; of the core, and of the program that runs it
    std::vector<StateSlot> slots;
    std::vector<OptimizerSetting> settings;  // at most most_optimizer_settings
    int flops;                               // a weight
    Exactness exactness;

    /// What the host computes once for all weights: of the numbers of the `update`-th step, from 1. Null: nothing.
    void (*correct)(OptimizerNumbers &numbers, std::int64_t update) = nullptr;

    /// Numbers that `correct` adds to the settings, behind them; with those at most most_optimizer_settings.
    std::vector<std::string> computed = {};

    /// A recipe has it as the optimizer `variant_of`, with the same settings, where the key `flag` is true. Empty: by its own name.
    std::string variant_of = {}, flag = {};

    /// The word of the step buffer that holds a setting or a computed number, by its key. Throws std::logic_error where there is none.
    int word_of(std::string_view key) const;
};

/// Every model is compiled with all of them.
const std::vector<Optimizer> &all_optimizers();

/// Throws std::invalid_argument for an unknown name, and says which there are.
const Optimizer &find_optimizer(std::string_view name);

/// The settings where nothing is said of them.
std::vector<double> standard_settings(const Optimizer &optimizer);

/// The most slots that one of them has.
int most_optimizer_slots();

}  // namespace halcyon
