#include "generators/layers/categorical_cross_entropy.h"
#include "generators/layers/softmax_cross_entropy.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

void forward(SoftmaxLoss &f) {
    f.probabilities.parallel(f.n);
    f.loss.parallel(f.n).compute_with(f.probabilities, f.n);
    f.correct.parallel(f.n).compute_with(f.probabilities, f.n);
    f.best.compute_at(f.probabilities, f.n);
    f.sum.compute_at(f.probabilities, f.n);
}

void reference(SoftmaxCrossEntropyForward &f) { forward(f); }

void reference(SoftmaxCrossEntropy &f) {
    forward(f.forward);
    f.backward.d_logits.parallel(f.backward.n);
    f.backward.d_logits.compute_with(f.forward.probabilities, f.forward.n);
}

void reference(CategoricalCrossEntropyForward &f) {
    forward(f);
    for (Halide::Func of_image : {f.targets.total, f.targets.best, f.below_best}) of_image.compute_at(f.probabilities, f.n);
}

void reference(CategoricalCrossEntropyBackward &f) {
    f.d_logits.parallel(f.n);
    for (Halide::Func of_image : {f.targets.total, f.targets.best}) of_image.compute_at(f.d_logits, f.n);
}

const Schedules<SoftmaxCrossEntropyForward> forward_schedules{{"reference", reference}};
const Schedules<SoftmaxCrossEntropy> schedules{{"reference", reference}};
const Schedules<CategoricalCrossEntropyForward> categorical_forward_schedules{{"reference", reference}};
const Schedules<CategoricalCrossEntropyBackward> categorical_backward_schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
