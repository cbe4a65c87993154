#include "schedules/gpu/softmax_cross_entropy.h"

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

void backward_vectors(SoftmaxCrossEntropyBackward &f, const Shape &s, const Set &) {
    vector_threads(f.d_logits, f.c, f.x, f.y, f.n, s.in_c);
}

void gpu_reference(SoftmaxCrossEntropyBackward &f) { element_threads(f.d_logits, f.c, f.x, f.y, f.n); }

const Schedules<SoftmaxCrossEntropyForward> forward_schedules{{"images", images}, {"gpu_reference", images}};
const Schedules<SoftmaxCrossEntropyBackward> backward_schedules{{"vectors", backward_vectors}, {"gpu_reference", gpu_reference}};
const Schedules<SoftmaxCrossEntropy> schedules{{"images", images}, {"gpu_reference", images}};

}  // namespace
}  // namespace halcyon
