#include "schedules/reference/reference.h"

namespace halcyon {

using Halide::Func;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;

namespace {

// Channels a task: what it keeps of each fits the stack whatever the number of channels.
constexpr int channels = 64;
const Var task{"task"};

}  // namespace

void pass_of_channels(Func pass, const std::array<Var, 4> &cxyn, Func first) {
    const auto &[c, x, y, n] = cxyn;
    pass.split(c, task, channel, channels, TailStrategy::GuardWithIf).reorder(channel, x, y, n, task).parallel(task);
    pass.compute_with(first, task);
}

void reference(BatchNormStats &f) {
    for (Stage output :
         {Stage(f.mean), Stage(f.inv_std), Stage(f.scale), Stage(f.shift), f.moving_mean.update(), f.moving_variance.update()}) {
        output.split(f.c, task, channel, channels, TailStrategy::GuardWithIf).parallel(task);
        if (output.name() != Stage(f.mean).name()) output.compute_with(f.mean, task);
    }
    f.merged.compute_at(f.mean, task).update().reorder(f.c, f.tiles.x, f.tiles.y);
    for (Func stage : {f.tile_sum, f.tile_mean, f.tile_squares}) stage.compute_at(f.merged, f.tiles.x);
    f.tile_sum.update().reorder(f.c, f.images);
    f.tile_squares.update().reorder(f.c, f.images);
}

void reference(BatchNormStatsForward &f) {
    reference(f.stats);
    BatchNormForward &pass = f.normalise;
    pass_of_channels(pass.output, {pass.c, pass.x, pass.y, pass.n}, f.stats.mean);
}

void reference(BatchNormFold &) {}

void reference(BatchNormForward &f) { f.output.parallel(f.n); }

void reference(BatchNormBackwardStats &f) {
    for (Func stage : {f.d_gamma, f.d_beta}) stage.split(f.c, task, channel, channels, TailStrategy::GuardWithIf).parallel(task);
    f.d_beta.compute_with(f.d_gamma, task);
    f.sums.compute_at(f.d_gamma, task).update().reorder(f.c, f.tiles.x, f.tiles.y);
    f.tile_sums.compute_at(f.sums, f.tiles.x).update().reorder(f.c, f.images);
}

void reference(BatchNormBackwardData &f) { f.d_input.parallel(f.n); }

void reference(BatchNormBackward &f) {
    reference(f.stats);
    BatchNormBackwardData &pass = f.data;
    pass_of_channels(pass.d_input, {pass.c, pass.x, pass.y, pass.n}, f.stats.d_gamma);
}

}  // namespace halcyon
