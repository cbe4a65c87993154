// Random numbers as a pure function of what they are for, in Halide: the same numbers as the runtime's (runtime/engine/random.h).
#pragma once

#include "generators/layers/step_values.h"

#include <Halide.h>

#include <array>

namespace halcyon {

/// Philox2x32 with 10 rounds: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. All words are uint32.
/// From round to round they lie in 64 bits whose upper halves nobody reads: a round is one 32x32 -> 64 bit product (x86: vpmuludq, which
/// reads lower halves alone), a shift and two exclusive ors, and nothing is packed. Dropout on 15x15x32 takes 0.64 of the time of rounds
/// on 32 bits with AVX-512, 0.95 with AVX2 (Zen 4); GPUs get the same number of instructions.
inline std::array<Halide::Expr, 2> philox2x32(const std::array<Halide::Expr, 2> &counter, Halide::Expr key) {
    const auto word = [](uint32_t value) { return Halide::cast<uint64_t>(Halide::Expr(value)); };
    const Halide::Expr weyl = Halide::Expr(uint32_t{0x9E3779B9});
    Halide::Expr first = Halide::cast<uint64_t>(counter[0]), second = Halide::cast<uint64_t>(counter[1]);
    for (int round = 0; round < 10; round++) {
        const Halide::Expr product = (first & word(0xFFFFFFFF)) * word(0xD256D193);
        first = (product >> 32) ^ Halide::cast<uint64_t>(key) ^ second;
        second = product;
        key += weyl;
    }
    return {Halide::cast<uint32_t>(first), Halide::cast<uint32_t>(second)};
}

/// The key under which `stream` (RandomStream) draws its numbers in this step's epoch.
inline Halide::Expr stream_key(const Halide::Func &step, unsigned stream) {
    return philox2x32({step_word(step, step_epoch), Halide::Expr(uint32_t{stream})}, step_word(step, step_seed))[0];
}

/// The first word of an image's counter: its place in the epoch, whatever batches the epoch is cut into.
inline Halide::Expr place_in_epoch(const Halide::Func &step, const Halide::Expr &n) {
    return step_word(step, step_position) + Halide::cast<uint32_t>(n);
}

}  // namespace halcyon
