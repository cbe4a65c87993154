// Random numbers as a pure function of what they are for, in Halide: the same numbers as the runtime's (runtime/random.h).
#pragma once

#include "generators/layers/step_values.h"

#include <Halide.h>

#include <array>

namespace halcyon {

/// Philox2x32 with 10 rounds: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. All words are uint32.
/// The 32x32 -> 64 bit products vectorise on every target (x86: vpmuludq).
inline std::array<Halide::Expr, 2> philox2x32(std::array<Halide::Expr, 2> counter, Halide::Expr key) {
    const Halide::Expr multiplier = Halide::Expr(uint32_t{0xD256D193}), weyl = Halide::Expr(uint32_t{0x9E3779B9});
    for (int round = 0; round < 10; round++) {
        const Halide::Expr high = Halide::cast<uint32_t>(Halide::widening_mul(counter[0], multiplier) >> 32);
        const Halide::Expr low = counter[0] * multiplier;
        counter = {high ^ key ^ counter[1], low};
        key += weyl;
    }
    return counter;
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
