// How the schedules for devices cut loops into blocks and threads.
#pragma once

#include <Halide.h>

namespace halcyon {

/// The innermost loop of every stage cut below: one thread's element. What only that element needs is computed at it, in registers.
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

/// A thread per element of a stage over (c, x, y, n): a block has 32 neighbours in c, a warp that reads and writes whole lines, of 8 in n.
/// Only the outer parts of the cuts are fused: Halide bounds what a fused whole dimension needs by all of that dimension.
inline void element_threads(Halide::Stage stage, const Halide::Var &c, const Halide::Var &x, const Halide::Var &y, const Halide::Var &n) {
    const Halide::Var block{"block"}, c_block{"c_block"}, n_block{"n_block"}, row{"row"};
    stage.split(c, c_block, thread, 32, Halide::TailStrategy::GuardWithIf)
        .split(n, n_block, row, 8, Halide::TailStrategy::GuardWithIf)
        .reorder(thread, row, c_block, n_block, x, y)
        .fuse(c_block, n_block, block)
        .gpu_blocks(block, x, y)
        .gpu_threads(thread, row);
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
