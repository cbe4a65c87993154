// Max pooling on devices, whatever else the pass does.
#pragma once

#include "generators/layers/max_pool2d.h"
#include "schedules/gpu/threads.h"
#include "schedules/shape.h"

#include <Halide.h>

namespace halcyon {

/// Pools the vector of channels that an iteration of `level` makes, with all loads of a window in flight at once.
inline void pool_vectors(MaxPool2dForward &f, const Halide::LoopLevel &level) {
    in_vectors(f.largest, level, f.c);
    f.largest.update().unroll(f.taps.x).unroll(f.taps.y);
}

/// The same of a window's choice.
inline void choice_vectors(MaxPool2dBackward &f, const Halide::LoopLevel &level) {
    in_vectors(f.choice, level, f.c);
    f.choice.update().unroll(f.taps.x).unroll(f.taps.y);
}

/// A gradient through a pool, `d_input`, which reads `pool.d_input`, with a thread per window, where no two overlap: its choice is made
/// once and then asked by each of its pixels, so that memory sees each pixel once and every thread has work for several.
inline void window_threads(Halide::Func d_input, MaxPool2dBackward &pool, const Shape &s) {
    const Halide::Var x = pool.x, y = pool.y, dx{"dx"}, dy{"dy"};
    d_input.split(x, x, dx, s.stride_w, Halide::TailStrategy::GuardWithIf)
        .split(y, y, dy, s.stride_h, Halide::TailStrategy::GuardWithIf)
        .reorder(dx, dy, pool.c, x, y)
        .unroll(dx)
        .unroll(dy);
    vector_threads(d_input, pool.c, x, y, pool.n, s.in_c);
    d_input.reorder(lane, dx, dy);
    in_vectors(pool.sum, {d_input, dx}, pool.c);
    choice_vectors(pool, {d_input, thread});
    pool.choice.bound_storage(x, 1).bound_storage(y, 1);
}

/// The same with a thread per pixel, which makes the choice of every window that holds it.
inline void pixel_threads(Halide::Func d_input, MaxPool2dBackward &pool, const Shape &s) {
    vector_threads(d_input, pool.c, pool.x, pool.y, pool.n, s.in_c);
    in_vectors(pool.sum, {d_input, thread}, pool.c);
    choice_vectors(pool, {pool.sum, pool.windows.x});
}

}  // namespace halcyon
