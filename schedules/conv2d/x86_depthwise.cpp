// The depthwise convolutions on x86, where each channel has a window of its own. They do few operations for what they read, so that caches
// bound them, not arithmetic. In the order H, W, N, C the pixels of a window lie as far apart as the batch is large, often a multiple of
// 4 KiB: their lines fall into the same set of the L1 cache. So a line is read once, whole, and at every pixel all images in turn.
//
// 24x24x96, 3x3, batch 64, one core of a Zen 4 (AVX-512; AVX2 in brackets), in ms: forward 1.4 (1.6), backward weights 2.0. A pass over as
// much takes 0.5, the multiply-adds at their peak 0.55. Of 8 images, whose window stays in L2, forward takes 0.72 in proportion.
#include "generators/layers/conv2d.h"
#include "plan/divisors.h"
#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

#include <algorithm>

namespace halcyon {
namespace {

using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

/// A tile of `columns` pixels, side by side, x some vectors of channels stays in registers over the window's taps. Its pixels share what
/// they read. A task is a tile, of all images and channels.
void sum_windows(Func out, Func sum, const RDom &taps, int columns, int channels, int width, const Shape &s, const Set &set) {
    const std::vector<Var> at = out.args();
    const Var c = at[0], x = at[1], y = at[2], n = at[3], co{"co"}, ci{"ci"}, xo{"xo"}, xi{"xi"}, task{"task"};
    const int vector = channel_vector(channels, set);
    out.split(c, co, ci, channel_block(channels, vector, set.vector_registers / 8), TailStrategy::ShiftInwards)
        .split(x, xo, xi, std::min(columns, width), TailStrategy::ShiftInwards)
        .reorder(ci, xi, co, n, xo, y)
        .fuse(xo, y, task)
        .vectorize(ci, vector)
        .unroll(ci)
        .unroll(xi)
        .parallel(task);
    sum.compute_at(out, co).vectorize(c, vector).unroll(c).unroll(x);
    sum.update().reorder(c, x, taps.x, taps.y, taps.z).vectorize(c, vector).unroll(c).unroll(x);
    if (s.few_taps()) sum.update().unroll(taps.y).unroll(taps.z);
}

void forward_depthwise(Conv2dForward &f, const Shape &s, const Set &set) {
    sum_windows(f.output, f.sum, f.taps, 3, s.out_c, s.out_w, s, set);
}

/// Of strides, neighbours have other taps.
void backward_data_depthwise(Conv2dBackwardData &f, const Shape &s, const Set &set) {
    sum_windows(f.d_input, f.sum, f.taps, s.stride_w == 1 ? 3 : 1, s.in_c, s.in_w, s, set);
}

/// A task makes one row of outputs. The sums of all taps, and of the bias, stay in registers over 4 pixels of an image, and in the L1 cache
/// over the images.
void backward_weights_depthwise(Conv2dBackwardWeightsByRows &f, const Shape &s, const Set &set) {
    const int vector = power_of_two_divisor(set.vector_floats, s.out_c);
    const Var ko{"ko"}, ki{"ki"}, x{"x"}, row{"row"}, image{"image"};
    RVar xo{"xo"}, xi{"xi"};
    f.row_sums.compute_root().vectorize(f.k, vector).parallel(f.y);
    f.row_sums.update().split(f.pixels.y, xo, xi, std::min(4, s.out_w), TailStrategy::GuardWithIf);
    Func pixel_sum = f.row_sums.update().rfactor({{f.pixels.x, image}, {xo, x}, {f.pixels.z, row}});
    f.row_sums.update().split(f.k, ko, ki, vector).reorder(ki, f.column, ko, f.pixels.x, xo, f.pixels.z, f.y).vectorize(ki).parallel(f.y);
    pixel_sum.compute_at(f.row_sums, ko).vectorize(f.k, vector).update().reorder(f.k, f.column, xi).vectorize(f.k, vector).unroll(xi);
    if (s.few_taps()) {
        f.row_sums.update().unroll(f.column);
        pixel_sum.unroll(f.column).update().unroll(f.column);
    }
    f.d_weights.vectorize(f.k, vector).update().reorder(f.k, f.c, f.dx, f.dy, f.rows).vectorize(f.k, vector);
    f.d_bias.vectorize(f.k, vector).update().reorder(f.k, f.rows).vectorize(f.k, vector);
}

const Schedules<Conv2dForward> forward_schedules{{"depthwise", forward_depthwise}};
const Schedules<Conv2dBackwardData> backward_data_schedules{{"depthwise", backward_data_depthwise}};
const Schedules<Conv2dBackwardWeightsByRows> backward_weights_schedules{{"depthwise", backward_weights_depthwise}};

}  // namespace
}  // namespace halcyon
