#include "schedules/batch_norm/reference.h"

#include "generators/layers/batch_norm.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

using Halide::Func;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;

void reference(BatchNormStats &f) {
    for (Stage output :
         {Stage(f.mean), Stage(f.inv_std), Stage(f.scale), Stage(f.shift), f.moving_mean.update(), f.moving_variance.update()}) {
        output.split(f.c, task, channel, task_channels, TailStrategy::GuardWithIf).parallel(task);
        if (output.name() != Stage(f.mean).name()) output.compute_with(f.mean, task);
    }
    f.merged.compute_at(f.mean, task).update().reorder(f.c, f.tiles.x, f.tiles.y);
    for (Func stage : {f.tile_sum, f.tile_mean, f.tile_squares}) stage.compute_at(f.merged, f.tiles.x);
    f.tile_sum.update().reorder(f.c, f.images);
    f.tile_squares.update().reorder(f.c, f.images);
}

void reference(BatchNormStatsForward &f) {
    reference(f.stats);
    pass_of_channels(f.normalise, f.normalise.output, f.stats.mean);
}

void reference(BatchNormBackwardStats &f) {
    for (Func stage : {f.d_gamma, f.d_beta}) stage.split(f.c, task, channel, task_channels, TailStrategy::GuardWithIf).parallel(task);
    f.d_beta.compute_with(f.d_gamma, task);
    f.sums.compute_at(f.d_gamma, task).update().reorder(f.c, f.tiles.x, f.tiles.y);
    f.tile_sums.compute_at(f.sums, f.tiles.x).update().reorder(f.c, f.images);
}

void reference(BatchNormBackward &f) {
    reference(f.stats);
    pass_of_channels(f, f.d_input, f.stats.d_gamma);
}

const Schedules<BatchNormStats> stats_schedules{{"reference", reference}};
const Schedules<BatchNormStatsForward> stats_forward_schedules{{"reference", reference}};
const Schedules<BatchNormBackwardStats> backward_stats_schedules{{"reference", reference}};
const Schedules<BatchNormBackward> backward_schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
