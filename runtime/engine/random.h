// The counter-based random numbers of a run: every number is a pure function of what it is for, so that none of them depends on threads,
// schedules or on how an epoch is cut into batches. The kernels compute the same function (plan/step.h lists the streams).
#pragma once

#include <array>
#include <cstdint>

namespace halcyon {

/// Philox2x32 with 10 rounds: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
std::array<std::uint32_t, 2> philox2x32(std::array<std::uint32_t, 2> counter, std::uint32_t key);

/// The key under which a stream (RandomStream) draws its numbers in an epoch: philox2x32({epoch, stream}, seed)[0].
std::uint32_t stream_key(std::uint32_t seed, std::uint32_t epoch, std::uint32_t stream);

/// A probability, 0..1, in 1/65536, the resolution of the 16 random bits that decide: what they are below with that probability.
std::uint32_t chance_of(float probability);

/// The order in which an epoch visits its images: a permutation of 0..count-1 without a table, so that any part of an epoch can be
/// computed on its own. A Feistel network over the smallest 2^(2k) >= count with Philox as the round function; results outside the
/// range are fed through again until one falls inside (cycle walking: Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
class Shuffle {
public:
    Shuffle(std::uint32_t seed, std::uint32_t epoch, std::uint32_t count);

    /// The image at this position of the epoch, both in 0..count-1.
    std::uint32_t operator()(std::uint32_t position) const;

private:
    std::uint32_t count_, key_;
    int half_bits_ = 1;
};

}  // namespace halcyon
