// Pointwise passes on x86. One core of an AMD EPYC (Zen 3, AVX2) reads and writes, batch 64, in GB/s:
//
//   layer      batch norm forward   its gradient   plain loop that adds two activations
//   30x30x32           49                53                  42
//   13x13x64           74                70                  66
//   4x4x128            68                67                  74
//   2x2x128            91                77                  96
#include "generators/layers/pointwise_pass.h"

#include "schedules/schedules.h"
#include "schedules/x86/lanes.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

void pass_channel_vectors(PointwisePass &f, const Shape &s, const Set &set) { channel_vectors(f.output, f.c, f.x, f.y, f.n, s, set); }

void pass_lanes(PointwisePass &f, const Shape &s, const Set &set) { lanes(f.output, f.chain, s.in_c, s.in_w, s.in_h, set); }

/// As of one image: input channels and columns are its pixels.
void weight_vectors(PointwiseWeights &f, const Shape &s, const Set &set) {
    const Shape over{.in_h = s.kernel_w, .in_w = s.in_c, .in_c = s.out_c};
    channel_vectors(f.output, f.c, f.x, f.y, f.n, over, set);
}

const Schedules<PointwisePass> schedules{{"channel_vectors", pass_channel_vectors}, {"lanes", pass_lanes}};
const Schedules<PointwiseWeights> of_weights{{"channel_vectors", weight_vectors}};

}  // namespace
}  // namespace halcyon
