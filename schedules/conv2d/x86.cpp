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
//
// One image: 32x32x3 98, 4x4x128 59, whose 4 pixels read 576 KiB of weights.
//
// Two cores of a Zen 4 with AVX-512 (236 GFLOP/s) reach 92 % of their peak in the first layer's forward and 82 % in its weight gradients
// with the pass through the pool (70 % if only their products are counted), one image 93 % there and 88 % of one core's in 4x4x128.
#include "generators/layers/conv2d.h"

#include "generators/layers/conv2d_pool.h"
#include "schedules/conv2d/entries.h"
#include "schedules/conv2d/x86.h"
#include "schedules/schedules.h"
#include "schedules/x86/pool_windows.h"

#include <algorithm>

namespace halcyon {
namespace {

using Halide::Func;
using Halide::MemoryType;
using Halide::RDom;
using Halide::RVar;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;

/// Vectors of channels x images that stay in registers over all taps: 2 x 6 of 16 registers leave 2 for the weights and 1 for the broadcast
/// input. AVX-512's multiply-adds broadcast what they read, and 2 x 4 are the 8 sums in flight that they need: 0.85 of the time of 2 x 12,
/// which make 72 images of 64, 0.96 to 0.99 of 2 x 8's (Zen 4). Fewer channels than two vectors make one, as wide as they allow.
struct RegisterTile {
    int vector, channels, images;

