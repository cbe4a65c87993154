#include "generators/layers/dropout.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

/// A thread per element of all four lanes, which share a pair of random words: drawing one takes longer than the rest.
void lane_threads(Dropout &f) {
    const Halide::Var element{"element"};
    f.output.split(f.c, lane, element, f.quarter, Halide::TailStrategy::GuardWithIf).reorder(lane, element).unroll(lane);
    channel_threads(f.output, element, f.x, f.y, f.n, f.quarter);
}

// The default reference has every element draw its own words: an inner Func would have to be memory.
const Schedules<Dropout> schedules{{"lane_threads", lane_threads}};

}  // namespace
}  // namespace halcyon
