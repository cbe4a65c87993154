// Batch normalisation on devices. Its statistics are sums over the batch in tiles, one a pixel, merged row by row.
//
// Never run on a GPU. By structure, at 30x30x32 and any batch, entry `rows`: 900 blocks of 32 channels x 8 threads, which read whole lines,
// then in a second launch a block of 32 channels x 30 rows, whose longest chain is 30 tiles and 30 rows. Entry `channels`, for few pixels:
// one launch of a block for 8 channels, whose 32 bytes are what a GPU reads of memory at least. Of 13x13x64 with a batch of 64 each of
// its 8 blocks reads 338 KiB, which at 64 bytes a cycle, the most a processor of an H100 gets of the L2 cache, takes 3 microseconds, as
// long as a second launch; of 4x4x128 each of 16 reads 32 KiB, so few that it reads them again for the pass behind in the same launch.
#pragma once

#include "generators/layers/batch_norm.h"
#include "plan/divisors.h"
#include "plan/menu.h"
#include "schedules/gpu/threads.h"

#include <Halide.h>

#include <algorithm>
#include <vector>

namespace halcyon {

/// The blocks of the stages below: channels of a pixel, or of all.
inline const Halide::Var channel_block{"channel_block"};

/// The channels of a block that has all pixels of them.
inline int block_channels(const Shape &s) { return divisor_up_to(8, s.in_c); }

/// Cuts a stage over channels into blocks of so many.
inline Halide::Stage channel_blocks(Halide::Stage stage, const Halide::Var &c, int channels) {
    return stage.split(c, channel_block, thread, channels, Halide::TailStrategy::GuardWithIf).gpu_threads(thread);
}

/// A thread's share of a sum, and its loop over images.
struct SharedSum {
    Halide::Func shares;
    Halide::RVar images;
};

/// Makes `sum`, over the images of the pixels that an iteration of `level` of f.tile makes, by 8 threads for each: one adds up every 8th
/// image, then one of them adds up the 8, in order.
template<typename Stages>
SharedSum share_images(Stages &f, Halide::Func sum, const Halide::Var &level) {
    const Halide::RVar every{"every"}, of_eight{"of_eight"};
    const Halide::Var share{"share"}, pixel{"pixel"};
    sum.compute_at(f.tile, level).fuse(f.x, f.y, pixel).gpu_threads(f.c, pixel).update().split(f.images.x, every, of_eight, 8);
    Halide::Func shares = sum.update().rfactor(of_eight, share);
    sum.update().fuse(f.x, f.y, pixel).reorder(of_eight, f.c, pixel).gpu_threads(f.c, pixel);
    shares.compute_at(f.tile, level).fuse(f.x, f.y, pixel).gpu_threads(f.c, pixel, share);
    shares.update().fuse(f.x, f.y, pixel).reorder(every, f.c, pixel, share).gpu_threads(f.c, pixel, share);
    return {shares, every};
}

/// The tiles, in blocks of 32 channels of a pixel; `which` is the one or the other of a tile's two values.
template<typename Stages>
void tile_blocks(Stages &f, const Halide::Var &which) {
    channel_blocks(f.tile.compute_root().bound(which, 0, 2).unroll(which), f.c, 32)
        .reorder(which, thread, channel_block, f.x, f.y)
        .gpu_blocks(channel_block, f.x, f.y);
}

/// Some of a block's rows of tiles at a time.
inline const Halide::Var rows_of_tiles{"rows_of_tiles"};

/// The tiles of all pixels where `output` merges them, in the shared memory of blocks of up to 8 channels; 16 pixels at a time, where rows
/// are no longer, give work to 1024 threads.
template<typename Stages>
void tiles_of_block(Stages &f, Halide::Func output, const Halide::Var &which, int width, int height) {
    const Halide::Var row{"row"}, pixel{"pixel"};
    f.tile.compute_at(output, channel_block)
        .bound(which, 0, 2)
        .unroll(which)
        .split(f.y, rows_of_tiles, row, divisor_up_to(std::max(16 / width, 1), height))
        .fuse(f.x, row, pixel)
        .reorder(which, f.c, pixel, rows_of_tiles)
        .gpu_threads(f.c, pixel);
}

/// `outputs`, a value a channel, in one launch. `channels` a block divide those of the layer: Halide computes what several outputs read
/// before it asks whether there is such a channel, and would read beyond the last.
inline void channel_outputs(const std::vector<Halide::Stage> &outputs, const Halide::Var &c, int channels) {
    for (Halide::Stage output : outputs) {
        channel_blocks(output, c, channels).gpu_blocks(channel_block);
        if (output.name() != outputs.front().name()) output.compute_with(outputs.front(), thread);
    }
}

/// Where a block merges tiles, a thread makes each channel's `row`: 32 of them are as many threads as a block has.
inline void row_threads(Halide::Func row, Halide::Func output, const Halide::Var &c, const Halide::Var &y, const Halide::RVar &tiles) {
    row.compute_at(output, channel_block).gpu_threads(c, y).update().reorder(tiles, c, y).gpu_threads(c, y);
}

/// What the gradients' merged tiles make, `channels` of them a block.
inline void gradient_outputs(BatchNormBackwardStats &f, int channels) {
    const Halide::Var row{"row"};
    channel_outputs({Halide::Stage(f.d_gamma), Halide::Stage(f.d_beta)}, f.c, channels);
    f.sums.compute_at(f.d_gamma, thread);
    row_threads(f.sums.update().rfactor(f.tiles.y, row), f.d_gamma, f.c, row, f.tiles.x);
}

/// Has the `output` of a pass made by the blocks that make `first`, a value a channel: each for its own channels, 64 images at a time.
/// They are the threads' y and z, no longer than those of tiles_of_block() and share_images(): a block has the longest of each.
template<typename Pass>
void pass_of_block(const Pass &pass, Halide::Func output, Halide::Func first, int channels) {
    const Halide::Var images{"images"}, image{"image"}, eight{"eight"};
    output.split(pass.c, channel_block, thread, channels, Halide::TailStrategy::GuardWithIf)
        .split(pass.n, images, image, 64, Halide::TailStrategy::GuardWithIf)
        .split(image, eight, image, 8)
        .reorder(thread, image, eight, images, pass.x, pass.y, channel_block)
        .gpu_blocks(channel_block)
        .gpu_threads(thread, image, eight);
    output.compute_with(first, channel_block);
}

/// Has what a block's channels share in shared memory for a pass, made by a thread a channel.
inline void share_values(Halide::Func values, Halide::Func output, const Halide::Var &c) {
    values.compute_at(output, channel_block).gpu_threads(c);
    if (values.has_update_definition()) values.update().gpu_threads(c);
}

/// What of the statistics, or their gradients, a pass in the same launch needs.
inline void share_statistics(BatchNormStats &f) {
    for (Halide::Func values : {f.merged, f.affine}) share_values(values, f.mean, f.c);
}
inline void share_statistics(BatchNormBackwardStats &f) {
    for (Halide::Func values : {f.sums, f.gradients}) share_values(values, f.d_gamma, f.c);
}

/// Has f.d_input made by the blocks that make the gradients of gamma and beta.
template<typename Stages>
void differentiate_in_block(Stages &f, BatchNormBackwardStats &stats, int channels) {
    share_statistics(stats);
    share_values(f.gradient.factors, stats.d_gamma, f.gradient.factors.args().front());
    pass_of_block(f, f.d_input, stats.d_gamma, channels);
}

/// The gradients' sums in two launches. Returns how the images of a pixel are shared.
inline SharedSum gradient_rows(BatchNormBackwardStats &f, const Shape &s) {
    gradient_outputs(f, divisor_up_to(32, s.in_c));
    tile_blocks(f, f.which);
    return share_images(f, f.tile_sums, channel_block);
}

/// The same in one.
inline SharedSum gradient_channels(BatchNormBackwardStats &f, const Shape &s) {
    gradient_outputs(f, block_channels(s));
    tiles_of_block(f, f.d_gamma, f.which, s.in_w, s.in_h);
    return share_images(f, f.tile_sums, rows_of_tiles);
}

}  // namespace halcyon
