#include "schedules/gpu/dropout.h"

#include "schedules/gpu/gpu_reference.h"
#include "schedules/gpu/gpu_schedules.h"
#include "schedules/gpu/threads.h"

namespace halcyon {

namespace {

void lanes(Dropout &f, const Shape &, const Set &) { lane_threads(f); }

}  // namespace

void lane_threads(Dropout &f) {
    const Halide::Var element{"element"};
    f.output.split(f.c, lane, element, f.quarter, Halide::TailStrategy::GuardWithIf).reorder(lane, element).unroll(lane);
    channel_threads(f.output, element, f.x, f.y, f.n, f.quarter);
}

// Every element draws its own words: an inner Func would have to be memory.
void gpu_reference(Dropout &f) { element_threads(f.output, f.c, f.x, f.y, f.n); }

template<>
std::vector<NamedSchedule<Dropout>> gpu_schedules() {
    return {{"lane_threads", lanes}};
}

}  // namespace halcyon
