// What a network's weights begin as.
#pragma once

#include "plan/plan.h"

#include <cstdint>
#include <span>

namespace halcyon {

/// Fills a weight by its initializer: a function of the seed and of `index`, its number in the plan. Throws std::runtime_error for an
/// unknown initializer.
void initialize_weight(std::span<float> weight, const Parameter &parameter, std::uint32_t index, std::uint32_t seed);

}  // namespace halcyon
