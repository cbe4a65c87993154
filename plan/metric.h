// What is reported of predictions beside the loss, by Keras's names.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

namespace halcyon {

enum class Metric {
    accuracy,             // the share of images whose class is right, or of their units: Keras's binary_accuracy
    mean_absolute_error,  // over an image's units
};

std::string name_of(Metric metric);

/// Throws std::invalid_argument for an unknown name.
Metric metric_called(std::string_view name);

/// "98.10 %", or "0.1234" of an error.
std::string to_text(Metric metric, double value);

/// Whether an image can have such a target: a finite number, or a unit's label from 0 to 1.
inline bool is_target(float target, bool is_label) {
    return is_label ? target >= 0 && target <= 1 : std::abs(target) <= std::numeric_limits<float>::max();
}

/// Whether less of it is better.
constexpr bool is_error(Metric metric) { return metric == Metric::mean_absolute_error; }

}  // namespace halcyon
