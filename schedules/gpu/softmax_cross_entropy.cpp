#include "schedules/gpu/gpu_reference.h"
#include "schedules/gpu/threads.h"

namespace halcyon {

// A thread per image, which makes its probabilities one after the other.
void gpu_reference(SoftmaxCrossEntropyForward &f) {
    f.probabilities.reorder(f.c, f.x, f.y, f.n);
    for (Halide::Func output : {f.probabilities, f.loss, f.correct}) element_threads(output, f.n);
    f.loss.compute_with(f.probabilities, thread);
    f.correct.compute_with(f.probabilities, thread);
    f.best.compute_at(f.probabilities, thread).bound_storage(f.n, 1);
    f.sum.compute_at(f.probabilities, thread).bound_storage(f.n, 1);
}

void gpu_reference(SoftmaxCrossEntropyBackward &f) { element_threads(f.d_logits, f.c, f.x, f.y, f.n); }

}  // namespace halcyon
