// Winograd's convolutions on x86: transforms and products of a block of images stay in a core's L2 cache.
//
// Reached by two cores, batch 64, in percent of the measured FMA peak, counted as the direct algorithm's: of an AMD EPYC Zen 4 (236
// GFLOP/s) with AVX-512 and with AVX2, and of a Zen 3 with AVX2 (207 GFLOP/s; by the minute up to 40 % more, docs/notebook/winograd.md):
//
//   layer            tile      forward        backward data   backward weights
//   15x15x32 -> 64   4x4   187, 160, 122     182, 143, 118     176, 154,  96
//   13x13x64 -> 64   4x4   245, 206, 161     220, 180, 160     235, 190, 130
//   6x6x64  -> 128   4x4   218, 187, 155     227, 177, 114     227, 204, 132
//   4x4x128 -> 128   2x2   141, 109,  83     134, 111,  65     139, 110,  87
//
// One image on one core, weights transformed before: 15x15x32 191 (Zen 4, AVX-512), 170 (Zen 4, AVX2), 181 (Zen 3), 13x13x64 251, 195, 195,
// 6x6x64 196, 180, 148.
#include "generators/layers/conv2d_winograd.h"

#include "generators/layers/conv2d_pool.h"
#include "schedules/conv2d/x86.h"
#include "schedules/schedules.h"

#include <algorithm>

