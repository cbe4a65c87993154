// Batch normalisation with max pooling on x86. Reached by one core of an AMD EPYC (Zen 3, AVX2), batch 64, 2x2 windows, in GB/s read and
// written, beside a plain loop that adds two activations of the input's size:
//
//   layer             forward   with dropout   backward statistics   backward data   plain loop
//   30x30x32             64          30                61                  36             42
//   11x11x64, same       72          24                61                  41             66
//   2x2x128              98          31                78                  51             96
//
// Dropout's random numbers take longer than memory. In training, where activations come from the L3 cache or beyond, one core needs these
// milliseconds, dropout's 0.24 and 0.08 backward included in both:
//
//   layer             fused   apart
//   30x30x32           1.38    2.40
//   11x11x64, same     0.36    0.75
#include "generators/layers/batch_norm_pool.h"

#include "schedules/batch_norm/x86.h"
#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

using Halide::TailStrategy;

void backward_stats_pixel_tiles(BatchNormPoolBackwardStats &f, const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    const TailStrategy tail = s.in_c % vector ? TailStrategy::GuardWithIf : TailStrategy::Auto;
    ChosenInput &chosen = f.chosen;
    gradient_tiles(f.stats, pooled_shape(s), set);
    chosen.choice.compute_at(f.stats.tile_sums, gradient_block()).vectorize(chosen.c, vector, tail).unroll(chosen.c);
    chosen.choice.update().reorder(chosen.c, chosen.taps.x, chosen.taps.y).vectorize(chosen.c, vector, tail).unroll(chosen.c);
    if (s.few_taps()) chosen.choice.update().unroll(chosen.taps.x).unroll(chosen.taps.y);
}

const Schedules<BatchNormPoolBackwardStats> backward_stats_schedules{{"pixel_tiles", backward_stats_pixel_tiles}};

}  // namespace
}  // namespace halcyon
