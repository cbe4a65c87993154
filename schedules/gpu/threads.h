// How the schedules for devices cut loops into blocks and threads.
#pragma once

#include "plan/block_tile.h"
#include "plan/divisors.h"

#include <Halide.h>

namespace halcyon {

/// A thread's loop in every stage cut below: its element, or vector. What only that needs is computed at it, in registers.
inline const Halide::Var thread{"thread"};

/// A thread per element of a stage over channels, weights or images alone.
inline void element_threads(Halide::Stage stage, const Halide::Var &c, int threads = 64) {
    const Halide::Var block{"block"};
    stage.split(c, block, thread, threads, Halide::TailStrategy::GuardWithIf).gpu_blocks(block).gpu_threads(thread);
}

/// A thread per element of a stage over channels of rows.
inline void element_threads(Halide::Stage stage, const Halide::Var &c, const Halide::Var &y) {
    const Halide::Var block{"block"};
    stage.split(c, block, thread, 64, Halide::TailStrategy::GuardWithIf).gpu_blocks(block, y).gpu_threads(thread);
}

/// Cuts a stage over (c, x, y, n) into blocks of `width` neighbours in c, `images` in n, and a thread for each of them. Only the outer
/// parts of the cuts are fused: Halide bounds what a fused whole dimension needs by all of that dimension.
inline void pixel_blocks(Halide::Stage stage, const Halide::Var &c, const Halide::Var &x, const Halide::Var &y, const Halide::Var &n,
                         int width, int images) {
    const Halide::Var block{"block"}, c_block{"c_block"}, n_block{"n_block"}, row{"row"};
    stage.split(c, c_block, thread, width, Halide::TailStrategy::GuardWithIf)
        .split(n, n_block, row, images, Halide::TailStrategy::GuardWithIf)
        .reorder(thread, row, c_block, n_block, x, y)
        .fuse(c_block, n_block, block)
        .gpu_blocks(block, x, y)
        .gpu_threads(thread, row);
}

/// A thread per element of a stage over (c, x, y, n): 32 neighbours in c are a warp that reads and writes whole lines.
inline void element_threads(Halide::Stage stage, const Halide::Var &c, const Halide::Var &x, const Halide::Var &y, const Halide::Var &n) {
    pixel_blocks(stage, c, x, y, n, 32, 8);
}

/// The same for up to 256 threads where the `channels` are known: as many side by side as divide them, and images for the others.
inline void channel_threads(Halide::Stage stage, const Halide::Var &c, const Halide::Var &x, const Halide::Var &y, const Halide::Var &n,
                            int channels) {
    const int width = divisor_up_to(32, channels);
    pixel_blocks(stage, c, x, y, n, width, 256 / width);
}

/// The elements of a thread that makes a vector of neighbours.
inline const Halide::Var lane{"lane"};

/// A thread per vector of up to 4 channels of a pixel, so that it reads and writes 16 bytes at once and asks for its pixel once.
inline void vector_threads(Halide::Stage stage, const Halide::Var &c, const Halide::Var &x, const Halide::Var &y, const Halide::Var &n,
                           int channels) {
    const int vector = channel_vector(channels);
    channel_threads(stage.split(c, c, lane, vector).vectorize(lane), c, x, y, n, channels / vector);
}

/// A thread per vector of a slab's elements, which `vector` divides.
inline void vector_threads(Halide::Stage stage, const Halide::Var &i, int vector) {
    element_threads(stage.split(i, i, lane, vector).vectorize(lane), i, 256);
}

/// A value that the threads above make, vector by vector of c, in an iteration of `level`.
inline void in_vectors(Halide::Func value, const Halide::LoopLevel &level, const Halide::Var &c) {
    value.compute_at(level).vectorize(c);
    if (value.has_update_definition()) value.update().vectorize(c);
}

/// Takes a vector of channels through the `taps` of a pool's window in an iteration of `level`, with all its loads in flight at once where
/// they are few.
inline void window_in_vectors(Halide::Func value, const Halide::RDom &taps, const Halide::LoopLevel &level, const Halide::Var &c,
                              const Shape &s) {
    in_vectors(value, level, c);
    if (s.few_taps()) value.update().unroll(taps.x).unroll(taps.y);
}

/// Has all `weights`, over f's (k, c, dx, dy), and the bias of up to `channels` output channels made by a block, in one launch.
template<typename Stages>
void output_channel_blocks(const Stages &f, Halide::Func weights, Halide::Func bias, int channels) {
    const Halide::Var block{"block"}, row{"row"}, rows{"rows"};
    weights.split(f.k, block, thread, channels)
        .split(f.c, rows, row, 32, Halide::TailStrategy::GuardWithIf)
        .reorder(thread, row, rows, f.dx, f.dy, block)
        .gpu_blocks(block)
        .gpu_threads(thread, row);
    bias.split(f.k, block, thread, channels).gpu_blocks(block).gpu_threads(thread);
    weights.compute_with(bias, block);
}

}  // namespace halcyon
