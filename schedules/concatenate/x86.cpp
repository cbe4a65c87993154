#include "generators/layers/concatenate.h"

#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

/// All channels of a pixel at once: of each vector it is then known which input it is of, but for the one across both.
void both_inputs(Concatenate &f, const Shape &s, const Set &set) {
    const Halide::Var co{"co"}, ci{"ci"};
    f.output.split(f.c, co, ci, channel_vector(s.out_c, set), Halide::TailStrategy::ShiftInwards)
        .reorder(ci, co, f.n, f.x, f.y)
        .vectorize(ci)
        .unroll(co);
    parallel_pixels(f.output, f.x, f.y, s.out_w, s.out_h, s.out_c);
}

void one_input(SomeChannels &f, const Shape &s, const Set &set) { channel_vectors(f.d_input, f.c, f.x, f.y, f.n, s, set); }

const Schedules<Concatenate> schedules{{"channel_vectors", both_inputs}};
const Schedules<SomeChannels> backward_schedules{{"channel_vectors", one_input}};

}  // namespace
}  // namespace halcyon