    RegisterTile(int layer_channels, const Set &set) : vector(set.vector_floats), images(set.vector_registers == 32 ? 4 : 6) {
        while (vector > layer_channels) vector /= 2;
        channels = layer_channels >= 2 * vector ? 2 * vector : vector;
    }
};

/// A tile of channels x images stays in registers over all `taps` (summed channels, dx, dy); it is made where `loop` of `out` takes it.
void sum_tile(Func sum, Func out, const Var &loop, const RDom &taps, int summed_channels, const Var &c, const Var &n, int vector) {
    sum.compute_at(out, loop)
        .vectorize(c, vector)
        .unroll(c)
        .unroll(n)
        .update()
        .reorder(c, n, taps.x, taps.y, taps.z)
        .vectorize(c, vector)
        .unroll(c)
        .unroll(n)
        .unroll(taps.x, divisor_up_to(4, summed_channels));
}

/// Tiles `out` over its channels and images. A tile's weights stay in the L1 cache while it slides over the batch. Where channels or images
/// are no multiple of the tile, the last one moves back (ShiftInwards): the overlap is computed twice, with the same bits. Batches smaller
/// than a tile go image by image. Returns the loop over tiles.
Var tile_over_images(Func out, Var c, Var x, Var y, Var n, const RegisterTile &tile) {
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
    return no;
}

void forward_register_tile(Conv2dForward &f, const Shape &s, const Set &set) {
    const RegisterTile tile(s.out_c, set);
    const Var loop = tile_over_images(f.output, f.k, f.x, f.y, f.n, tile);
    sum_tile(f.sum, f.output, loop, f.taps, s.in_c, f.k, f.n, tile.vector);
}

/// The convolution's outputs under a window go no further than the L1 cache. Tiles divide the channels: behind one that moved back, Halide
/// would have the convolution read weights beyond the last.
void forward_pool_register_tile(Conv2dPoolForward<Conv2dForward> &f, const Shape &s, const Set &set) {
    RegisterTile tile(s.out_c, set);
    tile.vector = power_of_two_divisor(tile.vector, s.out_c);
    tile.channels = tile.vector * divisor_up_to(2, s.out_c / tile.vector);
    auto &[convolution, pool] = f;
    const Var loop = tile_over_images(pool.output, pool.c, pool.x, pool.y, pool.n, tile);
    convolution.output.compute_at(pool.output, loop)
        .store_in(MemoryType::Register)
        .bound_storage(convolution.x, s.pool_w)
        .bound_storage(convolution.y, s.pool_h)
        .reorder(convolution.k, convolution.n, convolution.x, convolution.y)
        .vectorize(convolution.k, tile.vector)
        .unroll(convolution.k)
        .unroll(convolution.n);
    sum_tile(convolution.sum, convolution.output, convolution.x, convolution.taps, s.in_c, convolution.k, convolution.n, tile.vector);
    pool.largest.compute_at(pool.output, loop).vectorize(pool.c, tile.vector);
    pool.largest.update().reorder(pool.c, pool.taps.x, pool.taps.y, pool.n).vectorize(pool.c, tile.vector);
}

void fold_channel_vectors(Conv2dFold &f, const Shape &s, const Set &set) {
    const int vector = power_of_two_divisor(set.vector_floats, s.out_c);
    Var ko{"ko"};
    f.folded_weights.reorder(f.k, f.dx, f.dy, f.c).vectorize(f.k, vector).parallel(f.c);
    f.folded_bias.split(f.k, ko, f.k, vector).vectorize(f.k).parallel(ko);
    f.shifted.compute_at(f.folded_bias, ko).vectorize(f.k).update().reorder(f.k, f.taps.x, f.taps.y, f.taps.z).vectorize(f.k);
}

/// The sums of a channel run in the lanes of a vector, over all taps, and then over the lanes in order.
void fold_backward_channel_vectors(Conv2dFoldBackward &f, const Shape &s, const Set &set) {
    const int vector = power_of_two_divisor(set.vector_floats, s.out_c);
    Var lane{"lane"};
    RVar ko{"ko"}, ki{"ki"};
    f.d_weights.reorder(f.k, f.dx, f.dy, f.c).vectorize(f.k, vector).parallel(f.c);
    f.sums.compute_root().update().split(f.taps.x, ko, ki, vector);
    Func lanes = f.sums.update().rfactor(ki, lane);
    f.sums.parallel(f.c).update().parallel(f.c);
    lanes.compute_at(f.sums, f.c).vectorize(lane).update().reorder(lane, ko, f.taps.y, f.taps.z).vectorize(lane);
    for (Func out : {f.d_gamma, f.d_beta}) out.vectorize(f.c, set.vector_floats, TailStrategy::GuardWithIf);
}

void fold_output_channel_vectors(Conv2dFoldOutput &f, const Shape &s, const Set &set) {
    const int vector = power_of_two_divisor(set.vector_floats, s.out_c);
    f.folded_weights.reorder(f.k, f.dx, f.dy, f.c).vectorize(f.k, vector).parallel(f.c);
    f.folded_bias.vectorize(f.k, vector);
}

/// The same for the pixels of a tile of one image.
void sum_pixels(Conv2dForward &f, const Shape &s, const Var &loop, int vector) {
    f.sum.compute_at(f.output, loop)
        .vectorize(f.k, vector)
        .unroll(f.k)
        .unroll(f.x)
        .unroll(f.y)
        .update()
        .reorder(f.k, f.x, f.y, f.taps.x, f.taps.y, f.taps.z)
        .vectorize(f.k, vector)
        .unroll(f.k)
        .unroll(f.x)
        .unroll(f.y)
        .unroll(f.taps.x, divisor_up_to(4, s.in_c));
}

void forward_pixel_tile(Conv2dForward &f, const Shape &s, const Set &set) {
    const int vector = RegisterTile(s.out_c, set).vector;
    const PixelTile tile = cheapest_tile(s.out_w, s.out_h, s.out_c / vector, set);
    Var ko{"ko"}, ki{"ki"}, xo{"xo"}, xi{"xi"}, yo{"yo"}, yi{"yi"}, task{"task"};
    f.output.split(f.k, ko, ki, tile.vectors * vector, TailStrategy::ShiftInwards)
        .split(f.x, xo, xi, tile.width, TailStrategy::ShiftInwards)
        .split(f.y, yo, yi, tile.height, TailStrategy::ShiftInwards)
        .reorder(ki, xi, yi, f.n, xo, yo, ko)
        .fuse(yo, ko, task)
        .vectorize(ki, vector)
        .unroll(ki)
        .unroll(xi)
        .unroll(yi)
        .parallel(task);
    sum_pixels(f, s, xo, vector);
}

/// A task makes the rows of the convolution under a row of windows, for a tile's channels: of a single row no more than half of them, lest
/// one thread make all.
void forward_pool_pixel_tile(Conv2dPoolForward<Conv2dForward> &f, const Shape &s, const Set &set) {
    const int vector = power_of_two_divisor(set.vector_floats, s.out_c);
    const int width = std::min(s.out_w, (s.pooled_w - 1) * s.pool_stride_w + s.pool_w - s.pool_pad_left);  // all that the pool reads
    const int vectors = s.out_c / vector;
    PixelTile tile = cheapest_tile(width, 1, s.pooled_h == 1 ? divide_up(vectors, 2) : vectors, set);
    tile.vectors = divisor_up_to(tile.vectors, vectors);
    auto &[convolution, pool] = f;
    Var ko{"ko"}, ki{"ki"}, xo{"xo"}, xi{"xi"}, task{"task"};
    pool.output.split(pool.c, ko, ki, tile.vectors * vector)
        .reorder(ki, pool.x, pool.n, pool.y, ko)
        .fuse(pool.y, ko, task)
        .vectorize(ki, vector)
        .unroll(ki)
        .parallel(task);
    convolution.output.compute_at(pool.output, task)
        .store_in(MemoryType::Register)
        .bound_storage(convolution.y, s.pool_h)
        .split(convolution.x, xo, xi, tile.width, TailStrategy::ShiftInwards)
        .reorder(convolution.k, xi, convolution.n, xo, convolution.y)
        .vectorize(convolution.k, vector)
        .unroll(convolution.k)
        .unroll(xi);
    sum_pixels(convolution, s, xo, vector);
    pool.largest.compute_at(pool.output, pool.x).vectorize(pool.c, vector).unroll(pool.c);
    pool.largest.update().reorder(pool.c, pool.taps.x, pool.taps.y).vectorize(pool.c, vector).unroll(pool.c);
}

/// In tiles whose lines stay in the L1 cache. 3x3x512 -> 512 on 3x3 pixels, batch 32, takes 0.7 to 0.8 of the time it took without (one
/// core of a Zen 4): its weights are 9 MiB, and its gradients 576 KiB.
void transpose_weights(Conv2dBackwardData &f, const Shape &s) {
    Var co{"co"}, ci{"ci"}, ko{"ko"}, ki{"ki"}, task{"task"};
    f.transposed.compute_root()
        .split(f.c, co, ci, divisor_up_to(16, s.in_c))
        .split(f.k, ko, ki, divisor_up_to(16, s.group_out()))
        .reorder(ci, ki, ko, co, f.dx, f.dy)
        .fuse(f.dx, f.dy, task)
        .fuse(co, task, task)
        .parallel(task);
}

void backward_data_register_tile(Conv2dBackwardData &f, const Shape &s, const Set &set) {
    const RegisterTile tile(s.in_c, set);
    transpose_weights(f, s);
    const Var loop = tile_over_images(f.d_input, f.c, f.x, f.y, f.n, tile);
    sum_tile(f.sum, f.d_input, loop, f.taps, s.out_c, f.c, f.n, tile.vector);
}

/// Blocks of output and of input channels. A task makes one of each for a tap: 16 tasks, where blocks can be so small. Every block of
/// outputs reads all inputs of a pixel, every block of inputs all gradients. They read cache lines, so that they are whole ones. And they
/// are as few as leave the multiply-adds, 16 a cycle, more time than the reads, 8 bytes a cycle from the L3 cache. (1x1x384 -> 64 was one
/// task.)
struct ChannelBlocks {
    int outputs = 1, inputs = 1;

