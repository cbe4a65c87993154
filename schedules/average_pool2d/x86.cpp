#include "generators/layers/average_pool2d.h"

#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"
#include "schedules/x86/windows.h"

namespace halcyon {
namespace {

template<bool averages>
void forward_channel_vectors(WindowSum2dForward<averages> &f, const Shape &s, const Set &set) {
    windows_in_registers(f.output, f.sum, f.taps, s, set);
}

template<bool averages>
void forward_image_blocks(WindowSum2dForward<averages> &f, const Shape &s, const Set &set) {
    image_blocks(f.output, f.sum, f.taps, s, set);
}

/// Every pixel adds up its shares of up to 4 vectors of channels in registers.
template<bool averages>
void backward_channel_vectors(WindowSum2dBackward<averages> &f, const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    const Halide::Var co{"co"}, ci{"ci"};
    f.d_input.split(f.c, co, ci, channel_block(s.in_c, vector, 4), Halide::TailStrategy::ShiftInwards)
        .reorder(ci, co, f.n, f.x, f.y)
        .vectorize(ci, vector)
        .unroll(ci);
    parallel_pixels(f.d_input, f.x, f.y, s.in_w, s.in_h, s.in_c);
    f.sum.compute_at(f.d_input, co).vectorize(f.c, vector).unroll(f.c);
    f.sum.update().reorder(f.c, f.windows.x, f.windows.y).vectorize(f.c, vector).unroll(f.c);
}

template<bool averages>
struct WindowSchedules {
    Schedules<WindowSum2dForward<averages>> forward{{"channel_vectors", forward_channel_vectors<averages>},
                                                    {"image_blocks", forward_image_blocks<averages>}};
    Schedules<WindowSum2dBackward<averages>> backward{{"channel_vectors", backward_channel_vectors<averages>}};
};

const WindowSchedules<true> of_means;
const WindowSchedules<false> of_sums;

}  // namespace
}  // namespace halcyon
