// The loops of a gradient through a max pool, whatever is done to it on the way.
#pragma once

#include "generators/layers/max_pool2d.h"
#include "schedules/x86/pixels.h"

#include <Halide.h>

namespace halcyon {

/// Runs `d_input`, which reads `pool.d_input`, a window at a time, where no two overlap: its choice is made once and then asked by each of
/// its pixels.
inline void pool_windows(Halide::Func d_input, MaxPool2dBackward &pool, const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    const Halide::Var c = pool.c, x = pool.x, y = pool.y;
    Halide::Var co{"co"}, ci{"ci"}, dx{"dx"}, dy{"dy"};
    d_input.split(x, x, dx, s.stride_w, Halide::TailStrategy::GuardWithIf)
        .split(y, y, dy, s.stride_h, Halide::TailStrategy::GuardWithIf)
        .split(c, co, ci, vector, Halide::TailStrategy::ShiftInwards)
        .reorder(ci, dx, dy, co, pool.n, x, y)
        .vectorize(ci)
        .unroll(dx)
        .unroll(dy);
    pool.sum.compute_at(d_input, dx).vectorize(c).update().vectorize(c);
    pool.choice.compute_at(d_input, co).bound_storage(x, 1).bound_storage(y, 1).vectorize(c, vector);
    pool.choice.update().reorder(c, pool.taps.x, pool.taps.y).vectorize(c, vector);
    if (s.few_taps()) pool.choice.update().unroll(pool.taps.x).unroll(pool.taps.y);
}

/// The same with a row of windows as a task: in loops over pixels, rows and columns fused, Halide loses track of which windows are whole,
/// and one core of an AMD EPYC (Zen 3, AVX2) reads and writes 25 instead of 67 GB/s at 11x11x64, batch 64.
inline void parallel_pool_windows(Halide::Func d_input, MaxPool2dBackward &pool, const Shape &s, const Set &set) {
    pool_windows(d_input, pool, s, set);
    if (s.in_h > s.stride_h) d_input.parallel(pool.y);
}

}  // namespace halcyon
