// Mean and variance of the pixels of a data set, by channel.
#pragma once

#include "runtime/data/dataset.h"

#include <cstdint>
#include <span>
#include <vector>

namespace halcyon {

/// A value for each channel, of the records' own values: bytes are 0 to 255. The variance is that of the population.
struct ChannelMoments {
    std::vector<double> mean, variance;
};

/// Over all pixels of these records, of which there is at least one. Computed in double on all cores, to the same bits on any number of
/// them.
ChannelMoments channel_moments(const Dataset &data, std::span<const std::int32_t> records);

}  // namespace halcyon
