#include "schedules/gpu/softmax_cross_entropy.h"

#include "generators/layers/categorical_cross_entropy.h"
#include "generators/layers/softmax_cross_entropy.h"
#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

/// A thread an image: what its few classes take is less than a launch.
template<typename Stages>
void images(Stages &f) {
    image_threads(f, 64);
}

void images(CategoricalCrossEntropyForward &f) {
    image_threads(f, 64);
    for (Halide::Func of_image : {f.targets.total, f.targets.best, f.below_best})
        of_image.compute_at(f.probabilities, thread).bound_storage(f.targets.n, 1);
}

void images(CategoricalCrossEntropyBackward &f) {
    f.d_logits.reorder(f.c, f.x, f.y, f.n);
    element_threads(f.d_logits, f.n, 64);
    for (Halide::Func of_image : {f.targets.total, f.targets.best}) of_image.compute_at(f.d_logits, thread).bound_storage(f.targets.n, 1);
}

const Schedules<SoftmaxCrossEntropyForward> forward_schedules{{"images", images}, {"gpu_reference", images}};
const Schedules<SoftmaxCrossEntropy> schedules{{"images", images}, {"gpu_reference", images}};
const Schedules<CategoricalCrossEntropyForward> categorical_forward_schedules{{"images", images}, {"gpu_reference", images}};
const Schedules<CategoricalCrossEntropyBackward> categorical_backward_schedules{{"images", images}, {"gpu_reference", images}};

}  // namespace
}  // namespace halcyon
