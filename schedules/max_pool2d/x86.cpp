// Max pooling on x86. Reached by one core of an AMD EPYC (Zen 3, AVX2), batch 64, 2x2 windows, in GB/s read and written:
//
//   layer             forward   backward
//   30x30x32             66        59
//   11x11x64, same       74        67
//   2x2x128              93        98
#include "generators/layers/max_pool2d.h"

#include "schedules/schedules.h"
#include "schedules/x86/lanes.h"
#include "schedules/x86/pixels.h"
#include "schedules/x86/pool_windows.h"
#include "schedules/x86/windows.h"

namespace halcyon {
namespace {

using Halide::TailStrategy;
using Halide::Var;

void forward_channel_vectors(MaxPool2dForward &f, const Shape &s, const Set &set) {
    windows_in_registers(f.output, f.largest, f.taps, s, set);
}

void forward_image_blocks(MaxPool2dForward &f, const Shape &s, const Set &set) { image_blocks(f.output, f.largest, f.taps, s, set); }

/// A window in registers, and behind it the loops of the dropout. In training, where activations come from the L3 cache or beyond, one core
/// of an AMD EPYC (Zen 3, AVX2) needs these milliseconds with a batch norm before the pool, the gradients and dropout's 0.24 and 0.08
/// backward included:
///
///   layer             one pass   each apart
///   30x30x32             1.38       2.40
///   11x11x64, same       0.36       0.75
void forward_lanes(MaxPool2dForward &f, const Shape &s, const Set &set) {
    const int vector = channel_vector(divide_up(s.out_c, 4), set);
    lanes(f.output, f.chain, s.out_c, s.out_w, s.out_h, set);
    f.largest.compute_at(f.output, dropout_lane).vectorize(f.c, vector);
    f.largest.update().reorder(f.c, f.taps.x, f.taps.y).vectorize(f.c, vector);
    if (s.few_taps()) f.largest.update().unroll(f.taps.x).unroll(f.taps.y);
}

void backward_windows(MaxPool2dBackward &f, const Shape &s, const Set &set) { parallel_pool_windows(f.d_input, f, s, set); }

/// The choices of the one window for a block of images and channels, and then all pixels of these.
void backward_image_blocks(MaxPool2dBackward &f, const Shape &s, const Set &set) { image_blocks(f.d_input, f.choice, f.taps, s, set); }

/// Every pixel asks each window that can hold it, and makes its choice again.
void backward_channel_vectors(MaxPool2dBackward &f, const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    Var co{"co"}, ci{"ci"};
    f.d_input.split(f.c, co, ci, vector, TailStrategy::ShiftInwards).reorder(ci, co, f.n, f.x, f.y).vectorize(ci);
    parallel_pixels(f.d_input, f.x, f.y, s.in_w, s.in_h, s.in_c);
    f.sum.compute_at(f.d_input, co).vectorize(f.c).update().reorder(f.c, f.windows.x, f.windows.y).vectorize(f.c);
    f.choice.compute_at(f.sum, f.windows.x).vectorize(f.c).update().reorder(f.c, f.taps.x, f.taps.y).vectorize(f.c);
}

const Schedules<MaxPool2dForward> forward_schedules{
    {"channel_vectors", forward_channel_vectors}, {"image_blocks", forward_image_blocks}, {"lanes", forward_lanes}};
const Schedules<MaxPool2dBackward> backward_schedules{
    {"windows", backward_windows}, {"channel_vectors", backward_channel_vectors}, {"image_blocks", backward_image_blocks}};

}  // namespace
}  // namespace halcyon
