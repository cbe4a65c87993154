#include "generators/layers/units.h"

#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

/// Up to 4 vectors of channels are summed over the images in registers, while both sums of each stay there.
void channel_vectors(UnitSums &f, const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    const Var block{"block"}, channel{"channel"};
    for (Func sum : {f.d_scale, f.d_shift}) {
        sum.split(f.c, block, channel, channel_block(s.in_c, vector, 4), TailStrategy::ShiftInwards)
            .vectorize(channel, vector)
            .unroll(channel);
        parallel_pixels(sum, f.x, f.y, s.in_w, s.in_h, s.in_c);
    }
    f.d_shift.compute_with(f.d_scale, block);
    f.sums.compute_at(f.d_scale, block).vectorize(f.c, vector).unroll(f.c);
    f.sums.update().reorder(f.c, f.images).vectorize(f.c, vector).unroll(f.c);
}

const Schedules<UnitSums> schedules{{"channel_vectors", channel_vectors}};

}  // namespace
}  // namespace halcyon