    ChannelBlocks(const Shape &s, int output_tile, int input_tile) {
        const int enough = divide_up(16, s.kernel_w * s.kernel_h);
        int reads = 0;
        for (int k = 1; k <= s.out_c / output_tile; k++)
            for (int c = 1; c <= s.in_c / input_tile; c++) {
                if (s.out_c / output_tile % k || s.in_c / input_tile % c) continue;
                if ((k > 1 && s.out_c / k % 16) || (c > 1 && s.in_c / c % 16)) continue;
                const int read = s.in_c * k + s.out_c * c, tasks = std::min(k * c, enough), best = std::min(outputs * inputs, enough);
                if (reads > 0 && read > s.in_c * s.out_c / 8) continue;
                if (reads == 0 || tasks > best || (tasks == best && read < reads)) outputs = k, inputs = c, reads = read;
            }
    }
};

/// A tile of output channels x input channels of one tap is summed over 8 images of one pixel in registers, then added to d_weights. What
/// all tiles read at a pixel then stays in the L1 cache: 64 images at once measured 15 % slower. 2 vectors x 4, or 1 x 8, are the 8 sums in
/// flight that two FMAs a cycle of latency 4 need.
void backward_weights_register_tile(Conv2dBackwardWeights &f, const Shape &s, const Set &set) {
    const int vector = power_of_two_divisor(set.vector_floats, s.out_c);
    const int channels = vector * divisor_up_to(2, s.out_c / vector), inputs = divisor_up_to(8 * vector / channels, s.in_c);
    const ChannelBlocks blocks(s, channels, inputs);
    const int tiles_a_task = s.out_c / channels / blocks.outputs, input_tiles = s.in_c / inputs, input_blocks = blocks.inputs;
    Var ko{"ko"}, ki{"ki"}, co{"co"}, ci{"ci"}, block{"block"}, inputs_block{"inputs_block"}, task{"task"}, x{"x"}, y{"y"};
    Var images{"images"};
    RVar no{"no"}, ni{"ni"};

    f.d_weights.vectorize(f.k, vector);
    f.d_weights.update().split(f.pixels.x, no, ni, 8, TailStrategy::GuardWithIf);
    Func pixel_sum = f.d_weights.update().rfactor({{no, images}, {f.pixels.y, x}, {f.pixels.z, y}});
    f.d_weights.update()
        .split(f.k, ko, ki, channels)
        .split(ko, block, ko, tiles_a_task)
        .split(f.c, co, ci, inputs)
        .split(co, inputs_block, co, input_tiles / input_blocks)
        .reorder(ki, ci, co, ko, no, f.pixels.y, f.pixels.z, inputs_block, block, f.dx, f.dy)
        .fuse(f.dx, f.dy, task)
        .fuse(block, task, task)
        .fuse(inputs_block, task, task)
        .vectorize(ki, vector)
        .unroll(ki)
        .unroll(ci)
        .parallel(task);
    sum_in_registers(pixel_sum, f.d_weights, co, f.k, f.c, ni, vector);

    bias_rows(f, vector);
}

/// A task makes one row of pixels, or of a pool's windows: for each pixel and 32 images the products of all columns, which read the same
/// 4 KiB of gradients from the L1 cache, 2 vectors of channels x 4 columns at a time: the 8 sums in flight that two FMAs a cycle of latency
/// 4 need. 71 % of two cores' FMA peak on the first layer (0.68 ms, Zen 3), before images were unrolled: 0.88 of the time with AVX2 on Zen
/// 3, 0.89 with AVX-512 and nothing with AVX2 on Zen 4. Returns the loop over blocks of images, of a window each.
RVar sum_rows(Conv2dBackwardWeightsByRows &f, const Shape &s, const Set &set) {
    const int vector = power_of_two_divisor(set.vector_floats, s.out_c);
    Var ko{"ko"}, ki{"ki"}, co{"co"}, ci{"ci"}, window{"window"}, x{"x"}, row{"row"}, images{"images"};
    RVar no{"no"}, ni{"ni"}, xo{"xo"}, xi{"xi"};

    f.row_sums.compute_root().vectorize(f.k, vector).parallel(f.y);
    f.row_sums.update()
        .split(f.pixels.x, no, ni, rows_images, TailStrategy::GuardWithIf)
        .split(f.pixels.y, xo, xi, s.pool_stride_w, TailStrategy::GuardWithIf);
    Func pixel_sum = f.row_sums.update().rfactor({{no, images}, {xo, window}, {xi, x}, {f.pixels.z, row}});
    f.row_sums.update()
        .split(f.k, ko, ki, vector * divisor_up_to(2, s.out_c / vector))
        .split(f.column, co, ci, 4)
        .reorder(ki, ci, co, ko, xi, f.pixels.z, no, xo, f.y)
        .vectorize(ki, vector)
        .unroll(ki)
        .unroll(ci)
        .unroll(co)
        .parallel(f.y);
    sum_in_registers(pixel_sum, f.row_sums, co, f.k, f.column, ni, vector);
    pixel_sum.update().unroll(ni, 4);
    f.d_weights.vectorize(f.k, vector).update().reorder(f.k, f.c, f.dx, f.dy, f.rows).vectorize(f.k, vector);
    f.d_bias.vectorize(f.k, vector).update().reorder(f.k, f.rows).vectorize(f.k, vector);
    return no;
}

void backward_weights_rows(Conv2dBackwardWeightsByRows &f, const Shape &s, const Set &set) { sum_rows(f, s, set); }

/// The gradients of a window's pixels, 16 KiB of 32 channels, are made where they are multiplied. 0.77 of the time of both passes apart
/// (1.08 ms against 1.40, two cores), whose first writes 7 MiB that the second reads.
void pool_backward_weights_rows(Conv2dPoolBackwardWeights &f, const Shape &s, const Set &set) {
    const RVar images = sum_rows(f.weights, s, set);
    MaxPool2dBackward &pool = f.pool;
    pool_windows(f.d_convolution, pool, s.pool(), set);
    f.d_convolution.compute_at(f.weights.row_sums, images)
        .store_in(MemoryType::Register)
        .reorder_storage(pool.c, pool.n, pool.x, pool.y)
        .bound_storage(pool.n, rows_images)
        .bound_storage(pool.x, s.pool_stride_w)
        .bound_storage(pool.y, s.pool_stride_h);
}

const Schedules<Conv2dForward> forward_schedules{{"pixel_tile", forward_pixel_tile}, {"register_tile", forward_register_tile}};
const Schedules<Conv2dPoolForward<Conv2dForward>> pool_forward_schedules{{"pixel_tile", forward_pool_pixel_tile},
                                                                         {"register_tile", forward_pool_register_tile}};
const Schedules<Conv2dFold> fold_schedules{{"channel_vectors", fold_channel_vectors}};
const Schedules<Conv2dFoldOutput> fold_output_schedules{{"channel_vectors", fold_output_channel_vectors}};
const Schedules<Conv2dFoldBackward> fold_backward_schedules{{"channel_vectors", fold_backward_channel_vectors}};
const Schedules<Conv2dBackwardData> backward_data_schedules{{"register_tile", backward_data_register_tile}};
const Schedules<Conv2dBackwardWeights> backward_weights_schedules{{"register_tile", backward_weights_register_tile}};
const Schedules<Conv2dBackwardWeightsByRows> backward_rows_schedules{{"rows", backward_weights_rows}};
const Schedules<Conv2dPoolBackwardWeights> pool_backward_schedules{{"rows", pool_backward_weights_rows}};

}  // namespace
}  // namespace halcyon
