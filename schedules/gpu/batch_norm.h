// Batch normalisation on devices. Its statistics are sums over the batch in tiles, one a pixel, merged row by row: two launches.
//
// Never run on a GPU. By structure, at 30x30x32 and any batch: 900 blocks of 32 channels x 8 threads, which read whole lines, then a block
// of 32 channels x 30 rows, whose longest chain is 30 tiles and 30 rows.
#pragma once

#include "generators/layers/batch_norm.h"
#include "schedules/divisors.h"
#include "schedules/gpu/gpu_reference.h"
#include "schedules/gpu/threads.h"
#include "schedules/menu.h"

#include <Halide.h>

#include <vector>

namespace halcyon {

/// A thread an element, of neighbouring channels. A window's pixels come from the L1 cache after the first, so that memory sees each once,
/// and what the activations take of memory is all that such a pass waits for.
template<typename Stages>
void elements(Stages &f, const Shape &, const Set &) {
    gpu_reference(f);
}

/// The blocks of the stages below: channels of a pixel, or of all.
inline const Halide::Var channel_block{"channel_block"};

/// Cuts a stage over channels into blocks of so many.
inline Halide::Stage channel_blocks(Halide::Stage stage, const Halide::Var &c, int channels) {
    return stage.split(c, channel_block, thread, channels, Halide::TailStrategy::GuardWithIf).gpu_threads(thread);
}

/// A thread's share of a sum, and its loop over images.
struct SharedSum {
    Halide::Func shares;
    Halide::RVar images;
};

/// Makes `sum`, over the images of a pixel of `tile`, by 8 threads a channel: each adds up every 8th image, then one adds up the 8, in
/// order.
inline SharedSum share_images(Halide::Func sum, Halide::Func tile, const Halide::Var &c, const Halide::RVar &images) {
    const Halide::RVar every{"every"}, of_eight{"of_eight"};
    const Halide::Var share{"share"};
    sum.compute_at(tile, channel_block).gpu_threads(c).update().split(images, every, of_eight, 8);
    Halide::Func shares = sum.update().rfactor(of_eight, share);
    sum.update().reorder(of_eight, c).gpu_threads(c);
    shares.compute_at(tile, channel_block).gpu_threads(c, share).update().reorder(every, c, share).gpu_threads(c, share);
    return {shares, every};
}

/// The tiles, in blocks of 32 channels of a pixel; `which` is the one or the other of a tile's two values.
template<typename Stages>
void tile_blocks(Stages &f, const Halide::Var &which) {
    channel_blocks(f.tile.compute_root().bound(which, 0, 2).unroll(which), f.c, 32)
        .reorder(which, thread, channel_block, f.x, f.y)
        .gpu_blocks(channel_block, f.x, f.y);
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

/// The gradients' sums. Returns how the images of a pixel are shared.
inline SharedSum gradient_rows(BatchNormBackwardStats &f, const Shape &s) {
    const Halide::Var row{"row"};
    tile_blocks(f, f.which);
    const SharedSum shared = share_images(f.tile_sums, f.tile, f.c, f.images.x);
    channel_outputs({Halide::Stage(f.d_gamma), Halide::Stage(f.d_beta)}, f.c, divisor_up_to(32, s.in_c));
    f.sums.compute_at(f.d_gamma, thread);
    Halide::Func rows = f.sums.update().rfactor(f.tiles.y, row);
    row_threads(rows, f.d_gamma, f.c, row, f.tiles.x);
    return shared;
}

}  // namespace halcyon
