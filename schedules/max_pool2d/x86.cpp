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

using Halide::MemoryType;
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

/// A tile of at least 4x4 pixels, a vector of channels deep: the choices of all windows that can hold one of them, and then every pixel
/// asks its own. 3x3 windows at strides of 2 over 48x48x64, batch 32, with a batch norm before and behind it: 7.0 ms with AVX-512 and 13.4
/// with AVX2 on one core of a Zen 4, a quarter of what it takes where every pixel makes its windows' choices again. The sum over a pixel's
/// windows stays a loop: unrolled, LLVM would add in another order.
void backward_channel_vectors(MaxPool2dBackward &f, const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    const int width = s.stride_w * divide_up(4, s.stride_w), height = s.stride_h * divide_up(4, s.stride_h);
    Var co{"co"}, ci{"ci"}, dx{"dx"}, dy{"dy"};
    f.d_input.split(f.x, f.x, dx, width, TailStrategy::GuardWithIf)
        .split(f.y, f.y, dy, height, TailStrategy::GuardWithIf)
        .split(f.c, co, ci, vector, TailStrategy::ShiftInwards)
        .reorder(ci, dx, dy, co, f.n, f.x, f.y)
        .vectorize(ci)
        .unroll(dx)
        .unroll(dy);
    if (s.in_h > height) f.d_input.parallel(f.y);
    f.sum.compute_at(f.d_input, dx).vectorize(f.c).update().reorder(f.c, f.windows.x, f.windows.y).vectorize(f.c);
    f.chosen.compute_at(f.d_input, co)
        .store_in(MemoryType::Register)
        .bound_storage(f.c, vector)
        .bound_storage(f.x, width / s.stride_w + divide_up(s.kernel_w, s.stride_w))
        .bound_storage(f.y, height / s.stride_h + divide_up(s.kernel_h, s.stride_h))
        .vectorize(f.c, vector);
    f.choice.compute_at(f.chosen, f.x).vectorize(f.c, vector).update().reorder(f.c, f.taps.x, f.taps.y).vectorize(f.c, vector);
    if (s.few_taps()) f.choice.update().unroll(f.taps.x).unroll(f.taps.y);
}

const Schedules<MaxPool2dForward> forward_schedules{
    {"channel_vectors", forward_channel_vectors}, {"image_blocks", forward_image_blocks}, {"lanes", forward_lanes}};
const Schedules<MaxPool2dBackward> backward_schedules{
    {"windows", backward_windows}, {"channel_vectors", backward_channel_vectors}, {"image_blocks", backward_image_blocks}};

}  // namespace
}  // namespace halcyon
