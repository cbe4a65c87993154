// What a model's normalization takes from the images that it is trained on.
#pragma once

#include "runtime/data/dataset.h"
#include "runtime/engine/network.h"

#include <cstdint>
#include <span>
#include <string>

namespace halcyon {

/// Where the model has a normalization without values of its own: gives it the mean and the variance of each channel over all pixels of
/// these records of `train`, as Keras's adapt() does, of what the layers before it make of them. Computed in double on all cores, to the
/// same bits on any number of them. Weights that `given` names have their values already, and keep them.
void adapt_normalization(Network &network, const Dataset &train, std::span<const std::int32_t> records,
                         std::span<const std::string> given = {});

}  // namespace halcyon
