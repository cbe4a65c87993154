// The threads of a pass that draws random numbers, whatever else it does.
#pragma once

#include "plan/divisors.h"
#include "schedules/gpu/threads.h"

#include <Halide.h>

namespace halcyon {

/// A thread per element of all four lanes of `channels`, which share a pair of random words: drawing one takes longer than the rest.
inline void lane_threads(Halide::Func out, int channels) {
    const std::vector<Halide::Var> at = out.args();
    const Halide::Var element{"element"};
    const int quarter = divide_up(channels, 4);
    out.split(at[0], lane, element, quarter, Halide::TailStrategy::GuardWithIf).reorder(lane, element).unroll(lane);
    channel_threads(out, element, at[1], at[2], at[3], quarter);
}

}  // namespace halcyon
