#include "generators/layers/softmax.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

/// A thread makes a pixel of an image, channel after channel.
void pixel_threads(Halide::Func out, const Halide::Var &c, const Halide::Var &x, const Halide::Var &y, const Halide::Var &n) {
    const Halide::Var block{"block"};
    out.split(n, block, thread, 32, Halide::TailStrategy::GuardWithIf)
        .reorder(c, thread, block, x, y)
        .gpu_blocks(block, x, y)
        .gpu_threads(thread);
}

void forward_pixels(SoftmaxForward &f) {
    pixel_threads(f.output, f.c, f.x, f.y, f.n);
    for (Halide::Func stage : {f.largest, f.sum}) stage.compute_at(f.output, thread);
}

void backward_pixels(SoftmaxBackward &f) {
    pixel_threads(f.d_input, f.c, f.x, f.y, f.n);
    f.sum.compute_at(f.d_input, thread);
}

const Schedules<SoftmaxForward> forward_schedules{{"pixels", forward_pixels}, {"gpu_reference", forward_pixels}};
const Schedules<SoftmaxBackward> backward_schedules{{"pixels", backward_pixels}, {"gpu_reference", backward_pixels}};

}  // namespace
}  // namespace halcyon
