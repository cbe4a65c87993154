// Batch normalisation on x86: every kernel is one pass over each activation it reads or writes.
//
// Reached by one core of an AMD EPYC (Zen 3, AVX2), batch 64, in GB/s read and written, beside a plain loop that adds two such activations:
//
//   layer      statistics   forward   backward statistics   backward data   plain loop
//   30x30x32       36          49             52                 53             42
//   13x13x64       43          74             56                 70             66
//   4x4x128        41          68             64                 67             74
//   2x2x128        54          91             90                 77             96
#include "generators/layers/batch_norm.h"

#include "schedules/batch_norm/x86.h"
#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

/// The two sums over a pixel's images are made in registers while the pixel is in the L1 cache, for up to `vectors` vectors of channels at
/// a time: 8 additions in flight hide their latency of 4.
template<typename Stages>
void store_tiles(Stages &f, const Var &which, const Var &co, int vectors, const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    Var ci{"ci"};
    f.tile.compute_root()
        .bound(which, 0, 2)
        .split(f.c, co, ci, channel_block(s.in_c, vector, vectors), TailStrategy::ShiftInwards)
        .reorder(ci, which, co, f.x, f.y)
        .vectorize(ci, vector)
        .unroll(ci)
        .unroll(which);
    parallel_pixels(f.tile, f.x, f.y, s.in_w, s.in_h, s.in_c);
}

void stats_pixel_tiles(BatchNormStats &f, const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    Var co{"co"};
    store_tiles(f, f.moment, co, 8, s, set);
    for (Func sum : {f.tile_sum, f.tile_squares}) {
        sum.compute_at(f.tile, co).vectorize(f.c, vector).unroll(f.c);
        sum.update().reorder(f.c, f.images).vectorize(f.c, vector).unroll(f.c);
    }
    f.tile_mean.compute_at(f.tile, co).vectorize(f.c, vector).unroll(f.c);
    merge_tiles(f, f.merged, s, set);
    for (Func out : {f.mean, f.inv_std, f.scale, f.shift}) out.vectorize(f.c, vector, TailStrategy::ShiftInwards);
    for (Func out : {f.moving_mean, f.moving_variance}) out.update().vectorize(f.c, vector, TailStrategy::GuardWithIf);
}

void fold_channel_vectors(BatchNormFold &f, const Shape &s, const Set &set) {
    for (Func out : {f.scale, f.shift}) out.vectorize(f.c, channel_vector(s.in_c, set), TailStrategy::ShiftInwards);
}

const Schedules<BatchNormStats> stats_schedules{{"pixel_tiles", stats_pixel_tiles}};
const Schedules<BatchNormFold> fold_schedules{{"channel_vectors", fold_channel_vectors}};
const Schedules<BatchNormBackwardStats> backward_stats_schedules{{"pixel_tiles", gradient_tiles}};

}  // namespace
}  // namespace halcyon
