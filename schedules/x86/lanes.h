// The loops of a pass that draws random numbers, whatever else it does.
#pragma once

#include "generators/pointwise.h"
#include "schedules/x86/pixels.h"

#include <Halide.h>

namespace halcyon {

/// The loop over the four lanes of channels that share random words.
inline const Halide::Var dropout_lane{"lane"};

/// Runs `out`, over `channels` x `width` x `height`, which `chain` drops elements of: the random words of one pixel of one image, then the
/// four lanes that share them. That is ten rounds of Philox for 4 vectors of channels, which cost about as much as moving the data: 16 GB/s
/// read and written by one core of an AMD EPYC (Zen 3, AVX2), at 15x15x32, 6x6x64 and 1x1x128; 26 GB/s with AVX-512 (Zen 4).
inline void lanes(Halide::Func out, const BoundChain &chain, int channels, int width, int height, const Set &set) {
    const std::vector<Halide::Var> at = out.args();
    const Halide::Var c = at[0], x = at[1], y = at[2], n = at[3];
    const int quarter = divide_up(channels, 4), vector = channel_vector(quarter, set);
    Halide::Var element{"element"}, block{"block"};
    out.split(c, dropout_lane, element, quarter)
        .split(element, block, element, vector)
        .reorder(element, dropout_lane, block, n, x, y)
        .vectorize(element)
        .unroll(dropout_lane);
    parallel_pixels(out, x, y, width, height, channels);
    for (DropoutMask &mask : chain.masks()) mask.words.compute_at(out, n).vectorize(mask.element, vector);
}

}  // namespace halcyon