namespace halcyon {
namespace {

using Halide::Func;
using Halide::MemoryType;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

/// 2 vectors of channels x 4 images: the 8 sums in flight that two FMAs a cycle of latency 4 need.
constexpr int tile_images = WinogradImages::backward_data;

int tile_channels(int channels, const Set &set) { return channels % (2 * set.vector_floats) ? set.vector_floats : 2 * set.vector_floats; }

/// Planes of images x channels that stay on a task's stack: MemoryType::Register is Halide's only memory there of more than 16 KiB. Each is
/// one image longer than needed, lest all planes fall into the same cache sets.
Func on_stack(Func planes, Var n, int images) {
    return planes.store_in(MemoryType::Register).bound_extent(n, images).align_storage(n, images + 1);
}

/// Images of a pixel that make up to 1 KiB of memory that is read in one go, a divisor of `images`.
int images_of_run(int channels, int images) { return divisor_up_to(std::max(256 / channels, 1), images); }

/// Products of planes, `vector` x 2 channels x 4 images at a time, summed over `channels` in registers.
template<typename Stages>
void multiply(Stages &f, Var out_channel, int out_channels, int in_channels, const Set &set) {
    Var no{"no"}, ni{"ni"}, ko{"ko"}, ki{"ki"};
    f.products.split(f.n, no, ni, tile_images)
        .split(out_channel, ko, ki, tile_channels(out_channels, set))
        .reorder(ki, ni, no, f.tx, f.ty, ko, f.a, f.b)
        .vectorize(ki, set.vector_floats)
        .unroll(ki)
        .unroll(ni);
    f.sum.compute_at(f.products, no)
        .vectorize(out_channel, set.vector_floats)
        .unroll(out_channel)
        .unroll(f.n)
        .update()
        .reorder(out_channel, f.n, f.channels)
        .vectorize(out_channel, set.vector_floats)
        .unroll(out_channel)
        .unroll(f.n)
        .unroll(f.channels, divisor_up_to(4, in_channels));
}

/// Vectors of `lanes`, all planes of one at a time; `blocks` counts the vectors, `outer` is the parallel loop.
template<typename Stages>
void transform_weights(Stages &f, Var lanes, Var blocks, Var inner, Var outer, const Set &set) {
    f.transformed_weights.compute_root()
        .split(lanes, blocks, lanes, set.vector_floats)
        .reorder(lanes, f.a, f.b, inner, outer)
        .vectorize(lanes)
        .unroll(f.a)
        .unroll(f.b)
        .parallel(outer);
    f.weight_columns.compute_at(f.transformed_weights, inner).vectorize(lanes, set.vector_floats).unroll(f.a).unroll(f.i);
}

/// What a task makes of a tile: outputs of the convolution, or those of the pool behind it.
struct TileOutput {
    Func func;
    Var k, x, y, n;
    int columns, rows;
};

TileOutput tile_output(const Conv2dForwardWinograd &f, const Shape &) { return {f.output, f.k, f.x, f.y, f.n, f.outputs, f.outputs}; }

TileOutput tile_output(const Conv2dPoolForward<Conv2dForwardWinograd> &f, const Shape &s) {
    const MaxPool2dForward &pool = f.pool;
    const int outputs = f.convolution.outputs;
    return {pool.output, pool.c, pool.x, pool.y, pool.n, outputs / s.pool_w, outputs / s.pool_h};
}

/// The last stage: the columns of a tile's outputs where the loop `block` of `out` takes them, the outputs where `loop` does.
void transform_back(Conv2dForwardWinograd &f, const TileOutput &out, const Var &block, const Var &, const Set &set) {
    f.output_columns.compute_at(out.func, block).bound_extent(f.tx, 1).bound_extent(f.ty, 1).vectorize(f.k, set.vector_floats).unroll(f.i);
}

/// The same with the pool, whose windows are made of the whole tile.
void transform_back(Conv2dPoolForward<Conv2dForwardWinograd> &f, const TileOutput &out, const Var &block, const Var &loop, const Set &set) {
    auto &[convolution, pool] = f;
    transform_back(convolution, out, block, loop, set);
    Var xi{"xi"}, yi{"yi"};
    convolution.output.compute_at(out.func, loop)
        .align_bounds(convolution.x, convolution.outputs)
        .align_bounds(convolution.y, convolution.outputs)
        .bound_storage(convolution.x, convolution.outputs)
        .bound_storage(convolution.y, convolution.outputs)
        .split(convolution.x, convolution.x, xi, convolution.outputs)
        .split(convolution.y, convolution.y, yi, convolution.outputs)
        .reorder(convolution.k, xi, yi, convolution.x, convolution.y)
        .vectorize(convolution.k, set.vector_floats)
        .unroll(xi)
        .unroll(yi);
    pool.largest.compute_at(out.func, pool.x).vectorize(pool.c, set.vector_floats);
    pool.largest.update()
        .reorder(pool.c, pool.taps.x, pool.taps.y)
        .vectorize(pool.c, set.vector_floats)
        .unroll(pool.taps.x)
        .unroll(pool.taps.y);
}

Conv2dForwardWinograd &convolution_of(Conv2dForwardWinograd &f) { return f; }
Conv2dForwardWinograd &convolution_of(Conv2dPoolForward<Conv2dForwardWinograd> &f) { return f.convolution; }

/// A task makes one tile of the picture for a block of 16 images: it transforms their inputs, all channels, and then, up to 128 output
/// channels at a time, multiplies and transforms back. The inputs of F(4x4) with 64 channels are 147 KiB; of the products only a row of the
/// transformed domain is there at a time, 27 KiB of 64 channels that are summed into columns of outputs while they are near: of 15x15x32
/// 0.89 of the time that all 36 planes take on Zen 3, where blocks of 32 channels take 0.96. Blocks beyond the batch compute its last image
/// again. Inputs come a column of pixels at a time, of as many images as make runs of 1 KiB: all 36 pixels of a tile at once would be as
/// many streams of memory, and single images' runs are too short to prefetch (15x15x32: 9 % slower).
template<typename Stages>
void forward(Stages &stages, const Shape &s, const Set &set) {
    constexpr int images = WinogradImages::forward;
    const int vector = set.vector_floats;
    Conv2dForwardWinograd &f = convolution_of(stages);
    const TileOutput out = tile_output(stages, s);
    Var no{"no"}, ni{"ni"}, ko{"ko"}, kb{"kb"}, ki{"ki"}, task{"task"}, blocks{"blocks"}, run{"run"};

    Func(out.func)
        .split(out.x, f.tx, out.x, out.columns, TailStrategy::GuardWithIf)
        .split(out.y, f.ty, out.y, out.rows, TailStrategy::GuardWithIf)
        .split(out.n, no, ni, images, TailStrategy::GuardWithIf)
        .split(out.k, ko, kb, divisor_up_to(128, s.out_c))
        .split(kb, kb, ki, vector)
        .reorder(ki, out.x, out.y, kb, ni, ko, no, f.tx, f.ty)
        .vectorize(ki)
        .unroll(out.x)
        .unroll(out.y)
        .fuse(f.tx, f.ty, task)
        .fuse(no, task, task)
        .parallel(task);
    transform_back(stages, out, ko, kb, set);
    on_stack(f.output_columns, f.n, images).bound_extent(f.i, f.outputs).reorder(f.i, f.k, f.n, f.tx, f.ty, f.b);
    on_stack(f.products, f.n, images).compute_at(f.output_columns, f.b).bound_extent(f.tx, 1).bound_extent(f.ty, 1);
    multiply(f, f.k, s.out_c, s.in_c, set);
    on_stack(f.transformed_input, f.n, images)
        .compute_at(out.func, task)
        .bound_extent(f.tx, 1)
        .bound_extent(f.ty, 1)
        .split(f.n, run, f.n, images_of_run(s.in_c, images))
        .reorder(f.a, f.b, f.c, f.n, run, f.tx, f.ty)
        .vectorize(f.c, vector)
        .unroll(f.a)
        .unroll(f.b);
    f.input_columns.compute_at(f.transformed_input, run)
        .store_in(MemoryType::Register)
        .reorder(f.a, f.c, f.n, f.i)
        .vectorize(f.c, vector)
        .unroll(f.a);
    if (f.own_weights) transform_weights(*f.own_weights, f.own_weights->k, blocks, blocks, f.own_weights->c, set);
}

/// One image: its tiles are transformed first, then a task multiplies them all by the weights of a cache line of output channels and
/// transforms back.
template<typename Stages>
void forward_one_image(Stages &stages, const Shape &s, const Set &set) {
    Conv2dForwardWinograd &f = convolution_of(stages);
    const TileOutput out = tile_output(stages, s);
    const int vector = set.vector_floats, channels = tile_channels(s.out_c, set);
    const int tiles_x = divide_up(s.out_w, f.outputs), tiles_y = divide_up(s.out_h, f.outputs);
    const PixelTile block = cheapest_tile(tiles_x, tiles_y, channels / vector, set);
    Var ko{"ko"}, ki{"ki"}, co{"co"}, xo{"xo"}, xi{"xi"}, yo{"yo"}, yi{"yi"}, task{"task"};

    Func(out.func)
        .split(out.x, f.tx, out.x, out.columns, TailStrategy::GuardWithIf)
        .split(out.y, f.ty, out.y, out.rows, TailStrategy::GuardWithIf)
        .split(out.k, task, ko, channels)
        .split(ko, ko, ki, vector)
        .reorder(ki, out.x, out.y, ko, f.tx, f.ty, out.n, task)
        .vectorize(ki)
        .unroll(out.x)
        .unroll(out.y)
        .parallel(task);
    transform_back(stages, out, ko, ko, set);
    f.output_columns.unroll(f.b);
    f.products.compute_at(out.func, task)
        .store_in(MemoryType::Register)
        .bound_extent(f.tx, tiles_x)
        .bound_extent(f.ty, tiles_y)
        .split(f.k, ko, ki, block.vectors * vector)
        .split(f.tx, xo, xi, block.width, TailStrategy::ShiftInwards)
        .split(f.ty, yo, yi, block.height, TailStrategy::ShiftInwards)
        .reorder(ki, xi, yi, f.n, xo, yo, ko, f.a, f.b)
        .vectorize(ki, vector)
        .unroll(ki)
        .unroll(xi)
        .unroll(yi);
    f.sum.compute_at(f.products, xo)
        .vectorize(f.k, vector)
        .unroll(f.k)
        .unroll(f.tx)
        .unroll(f.ty)
        .update()
        .reorder(f.k, f.tx, f.ty, f.channels)
        .vectorize(f.k, vector)
        .unroll(f.k)
        .unroll(f.tx)
        .unroll(f.ty)
        .unroll(f.channels, divisor_up_to(4, s.in_c));
    f.transformed_input.compute_root()
        .store_in(MemoryType::Register)
        .split(f.c, co, f.c, vector)
        .reorder(f.c, f.a, f.b, f.n, f.tx, co, f.ty)
        .fuse(co, f.ty, task)
        .vectorize(f.c)
        .unroll(f.a)
        .unroll(f.b)
        .parallel(task);
    f.input_columns.compute_at(f.transformed_input, f.tx).reorder(f.c, f.a, f.i).vectorize(f.c, vector).unroll(f.a);
}

void weights_channel_vectors(WinogradWeights &f, const Shape &, const Set &set) {
    Var blocks{"blocks"};
    transform_weights(f, f.k, blocks, blocks, f.c, set);
}

/// A task makes a block of images, all their tiles, whose transformed gradients fill up to 320 KiB of a core's L2 cache: 4 images of
/// 13x13x64, 16 of 6x6x128. 16 input channels at a time it multiplies, and adds up what the tiles give to each pixel.
template<const WinogradTile &tile>
void backward_data(Conv2dBackwardDataWinograd &f, const Shape &s, const Set &set) {
    const int vector = set.vector_floats, tiles_x = tile.tiles(s.out_w), tiles_y = tile.tiles(s.out_h);
    const int image_bytes = tiles_x * tiles_y * tile.inputs() * tile.inputs() * s.out_c * int(sizeof(float));
    const int images = std::clamp(320 * 1024 / image_bytes / tile_images, 1, 4) * tile_images;
    Var no{"no"}, ni{"ni"}, co{"co"}, cb{"cb"}, ci{"ci"}, i{"i"}, j{"j"}, blocks{"blocks"};

    f.d_input.split(f.x, f.tx, i, tile.outputs, TailStrategy::GuardWithIf)
        .split(f.y, f.ty, j, tile.outputs, TailStrategy::GuardWithIf)
        .split(f.n, no, ni, images, TailStrategy::GuardWithIf)
        .split(f.c, co, cb, tile_channels(s.in_c, set))
        .split(cb, cb, ci, vector)
        .reorder(ci, j, i, f.ty, f.tx, cb, ni, co, no)
        .vectorize(ci)
        .unroll(i)
        .unroll(j)
        .parallel(no);
    f.input_columns.compute_at(f.d_input, f.tx)
        .store_in(MemoryType::Register)
        .bound_extent(f.x, tile.outputs)
        .bound_extent(f.ty, tiles_y)
        .reorder(f.x, f.c, f.b, f.ty)
        .vectorize(f.c, vector)
        .unroll(f.x)
        .unroll(f.b);
    on_stack(f.products, f.n, images).compute_at(f.d_input, co);
    multiply(f, f.c, s.in_c, s.out_c, set);
    on_stack(f.transformed_gradient, f.n, images)
        .compute_at(f.d_input, no)
        .reorder(f.a, f.b, f.k, f.n, f.tx, f.ty)
        .vectorize(f.k, vector)
        .unroll(f.a)
        .unroll(f.b);
    f.gradient_columns.compute_at(f.transformed_gradient, f.n).reorder(f.a, f.k, f.i).vectorize(f.k, vector).unroll(f.a);
    // The weights of a vector of input channels lie apart: they stay in the L1 cache while k goes along their lines.
    transform_weights(f, f.c, blocks, f.k, blocks, set);
}

/// Tiles of inputs need no adding up of neighbours, and a task's share of their transforms stays in the L2 cache whatever the layer's size.
void backward_data_input_tiles(Conv2dBackwardDataInputTiles &f, const Shape &s, const Set &set) {
    forward(f.convolution, s.backward_data(), set);
}

/// A task sums rows b of the transformed domain over a row of tiles: for each tile and block of images it transforms inputs and gradients
/// into up to 160 KiB, 320 with AVX-512, then adds their products, for each of the m + 2 columns a, to all pairs of channels. It reads a
/// column of pixels at a time, of as many images as make runs of 1 KiB. Of 15x15x32 two rows at once take 0.80 of the time of one in a step
/// (Zen 3), of 13x13x64 three take 0.95 with AVX-512 (Zen 4).
template<const WinogradTile &tile>
void backward_weights(Conv2dBackwardWeightsWinograd &f, const Shape &s, const Set &set) {
    constexpr int images = WinogradImages::backward_weights;
    const int vector = set.vector_floats, channels = tile_channels(s.out_c, set), rows = weights_rows(tile, s, set);
    Var ko{"ko"}, ki{"ki"}, co{"co"}, ci{"ci"}, bo{"bo"}, task{"task"}, block{"block"}, column{"column"}, run{"run"};
    RVar no{"no"}, ni{"ni"};

    f.row_products.compute_root().vectorize(f.k, vector).fuse(f.b, f.ty, task).parallel(task);
    f.row_products.update().split(f.tiles.x, no, ni, images, TailStrategy::GuardWithIf);
    Func block_sum = f.row_products.update().rfactor({{no, block}, {f.tiles.y, column}});
    f.row_products.update()
        .split(f.k, ko, ki, channels)
        .split(f.c, co, ci, 4)
        .split(f.b, bo, f.b, rows)
        .reorder(ki, ci, co, ko, f.a, f.b, no, f.tiles.y, bo, f.ty)
        .fuse(bo, f.ty, task)
        .vectorize(ki, vector)
        .unroll(ki)
        .unroll(ci)
        .parallel(task);
    sum_in_registers(block_sum, f.row_products, co, f.k, f.c, ni, vector);

    const auto transform_rows = [&](Func transformed, Func untransformed, const Var &channel, int extent) {
        on_stack(transformed, f.n, images)
            .compute_at(f.row_products, no)
            .bound_extent(f.tx, 1)
            .bound_extent(f.ty, 1)
            .bound_extent(f.b, rows)
            .split(f.n, run, f.n, images_of_run(extent, images))
            .reorder(f.a, channel, f.b, f.n, run, f.tx, f.ty)
            .vectorize(channel, vector)
            .unroll(f.a);
        untransformed.compute_at(transformed, run)
            .store_in(MemoryType::Register)
            .bound_extent(f.b, rows)
            .reorder(f.b, channel, f.n, f.i)
            .vectorize(channel, vector)
            .unroll(f.b);
    };
    transform_rows(f.transformed_input, f.input_rows, f.c, s.in_c);
    transform_rows(f.transformed_gradient, f.gradient_rows, f.k, s.out_c);
    for (Func coefficients : {f.input_coefficients, f.output_coefficients}) coefficients.compute_root();

    f.d_weights.compute_root().reorder(f.dx, f.dy, f.k, f.c).vectorize(f.k, vector).unroll(f.dx).unroll(f.dy).parallel(f.c);
    f.weight_rows.compute_at(f.d_weights, f.k).vectorize(f.k, vector).unroll(f.a).unroll(f.dy);
    f.products.compute_at(f.d_weights, f.k).vectorize(f.k, vector).unroll(f.a).unroll(f.b);
    f.products.update().reorder(f.k, f.a, f.b, f.tile_rows).vectorize(f.k, vector).unroll(f.a).unroll(f.b);
    bias_rows(f, vector);
}

template<typename Stages>
Schedules<Stages> forward_schedules() {
    return {{"winograd_f4", forward<Stages>},
            {"winograd_f2", forward<Stages>},
            {"winograd_f4_one_image", forward_one_image<Stages>},
            {"winograd_f2_one_image", forward_one_image<Stages>}};
}

const auto schedules = forward_schedules<Conv2dForwardWinograd>();
const auto pool_schedules = forward_schedules<Conv2dPoolForward<Conv2dForwardWinograd>>();
const Schedules<WinogradWeights> weights_schedules{{"channel_vectors", weights_channel_vectors}};
const Schedules<Conv2dBackwardDataInputTiles> input_tiles_schedules{{"winograd_f4_input_tiles", backward_data_input_tiles},
                                                                    {"winograd_f2_input_tiles", backward_data_input_tiles}};
const Schedules<Conv2dBackwardDataWinograd> backward_data_schedules{{"winograd_f4", backward_data<winograd_f4>},
                                                                    {"winograd_f2", backward_data<winograd_f2>}};
const Schedules<Conv2dBackwardWeightsWinograd> backward_weights_schedules{{"winograd_f4", backward_weights<winograd_f4>},
                                                                          {"winograd_f2", backward_weights<winograd_f2>}};

}  // namespace
}  // namespace halcyon
