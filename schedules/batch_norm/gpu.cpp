#include "schedules/batch_norm/gpu.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

using Halide::Func;
using Halide::Stage;

/// A thread per channel of a pixel makes both of its sums over the images.
template<typename Stages>
void tile_threads(Stages &f, const Halide::Var &which) {
    const Halide::Var block{"block"};
    f.tile.compute_root().bound(which, 0, 2).unroll(which);
    f.tile.split(f.c, block, thread, 64, Halide::TailStrategy::GuardWithIf)
        .reorder(which, thread, block, f.x, f.y)
        .gpu_blocks(block, f.x, f.y)
        .gpu_threads(thread);
}

/// What the merged tiles make. The moving statistics' first definitions say that the values are there already: they leave no loop, but on
/// the host they would leave a check of the pointer.
std::vector<Stage> stats_outputs(BatchNormStats &f) {
    for (Func moving : {f.moving_mean, f.moving_variance}) element_threads(moving, f.c);
    return {Stage(f.mean), Stage(f.inv_std), Stage(f.scale), Stage(f.shift), f.moving_mean.update(), f.moving_variance.update()};
}

/// What the merged tiles make in blocks of so many channels, a thread a row of them.
void merged_outputs(BatchNormStats &f, int channels) {
    channel_outputs(stats_outputs(f), f.c, channels);
    f.merged.compute_at(f.mean, thread);
    row_threads(f.row, f.mean, f.c, f.y, f.row_tiles.x);
}

void normalise_in_block(BatchNormStatsForward &f, int channels) {
    share_statistics(f.stats);
    pass_of_block(f.normalise, f.normalise.output, f.stats.mean, channels);
}

void stats_rows(BatchNormStats &f, const Shape &s, const Set &) {
    merged_outputs(f, divisor_up_to(32, s.in_c));
    tile_blocks(f, f.moment);
    for (Func sum : {f.tile_sum, f.tile_squares}) share_images(f, sum, channel_block);
    f.tile_mean.compute_at(f.tile, channel_block).gpu_threads(f.c);
}

/// The statistics in one launch.
void stats_channels(BatchNormStats &f, const Shape &s, const Set &) {
    const Halide::Var pixel{"pixel"};
    merged_outputs(f, block_channels(s));
    tiles_of_block(f, f.mean, f.moment, s.in_w, s.in_h);
    for (Func sum : {f.tile_sum, f.tile_squares}) share_images(f, sum, rows_of_tiles);
    f.tile_mean.compute_at(f.tile, rows_of_tiles).fuse(f.x, f.y, pixel).gpu_threads(f.c, pixel);
}

void backward_stats_rows(BatchNormBackwardStats &f, const Shape &s, const Set &) { gradient_rows(f, s); }

void backward_stats_channels(BatchNormBackwardStats &f, const Shape &s, const Set &) { gradient_channels(f, s); }

void stats_forward_channels(BatchNormStatsForward &f, const Shape &s, const Set &set) {
    stats_channels(f.stats, s, set);
    normalise_in_block(f, block_channels(s));
}

void backward_channels(BatchNormBackward &f, const Shape &s, const Set &) {
    gradient_channels(f.stats, s);
    differentiate_in_block(f, f.stats, block_channels(s));
}

// Then a thread per channel merges its pixels in order.
void gpu_reference(BatchNormStats &f) {
    tile_threads(f, f.moment);
    for (Func stage : {f.tile_sum, f.tile_mean, f.tile_squares}) stage.compute_at(f.tile, thread);
    channel_outputs(stats_outputs(f), f.c, 1);
    f.merged.compute_at(f.mean, thread);
}

void gpu_reference(BatchNormStatsForward &f) {
    gpu_reference(f.stats);
    normalise_in_block(f, 1);
}

void gpu_reference(BatchNormFold &f) {
    for (Func output : {f.scale, f.shift}) element_threads(output, f.c);
}

void gpu_reference(BatchNormBackwardStats &f) {
    tile_threads(f, f.which);
    f.tile_sums.compute_at(f.tile, thread);
    channel_outputs({Stage(f.d_gamma), Stage(f.d_beta)}, f.c, 1);
    f.sums.compute_at(f.d_gamma, thread);
}

void gpu_reference(BatchNormBackward &f) {
    gpu_reference(f.stats);
    differentiate_in_block(f, f.stats, 1);
}

const Schedules<BatchNormStats> stats_schedules{{"channels", stats_channels}, {"rows", stats_rows}, {"gpu_reference", gpu_reference}};
const Schedules<BatchNormStatsForward> stats_forward_schedules{{"channels", stats_forward_channels}, {"gpu_reference", gpu_reference}};
const Schedules<BatchNormFold> fold_schedules{{"gpu_reference", gpu_reference}};
const Schedules<BatchNormBackwardStats> backward_stats_schedules{
    {"channels", backward_stats_channels}, {"rows", backward_stats_rows}, {"gpu_reference", gpu_reference}};
const Schedules<BatchNormBackward> backward_schedules{{"channels", backward_channels}, {"gpu_reference", gpu_reference}};

}  // namespace
}  // namespace halcyon
