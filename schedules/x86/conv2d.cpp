// The convolutions on x86: one set of functions for SSE4.1, AVX2 and AVX-512, with the vector width and the registers of each.
//
// All three kernels are register-tiled products. In the order H, W, N, C the images of a pixel lie side by side, so that a tile of channels
// x images has no ragged edge at the borders of the picture, whatever its size.
//
// Reached on one core of an AMD EPYC (Zen 3, AVX2, measured FMA peak 98.9 GFLOP/s), batch 64, in GFLOP/s:
//
//   layer           forward   backward data   backward weights
//   32x32x3  -> 32     80           -                67
//   15x15x32 -> 64     95          92                74
//   13x13x64 -> 64     90          95                75
//   6x6x64  -> 128     92          93                83
//   4x4x128 -> 128     78          76                87
#include "generators/layers/conv2d.h"

#include "schedules/schedules.h"
#include "schedules/x86/conv2d.h"

namespace halcyon {
namespace {

using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;

/// Vectors of channels x images that stay in registers over all taps: 2 x 6 of 16 registers leave 2 for the weights and 1 for the broadcast
/// input, 2 x 12 of 32 do likewise. Fewer channels than two vectors make one, as wide as they allow.
struct RegisterTile {
    int vector, channels, images;

    RegisterTile(int layer_channels, const Set &set) : vector(set.vector_floats), images(set.vector_registers == 32 ? 12 : 6) {
        while (vector > layer_channels) vector /= 2;
        channels = layer_channels >= 2 * vector ? 2 * vector : vector;
    }
};

/// Tiles `out`, whose `sum` runs over `taps` (summed channels, dx, dy), over its channels and images. A tile's weights stay in the L1 cache
/// while it slides over the batch. Where channels or images are no multiple of the tile, the last one moves back (ShiftInwards): the
/// overlap is computed twice, with the same bits. Batches smaller than a tile go image by image.
void tile_over_images(Func out, Func sum, const RDom &taps, int summed_channels, Var c, Var x, Var y, Var n, const RegisterTile &tile) {
    Var co{"co"}, ci{"ci"}, no{"no"}, ni{"ni"}, pixel{"pixel"}, task{"task"};
    const auto tile_by = [&](Stage stage, int images) {
        stage.split(c, co, ci, tile.channels, TailStrategy::ShiftInwards)
            .split(n, no, ni, images, TailStrategy::ShiftInwards)
            .reorder(ci, ni, no, co, x, y)
            .fuse(x, y, pixel)
            .fuse(co, pixel, task)
            .vectorize(ci, tile.vector)
            .unroll(ci)
            .unroll(ni)
            .parallel(task);
    };
    tile_by(out.specialize(out.output_buffer().dim(3).extent() >= tile.images), tile.images);
    tile_by(out, 1);
    sum.compute_at(out, no)
        .vectorize(c, tile.vector)
        .unroll(c)
        .unroll(n)
        .update()
        .reorder(c, n, taps.x, taps.y, taps.z)
        .vectorize(c, tile.vector)
        .unroll(c)
        .unroll(n)
        .unroll(taps.x, divisor_up_to(4, summed_channels));
}

void forward_register_tile(Conv2dForward &f, const Shape &s, const Set &set) {
    tile_over_images(f.output, f.sum, f.taps, s.in_c, f.k, f.x, f.y, f.n, RegisterTile(s.out_c, set));
}

void backward_data_register_tile(Conv2dBackwardData &f, const Shape &s, const Set &set) {
    Var tap{"tap"};
    f.transposed.compute_root().fuse(f.dx, f.dy, tap).parallel(tap);
    tile_over_images(f.d_input, f.sum, f.taps, s.out_c, f.c, f.x, f.y, f.n, RegisterTile(s.in_c, set));
}

/// A tile of output channels x 4 input channels of one tap is summed over 8 images of one pixel in registers, then added to d_weights. What
/// all tiles read at a pixel then stays in the L1 cache: 64 images at once measured 15 % slower. 2 vectors x 4 are the 8 sums in flight
/// that two FMAs a cycle of latency 4 need.
void backward_weights_register_tile(Conv2dBackwardWeights &f, const Shape &s, const Set &set) {
    const int vector = power_of_two_divisor(set.vector_floats, s.out_c);
    const int channels = s.out_c % (2 * vector) ? vector : 2 * vector;
    const int tiles_a_task = divisor_up_to(2, s.out_c / channels);
    Var ko{"ko"}, ki{"ki"}, co{"co"}, ci{"ci"}, block{"block"}, task{"task"}, x{"x"}, y{"y"}, images{"images"};
    RVar no{"no"}, ni{"ni"};

    f.d_weights.vectorize(f.k, vector);
    f.d_weights.update().split(f.pixels.x, no, ni, 8, TailStrategy::GuardWithIf);
    Func pixel_sum = f.d_weights.update().rfactor({{no, images}, {f.pixels.y, x}, {f.pixels.z, y}});
    f.d_weights.update()
        .split(f.k, ko, ki, channels)
        .split(ko, block, ko, tiles_a_task)
        .split(f.c, co, ci, divisor_up_to(4, s.in_c))
        .reorder(ki, ci, co, ko, no, f.pixels.y, f.pixels.z, block, f.dx, f.dy)
        .fuse(f.dx, f.dy, task)
        .fuse(block, task, task)
        .vectorize(ki, vector)
        .unroll(ki)
        .unroll(ci)
        .parallel(task);
    sum_in_registers(pixel_sum, f.d_weights, co, f.k, f.c, ni, vector);

    bias_rows(f, vector);
}

/// A task makes one row of pixels: for each pixel and 16 images the products of all taps, which read the same 2 KiB of gradients from the
/// L1 cache. 1.56 ms on the first layer where register_tile, whose tasks each read all gradients, takes 1.75; 4 vectors x 3 channels do not
/// fit the registers: 1.91.
void backward_weights_rows(Conv2dBackwardWeightsByRows &f, const Shape &s, const Set &set) {
    const int vector = power_of_two_divisor(set.vector_floats, s.out_c);
    Var ko{"ko"}, ki{"ki"}, co{"co"}, ci{"ci"}, x{"x"}, images{"images"};
    RVar no{"no"}, ni{"ni"};

    f.row_sums.compute_root().vectorize(f.k, vector).parallel(f.y);
    f.row_sums.update().split(f.pixels.x, no, ni, 16, TailStrategy::GuardWithIf);
    Func pixel_sum = f.row_sums.update().rfactor({{no, images}, {f.pixels.y, x}});
    f.row_sums.update()
        .split(f.k, ko, ki, vector * divisor_up_to(2, s.out_c / vector))
        .split(f.c, co, ci, divisor_up_to(3, s.in_c))
        .reorder(ki, ci, co, ko, f.dx, f.dy, no, f.pixels.y, f.y)
        .vectorize(ki, vector)
        .unroll(ki)
        .unroll(ci)
        .parallel(f.y);
    sum_in_registers(pixel_sum, f.row_sums, co, f.k, f.c, ni, vector);
    f.d_weights.vectorize(f.k, vector).update().reorder(f.k, f.c, f.dx, f.dy, f.rows).vectorize(f.k, vector);
    bias_rows(f, vector);
}

}  // namespace

template<>
const std::vector<NamedSchedule<Conv2dForward>> &x86_schedules() {
    static const std::vector<NamedSchedule<Conv2dForward>> schedules = {{"register_tile", forward_register_tile}};
    return schedules;
}

template<>
const std::vector<NamedSchedule<Conv2dBackwardData>> &x86_schedules() {
    static const std::vector<NamedSchedule<Conv2dBackwardData>> schedules = {{"register_tile", backward_data_register_tile}};
    return schedules;
}

template<>
const std::vector<NamedSchedule<Conv2dBackwardWeights>> &x86_schedules() {
    static const std::vector<NamedSchedule<Conv2dBackwardWeights>> schedules = {{"register_tile", backward_weights_register_tile}};
    return schedules;
}

template<>
const std::vector<NamedSchedule<Conv2dBackwardWeightsByRows>> &x86_schedules() {
    static const std::vector<NamedSchedule<Conv2dBackwardWeightsByRows>> schedules = {{"rows", backward_weights_rows}};
    return schedules;
}

}  // namespace halcyon
