#include "schedules/reference/reference.h"

namespace halcyon {
namespace {

using Halide::Func;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;

// Channels a task: what it keeps of each fits the stack whatever the number of channels.
constexpr int block = 64;

}  // namespace

void reference(BatchNormStats &f) {
    Var co{"co"}, ci{"ci"};
    for (Stage output :
         {Stage(f.mean), Stage(f.inv_std), Stage(f.scale), Stage(f.shift), f.moving_mean.update(), f.moving_variance.update()}) {
        output.split(f.c, co, ci, block, TailStrategy::GuardWithIf).parallel(co);
        if (output.name() != Stage(f.mean).name()) output.compute_with(f.mean, co);
    }
    f.merged.compute_at(f.mean, co).update().reorder(f.c, f.tiles.x, f.tiles.y);
    for (Func stage : {f.tile_sum, f.tile_mean, f.tile_squares}) stage.compute_at(f.merged, f.tiles.x);
    f.tile_sum.update().reorder(f.c, f.images);
    f.tile_squares.update().reorder(f.c, f.images);
}

void reference(BatchNormFold &) {}

void reference(BatchNormForward &f) { f.output.parallel(f.n); }

void reference(BatchNormBackwardStats &f) {
    Var co{"co"}, ci{"ci"};
    for (Func stage : {f.d_gamma, f.d_beta}) stage.split(f.c, co, ci, block, TailStrategy::GuardWithIf).parallel(co);
    f.d_beta.compute_with(f.d_gamma, co);
    f.sums.compute_at(f.d_gamma, co).update().reorder(f.c, f.tiles.x, f.tiles.y);
    f.tile_sums.compute_at(f.sums, f.tiles.x).update().reorder(f.c, f.images);
}

void reference(BatchNormBackwardData &f) { f.d_input.parallel(f.n); }

}  // namespace halcyon
