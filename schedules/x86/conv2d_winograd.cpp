// Winograd's convolutions on x86: transforms and products of a block of images stay in a core's L2 cache.
#include "generators/layers/conv2d_winograd.h"

#include "schedules/schedules.h"
#include "schedules/x86/conv2d.h"

namespace halcyon {
namespace {

using Halide::Func;
using Halide::MemoryType;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

/// 2 vectors of channels x 4 images: the 8 sums in flight that two FMAs a cycle of latency 4 need.
constexpr int tile_images = 4;

int tile_channels(int channels, const Set &set) { return channels % (2 * set.vector_floats) ? set.vector_floats : 2 * set.vector_floats; }

/// A task makes one tile of the picture for a block of 16 images: it transforms their inputs, all channels, and then, 32 output channels
/// at a time, multiplies and transforms back. Inputs and products lie on the task's stack (MemoryType::Register is Halide's only memory
/// there of more than 16 KiB): (m + 2)^2 planes of images x channels, 147 KiB for F(4x4) of 64 channels, each an image longer than needed
/// (align_storage), lest all planes fall into the same cache sets. Blocks beyond the batch compute their last image again.
void tile_of_images(WinogradConvolution &f, Func out, int in_c, int out_c, int out_w, int out_h, const WinogradTile &tile, const Set &set) {
    constexpr int images = 16;
    const int vector = set.vector_floats, m = tile.outputs, channels = tile_channels(out_c, set), block = divisor_up_to(32, out_c);
    Var no{"no"}, ni{"ni"}, ko{"ko"}, kb{"kb"}, ki{"ki"}, i{"i"}, j{"j"}, task{"task"};

    out.bound(f.x, 0, out_w)
        .bound(f.y, 0, out_h)
        .split(f.x, f.tx, i, m, TailStrategy::GuardWithIf)
        .split(f.y, f.ty, j, m, TailStrategy::GuardWithIf)
        .split(f.n, no, ni, images, TailStrategy::GuardWithIf)
        .split(f.k, ko, kb, block)
        .split(kb, kb, ki, vector)
        .reorder(ki, i, j, kb, ni, ko, no, f.tx, f.ty)
        .vectorize(ki)
        .unroll(i)
        .unroll(j)
        .fuse(f.tx, f.ty, task)
        .fuse(no, task, task)
        .parallel(task);
    f.output_columns.compute_at(out, ni).bound_extent(f.tx, 1).bound_extent(f.ty, 1).reorder(f.i, f.k, f.b).vectorize(f.k, vector).unroll(f.i);

    const auto keep = [&](Func stage) {
        stage.store_in(MemoryType::Register)
            .bound_extent(f.n, images)
            .bound_extent(f.tx, 1)
            .bound_extent(f.ty, 1)
            .align_storage(f.n, images + 1);
    };
    keep(f.products);
    f.products.compute_at(out, ko)
        .split(f.n, no, ni, tile_images)
        .split(f.k, kb, ki, channels)
        .reorder(ki, ni, no, kb, f.a, f.b)
        .vectorize(ki, vector)
        .unroll(ki)
        .unroll(ni);
    f.sum.compute_at(f.products, no)
        .vectorize(f.k, vector)
        .unroll(f.k)
        .unroll(f.n)
        .update()
        .reorder(f.k, f.n, f.channels)
        .vectorize(f.k, vector)
        .unroll(f.k)
        .unroll(f.n)
        .unroll(f.channels, divisor_up_to(4, in_c));

    keep(f.transformed_input);
    f.transformed_input.compute_at(out, task).reorder(f.a, f.b, f.c, f.n, f.tx, f.ty).vectorize(f.c, vector).unroll(f.a).unroll(f.b);
    f.input_columns.compute_at(f.transformed_input, f.n).reorder(f.a, f.c, f.i).vectorize(f.c, vector).unroll(f.a);

    f.transformed_weights.compute_root().reorder(f.a, f.b, f.k, f.c).vectorize(f.k, vector).unroll(f.a).unroll(f.b).parallel(f.c);
    f.weight_columns.compute_at(f.transformed_weights, f.k).vectorize(f.k, vector).unroll(f.a).unroll(f.i);
}

template<const WinogradTile &tile>
void forward(Conv2dForwardWinograd &f, const Shape &s, const Set &set) {
    tile_of_images(f, f.output, s.in_c, s.out_c, s.out_w, s.out_h, tile, set);
}

template<const WinogradTile &tile>
void backward_data(Conv2dBackwardDataWinograd &f, const Shape &s, const Set &set) {
    tile_of_images(f, f.d_input, s.out_c, s.in_c, s.in_w, s.in_h, tile, set);
}

/// A task sums one row b of the transformed domain over a row of tiles: for each tile and block of images it transforms inputs and
/// gradients into a few tens of KiB, then adds their products, for each of the m + 2 columns a, to all pairs of channels.
template<const WinogradTile &tile>
void backward_weights(Conv2dBackwardWeightsWinograd &f, const Shape &s, const Set &set) {
    constexpr int images = 32;
    const int vector = set.vector_floats, channels = tile_channels(s.out_c, set);
    Var ko{"ko"}, ki{"ki"}, co{"co"}, ci{"ci"}, task{"task"}, block{"block"}, column{"column"};
    RVar no{"no"}, ni{"ni"};

    f.row_products.compute_root().vectorize(f.k, vector).fuse(f.b, f.ty, task).parallel(task);
    f.row_products.update().split(f.tiles.x, no, ni, images, TailStrategy::GuardWithIf);
    Func block_sum = f.row_products.update().rfactor({{no, block}, {f.tiles.y, column}});
    f.row_products.update()
        .split(f.k, ko, ki, channels)
        .split(f.c, co, ci, 4)
        .reorder(ki, ci, co, ko, f.a, no, f.tiles.y, f.b, f.ty)
        .fuse(f.b, f.ty, task)
        .vectorize(ki, vector)
        .unroll(ki)
        .unroll(ci)
        .parallel(task);
    block_sum.compute_at(f.row_products, co)
        .vectorize(f.k, vector)
        .unroll(f.k)
        .unroll(f.c)
        .update()
        .reorder(f.k, f.c, ni)
        .vectorize(f.k, vector)
        .unroll(f.k)
        .unroll(f.c);

    for (auto &[transformed, rows, channel] :
         {std::tuple{f.transformed_input, f.input_rows, f.c}, {f.transformed_gradient, f.gradient_rows, f.k}}) {
        Func(transformed)
            .compute_at(f.row_products, no)
            .store_in(MemoryType::Register)
            .bound_extent(f.n, images)
            .bound_extent(f.tx, 1)
            .bound_extent(f.ty, 1)
            .bound_extent(f.b, 1)
            .align_storage(f.n, images + 1)
            .reorder(f.a, channel, f.n, f.tx, f.ty, f.b)
            .vectorize(channel, vector)
            .unroll(f.a);
        Func(rows).compute_at(transformed, f.n).reorder(channel, f.i).vectorize(channel, vector);
    }
    for (Func coefficients : {f.input_coefficients, f.output_coefficients}) coefficients.compute_root();

    f.d_weights.compute_root().reorder(f.dx, f.dy, f.k, f.c).vectorize(f.k, vector).unroll(f.dx).unroll(f.dy).parallel(f.c);
    f.weight_rows.compute_at(f.d_weights, f.k).vectorize(f.k, vector).unroll(f.a).unroll(f.dy);
    f.products.compute_at(f.d_weights, f.k).vectorize(f.k, vector).unroll(f.a).unroll(f.b);
    f.products.update().reorder(f.k, f.a, f.b, f.tile_rows).vectorize(f.k, vector).unroll(f.a).unroll(f.b);
    bias_rows(f, vector);
}

}  // namespace

template<>
const std::vector<NamedSchedule<Conv2dForwardWinograd>> &x86_schedules() {
    static const std::vector<NamedSchedule<Conv2dForwardWinograd>> schedules = {{"winograd_f4", forward<winograd_f4>},
                                                                                {"winograd_f2", forward<winograd_f2>}};
    return schedules;
}

template<>
const std::vector<NamedSchedule<Conv2dBackwardDataWinograd>> &x86_schedules() {
    static const std::vector<NamedSchedule<Conv2dBackwardDataWinograd>> schedules = {{"winograd_f4", backward_data<winograd_f4>},
                                                                                     {"winograd_f2", backward_data<winograd_f2>}};
    return schedules;
}

template<>
const std::vector<NamedSchedule<Conv2dBackwardWeightsWinograd>> &x86_schedules() {
    static const std::vector<NamedSchedule<Conv2dBackwardWeightsWinograd>> schedules = {{"winograd_f4", backward_weights<winograd_f4>},
                                                                                        {"winograd_f2", backward_weights<winograd_f2>}};
    return schedules;
}

}  // namespace halcyon
