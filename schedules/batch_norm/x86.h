// Sums over a batch in tiles, one a pixel, which are merged in order: what the statistics kernels share.
#pragma once

#include "generators/layers/batch_norm.h"
#include "schedules/x86/pixels.h"

#include <Halide.h>

namespace halcyon {

/// One thread merges the tiles, in order: a batch of 64 is 32 times the memory.
template<typename Stages>
void merge_tiles(Stages &f, Halide::Func merged, const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    Halide::Var co{"co"}, ci{"ci"};
    merged.compute_root().vectorize(f.c, vector, Halide::TailStrategy::ShiftInwards);
    merged.update()
        .split(f.c, co, ci, channel_block(s.in_c, vector, 4), Halide::TailStrategy::GuardWithIf)
        .reorder(ci, f.tiles.x, f.tiles.y, co)
        .vectorize(ci, vector)
        .unroll(ci);
}

/// The loop over blocks of channels within gradient_tiles().
inline Halide::Var gradient_block() { return Halide::Var("co"); }

/// One sequential pass over a pixel: its sums are in the L1 cache, two vectors of channels in registers. With all images of a few channels
/// at a time, sums stay in registers, but what is read is strided: through a 2x2 pool 40 instead of 61 GB/s at 30x30x32.
inline void gradient_tiles(BatchNormBackwardStats &f, const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    Halide::Var ci{"ci"};
    f.tile.compute_root().bound(f.which, 0, 2).vectorize(f.c, vector, Halide::TailStrategy::ShiftInwards).unroll(f.which);
    const Halide::Var pixel = parallel_pixels(f.tile, f.x, f.y, s.in_w, s.in_h, s.in_c);
    f.tile_sums.compute_at(f.tile, pixel).vectorize(f.c, vector);
    f.tile_sums.update()
        .split(f.c, gradient_block(), ci, channel_block(s.in_c, vector, 2), Halide::TailStrategy::GuardWithIf)
        .reorder(ci, gradient_block(), f.images)
        .vectorize(ci, vector)
        .unroll(ci);
    merge_tiles(f, f.sums, s, set);
    for (Halide::Func out : {f.d_gamma, f.d_beta}) out.vectorize(f.c, vector, Halide::TailStrategy::ShiftInwards);
}

}  // namespace halcyon
