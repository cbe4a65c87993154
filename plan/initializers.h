// The initializers of weights. Names, options, defaults and formulas are Keras's (keras/src/initializers), but for `pytorch`: what
// torch.nn.Conv2d and torch.nn.Linear begin with. Readers of model files and the runtime are made of these rows.
#pragma once

#include "plan/plan.h"

#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

enum class Distribution {
    uniform,           // center - spread to center + spread
    normal,            // of the mean `center` and the standard deviation `spread`
    truncated_normal,  // the same, drawn again until it lies within two of those
};

/// What a weight's values are drawn from. All are `center` where the spread is 0.
struct Draw {
    Distribution distribution;
    float center, spread;
};

struct InitializerOption {
    std::string name;
    double otherwise, low, high;
};

/// Whose fan_in and fan_out the formula takes for a bias: its own, by Keras's rule both its size, or those of the kernel it is added to.
enum class Fans { none, own, of_kernel };

struct Initializer {
    std::string name;
    Fans fans;
    std::vector<InitializerOption> options;  // Parameter::values has theirs, in this order
    Draw (*draw)(const Parameter &parameter);
};

const std::vector<Initializer> &all_initializers();

/// Null where there is none of that name.
const Initializer *find_initializer(std::string_view name);

}  // namespace halcyon
