// Max pooling on devices, whatever else the pass does.
#pragma once

#include "generators/layers/max_pool2d.h"
#include "plan/shape.h"
#include "schedules/gpu/threads.h"

#include <Halide.h>

namespace halcyon {

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
    window_in_vectors(pool.choice, pool.taps, {d_input, thread}, pool.c, s);
    pool.choice.bound_storage(x, 1).bound_storage(y, 1);
}

/// The same with a thread per pixel, which makes the choice of every window that holds it.
inline void pixel_threads(Halide::Func d_input, MaxPool2dBackward &pool, const Shape &s) {
    vector_threads(d_input, pool.c, pool.x, pool.y, pool.n, s.in_c);
    in_vectors(pool.sum, {d_input, thread}, pool.c);
    window_in_vectors(pool.choice, pool.taps, {pool.sum, pool.windows.x}, pool.c, s);
}

}  // namespace halcyon
