#include "generators/layers/units.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

/// So many channels of a unit at a time fit the stack whatever their number.
void reference(UnitSums &f) {
    const Var block{"block"}, channel{"channel"};
    for (Func sum : {f.d_scale, f.d_shift}) sum.split(f.c, block, channel, 64, TailStrategy::GuardWithIf).parallel(f.y);
    f.d_shift.compute_with(f.d_scale, block);
    f.sums.compute_at(f.d_scale, block).update().reorder(f.c, f.images);
}

const Schedules<UnitSums> schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
