// What a network's frozen layers make of images, kept so that every epoch trains from that.
#pragma once

#include "runtime/data/dataset.h"
#include "runtime/training/evaluation.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

/// The features of some records, which are the records 0, 1, 2, ... of `placed`.
struct KeptFeatures {
    Dataset data;  // features for pixels, and what the images have for answers
    PlacedData placed;
};

/// Those of these records of `data`, which is `placed`; nothing where it was stopped.
std::optional<KeptFeatures> keep_features(Network &network, const Dataset &data, const PlacedData &placed,
                                          std::span<const std::int32_t> records, const StopRequested &stop_requested);

/// Why the features of so many images cannot be kept in `available` bytes of memory; "" where they can.
std::string why_not_kept(const Network &network, std::size_t images, std::int64_t available);

}  // namespace halcyon
