#include "generators/layers/sigmoid_cross_entropy.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

/// A thread an image.
void images(SigmoidCrossEntropyForward &f) {
    f.probabilities.reorder(f.c, f.x, f.y, f.n);
    for (Halide::Func output : {f.probabilities, f.loss, f.correct}) element_threads(output, f.n);
    f.loss.compute_with(f.probabilities, thread);
    f.correct.compute_with(f.probabilities, thread);
}

const Schedules<SigmoidCrossEntropyForward> schedules{{"gpu_reference", images}};

}  // namespace
}  // namespace halcyon
