#include "runtime/data/split.h"

#include "plan/step.h"
#include "runtime/engine/random.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace halcyon {
namespace {

/// A record and the numbers that it drew; equal ones are ordered by the record.
using Draw = std::pair<std::array<std::uint32_t, 2>, std::int32_t>;

std::ptrdiff_t held_out_of(std::size_t images, double fraction) {
    const long long rounded = std::llround(fraction * double(images));
    return std::min<std::ptrdiff_t>(rounded, std::ptrdiff_t(images) - 1);
}

}  // namespace

Partition split_by_class(const std::vector<std::uint16_t> &labels, double fraction, std::uint32_t seed) {
    const std::uint32_t key = stream_key(seed, 0, stream_split);
    std::vector<std::vector<Draw>> classes;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        if (labels[i] >= classes.size()) classes.resize(std::size_t{labels[i]} + 1);
        classes[labels[i]].emplace_back(philox2x32({std::uint32_t(i), 0}, key), std::int32_t(i));
    }
    Partition parts;
    for (std::vector<Draw> &draws : classes) {
        if (draws.empty()) continue;
        const auto held_out = draws.begin() + held_out_of(draws.size(), fraction);
        std::nth_element(draws.begin(), held_out, draws.end());
        for (auto draw = draws.begin(); draw != draws.end(); ++draw)
            (draw < held_out ? parts.validation : parts.train).push_back(draw->second);
    }
    std::ranges::sort(parts.train);
    std::ranges::sort(parts.validation);
    return parts;
}

Partition split(const Dataset &data, double fraction, std::uint32_t seed) {
    if (data.has_classes()) return split_by_class(data.labels, fraction, seed);
    return split_by_class(std::vector<std::uint16_t>(static_cast<std::size_t>(data.size())), fraction, seed);
}

}  // namespace halcyon
