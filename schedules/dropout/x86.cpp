#include "generators/layers/dropout.h"

#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

/// The random words of one pixel of one image, then the four lanes that share them: ten rounds of Philox for 4 vectors of channels.
/// Computing them costs about as much as moving the data: 16 GB/s read and written by one core of an AMD EPYC (Zen 3, AVX2), at 15x15x32,
/// 6x6x64 and 1x1x128; 26 GB/s with AVX-512 (Zen 4).
void lanes(Dropout &f, const Shape &s, const Set &set) {
    const int vector = channel_vector(f.quarter, set);
    Halide::Var lane{"lane"}, element{"element"}, block{"block"};
    f.key.compute_root();
    f.output.split(f.c, lane, element, f.quarter)
        .split(element, block, element, vector)
        .reorder(element, lane, block, f.n, f.x, f.y)
        .vectorize(element)
        .unroll(lane);
    parallel_pixels(f.output, f.x, f.y, s.in_w, s.in_h, s.in_c);
    f.words.compute_at(f.output, f.n).vectorize(f.element, vector);
}

const Schedules<Dropout> schedules{{"lanes", lanes}};

}  // namespace
}  // namespace halcyon
