// What the x86 schedules of the memory-bound kernels share. In the order H, W, N, C the channels of all images of a pixel lie side by side:
// a pixel is one contiguous stretch of memory, and a loop over (channel, image) inside a loop over pixels is one pass over the activation.
#pragma once

#include "plan/menu.h"
#include "plan/shape.h"

#include <Halide.h>

#include <algorithm>

namespace halcyon {

/// Floats in a vector over `channels` channels: the register's, or the largest power of two that they fill.
inline int channel_vector(int channels, const Set &set) {
    int vector = set.vector_floats;
    while (vector > channels) vector /= 2;
    return vector;
}

/// The channels a loop body handles: up to `vectors` vectors, all of the same block where they divide the channels.
inline int channel_block(int channels, int vector, int vectors) {
    while (vectors > 1 && channels % (vector * vectors)) vectors--;
    return vector * vectors;
}

/// Runs the pixels of a loop nest ordered (..., x, y) in parallel. A task is at least 128 floats an image, 32 KiB in a batch of 64: a
/// parallel region costs about 5 us, in which a core moves that much. A stage of no more than that is one loop. Returns the innermost loop
/// over pixels.
inline Halide::Var parallel_pixels(Halide::Stage stage, const Halide::Var &x, const Halide::Var &y, int width, int height, int channels) {
    const int pixels_a_task = std::max(1, 128 / channels);
    if (width * height <= pixels_a_task) return x;
    Halide::Var pixel{"pixel"}, task{"task"};
    stage.fuse(x, y, pixel).split(pixel, task, pixel, pixels_a_task, Halide::TailStrategy::GuardWithIf).parallel(task);
    return pixel;
}

/// One pass over `out`, vectors of channels innermost. Where the channels are no multiple of the block, the last block moves back
/// (ShiftInwards): some are computed twice, with the same bits. One core of an AMD EPYC (Zen 3, AVX2) adds two activations at 45 to 97 GB/s
/// read and written (30x30x32 and 1x1x128, batch 64), as fast as a plain loop over as many floats.
inline void channel_vectors(Halide::Func out, const Halide::Var &c, const Halide::Var &x, const Halide::Var &y, const Halide::Var &n,
                            const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    Halide::Var co{"co"}, ci{"ci"};
    out.split(c, co, ci, channel_block(s.in_c, vector, 4), Halide::TailStrategy::ShiftInwards)
        .reorder(ci, co, n, x, y)
        .vectorize(ci, vector)
        .unroll(ci);
    parallel_pixels(out, x, y, s.in_w, s.in_h, s.in_c);
}

}  // namespace halcyon
