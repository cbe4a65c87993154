// Images held out of the training images, to validate on.
#pragma once

#include "runtime/data/dataset.h"

#include <cstdint>
#include <vector>

namespace halcyon {

/// The numbers of a data set's records, ascending in both parts.
struct Partition {
    std::vector<std::int32_t> train, validation;
};

/// Holds out the fraction of every class, 0 <= fraction < 1: round(fraction * n) of its n images, but never all of them. So classes keep
/// their shares in both parts, as by scikit-learn's train_test_split(stratify=labels). Which ones is random: those of a class that draw the
/// lowest numbers, where each record's is a function of the seed and of its own number alone. A fraction of 0 holds out nothing.
Partition split_by_class(const std::vector<std::uint16_t> &labels, double fraction, std::uint32_t seed);

/// The same of a data set. Images without classes are all of one.
Partition split(const Dataset &data, double fraction, std::uint32_t seed);

}  // namespace halcyon
