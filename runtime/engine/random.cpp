#include "runtime/engine/random.h"

#include "plan/step.h"

#include <cmath>

namespace halcyon {

std::array<std::uint32_t, 2> philox2x32(std::array<std::uint32_t, 2> counter, std::uint32_t key) {
    constexpr std::uint64_t multiplier = 0xD256D193;
    constexpr std::uint32_t weyl = 0x9E3779B9;  // the golden ratio's fraction
    for (int round = 0; round < 10; round++) {
        const std::uint64_t product = multiplier * counter[0];
        counter = {std::uint32_t(product >> 32) ^ key ^ counter[1], std::uint32_t(product)};
        key += weyl;
    }
    return counter;
}

std::uint32_t stream_key(std::uint32_t seed, std::uint32_t epoch, std::uint32_t stream) { return philox2x32({epoch, stream}, seed)[0]; }

std::uint32_t chance_of(float probability) { return static_cast<std::uint32_t>(std::lround(probability * 65536.0F)); }

Shuffle::Shuffle(std::uint32_t seed, std::uint32_t epoch, std::uint32_t count)
    : count_(count), key_(stream_key(seed, epoch, stream_shuffle)) {
    while (std::uint64_t(1) << 2 * half_bits_ < count) half_bits_++;
}

std::uint32_t Shuffle::operator()(std::uint32_t position) const {
    // Four rounds make a pseudorandom permutation out of a pseudorandom function (Luby and Rackoff, 1988); halves of a few bits want more.
    constexpr std::uint32_t rounds = 8;
    const std::uint32_t mask = (std::uint32_t(1) << half_bits_) - 1;
    do {
        std::uint32_t left = position >> half_bits_, right = position & mask;
        for (std::uint32_t round = 0; round < rounds; round++) {
            const std::uint32_t mixed = left ^ (philox2x32({right, round}, key_)[0] & mask);
            left = right;
            right = mixed;
        }
        position = left << half_bits_ | right;
    } while (position >= count_);
    return position;
}

}  // namespace halcyon
