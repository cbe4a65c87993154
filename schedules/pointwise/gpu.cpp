#include "generators/layers/pointwise_pass.h"

#include "schedules/gpu/lanes.h"
#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void vectors(PointwisePass &f, const Shape &s, const Set &) { vector_threads(f.output, f.c, f.x, f.y, f.n, s.in_c); }

void weight_vectors(PointwiseWeights &f, const Shape &s, const Set &) { vector_threads(f.output, f.c, f.x, f.y, f.n, s.out_c); }

void pass_lane_threads(PointwisePass &f, const Shape &s, const Set &) { lane_threads(f.output, s.in_c); }

// In the default reference every element draws its own words: an inner Func would have to be memory.
const Schedules<PointwisePass> schedules{{"vectors", vectors}, {"lane_threads", pass_lane_threads}};
const Schedules<PointwiseWeights> of_weights{{"vectors", weight_vectors}};

}  // namespace
}  // namespace halcyon
