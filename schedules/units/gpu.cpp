#include "generators/layers/units.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

using Halide::Func;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

/// A thread per unit. Those of a block divide the channels: Halide computes what two outputs read before it asks whether there is such a
/// channel, and would read beyond the last.
void gpu_reference(UnitSums &f, const Shape &s, const Set &) {
    const Var block{"block"};
    for (Func sum : {f.d_scale, f.d_shift})
        sum.split(f.c, block, thread, divisor_up_to(32, s.in_c)).gpu_blocks(block, f.x, f.y).gpu_threads(thread);
    f.d_shift.compute_with(f.d_scale, thread);
    f.sums.compute_at(f.d_scale, thread);
}

/// A thread per unit.
void gpu_reference(SharedWeights &f) {
    const Var block{"block"};
    f.units.split(f.c, block, thread, 32, TailStrategy::GuardWithIf).gpu_blocks(block, f.x, f.y).gpu_threads(thread);
}

/// A block per weight: 128 threads share its sum, which may be of all units, and one of them adds up theirs.
void gpu_reference(SharedWeightsBackward &f) {
    const RVar columns{"columns"}, units{"units"}, rest{"rest"}, of_block{"of_block"};
    const Var share{"share"}, block{"block"};
    f.d_shared.split(f.c, block, thread, 1).gpu_blocks(block, f.x, f.y).gpu_threads(thread);
    f.sum.compute_at(f.d_shared, thread)
        .update()
        .fuse(f.sharing.x, f.sharing.y, columns)
        .fuse(columns, f.sharing.z, units)
        .split(units, rest, of_block, 128, TailStrategy::GuardWithIf);
    Func shares = f.sum.update().rfactor(of_block, share);
    shares.compute_at(f.d_shared, block).gpu_threads(share);
    shares.update().gpu_threads(share);
}

const Schedules<UnitSums> sums_schedules{{"gpu_reference", gpu_reference}};
const Schedules<SharedWeights> shared_schedules{{"gpu_reference", gpu_reference}};
const Schedules<SharedWeightsBackward> shared_backward_schedules{{"gpu_reference", gpu_reference}};

}  // namespace
}  // namespace halcyon
