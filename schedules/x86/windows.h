// The loops of a pool's forward pass: `value`, over (c, x, y, n), is what `out` needs of a window's `taps`.
#pragma once

#include "schedules/x86/pixels.h"

#include <Halide.h>

#include <vector>

namespace halcyon {

/// Takes up to 4 vectors of channels through a window at a time, in registers.
inline void windows_in_registers(Halide::Func out, Halide::Func value, const Halide::RDom &taps, const Shape &s, const Set &set) {
    const std::vector<Halide::Var> at = out.args();
    const Halide::Var c = at[0], x = at[1], y = at[2], n = at[3], co{"co"}, ci{"ci"};
    const int vector = channel_vector(s.in_c, set);
    out.split(c, co, ci, channel_block(s.in_c, vector, 4), Halide::TailStrategy::ShiftInwards)
        .reorder(ci, co, n, x, y)
        .vectorize(ci, vector)
        .unroll(ci);
    parallel_pixels(out, x, y, s.out_w, s.out_h, s.in_c * s.kernel_w * s.kernel_h);
    value.compute_at(out, co).vectorize(c, vector).unroll(c);
    value.update().reorder(c, taps.x, taps.y).vectorize(c, vector).unroll(c);
    if (s.few_taps()) value.update().unroll(taps.x).unroll(taps.y);
}

/// Where one window is all there is, images are shared out. A task makes `value` of 8 images and up to 128 channels at a time, tap after
/// tap, so that what it reads of a tap lies side by side and what it makes stays in L1, and then `out`, pixel after pixel.
inline void image_blocks(Halide::Func out, Halide::Func value, const Halide::RDom &taps, const Shape &s, const Set &set) {
    constexpr int images = 8;
    const std::vector<Halide::Var> at = out.args();
    const Halide::Var c = at[0], x = at[1], y = at[2], n = at[3], co{"co"}, ci{"ci"}, task{"task"}, image{"image"};
    const int vector = channel_vector(s.in_c, set);
    out.split(c, co, ci, channel_block(s.in_c, vector, 128 / vector), Halide::TailStrategy::ShiftInwards)
        .split(n, task, image, images, Halide::TailStrategy::GuardWithIf)
        .reorder(ci, image, x, y, co, task)
        .vectorize(ci, vector)
        .parallel(task);
    value.compute_at(out, co).bound_storage(n, images).reorder_storage(c, n, x, y).vectorize(c, vector);
    value.update().reorder(c, n, taps.x, taps.y).vectorize(c, vector);
}

}  // namespace halcyon
