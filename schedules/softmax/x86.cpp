#include "generators/layers/softmax.h"

#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

/// A pixel of an image at a time, in vectors of its channels.
void pixel_vectors(Func out, const Var &c, const Var &x, const Var &y, const Var &n, const Shape &s, const Set &set) {
    out.reorder(c, n, x, y).vectorize(c, channel_vector(s.in_c, set), TailStrategy::ShiftInwards);
    parallel_pixels(out, x, y, s.in_w, s.in_h, s.in_c);
}

/// Its exponentials are computed once.
void forward_channel_vectors(SoftmaxForward &f, const Shape &s, const Set &set) {
    pixel_vectors(f.output, f.c, f.x, f.y, f.n, s, set);
    for (Func stage : {f.largest, f.sum}) stage.compute_at(f.output, f.n);
    f.exponential.compute_at(f.output, f.n).vectorize(f.c, channel_vector(s.in_c, set), TailStrategy::ShiftInwards);
}

void backward_channel_vectors(SoftmaxBackward &f, const Shape &s, const Set &set) {
    pixel_vectors(f.d_input, f.c, f.x, f.y, f.n, s, set);
    f.sum.compute_at(f.d_input, f.n);
}

const Schedules<SoftmaxForward> forward_schedules{{"channel_vectors", forward_channel_vectors}};
const Schedules<SoftmaxBackward> backward_schedules{{"channel_vectors", backward_channel_vectors}};

}  // namespace
}  // namespace halcyon
