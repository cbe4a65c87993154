#include "generators/layers/softmax_cross_entropy.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

void reference(SoftmaxCrossEntropyForward &f) {
    f.probabilities.parallel(f.n);
    f.loss.parallel(f.n).compute_with(f.probabilities, f.n);
    f.correct.parallel(f.n).compute_with(f.probabilities, f.n);
    f.best.compute_at(f.probabilities, f.n);
    f.sum.compute_at(f.probabilities, f.n);
}

void reference(SoftmaxCrossEntropyBackward &f) { f.d_logits.parallel(f.n); }

void reference(SoftmaxCrossEntropy &f) {
    reference(f.forward);
    reference(f.backward);
    f.backward.d_logits.compute_with(f.forward.probabilities, f.forward.n);
}

const Schedules<SoftmaxCrossEntropyForward> forward_schedules{{"reference", reference}};
const Schedules<SoftmaxCrossEntropy> schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
