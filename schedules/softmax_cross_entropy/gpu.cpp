#include "schedules/gpu/softmax_cross_entropy.h"

#include "schedules/gpu/gpu_reference.h"
#include "schedules/gpu/gpu_schedules.h"
#include "schedules/gpu/threads.h"

namespace halcyon {

namespace {

void image_threads(SoftmaxCrossEntropyForward &f, int images) {
    f.probabilities.reorder(f.c, f.x, f.y, f.n);
    for (Halide::Func output : {f.probabilities, f.loss, f.correct}) element_threads(output, f.n, images);
    f.loss.compute_with(f.probabilities, thread);
    f.correct.compute_with(f.probabilities, thread);
    f.best.compute_at(f.probabilities, thread).bound_storage(f.n, 1);
    f.sum.compute_at(f.probabilities, thread).bound_storage(f.n, 1);
}

/// A thread an image: what its few classes take is less than a launch.
template<typename Stages>
void images(Stages &f, const Shape &, const Set &) {
    gpu_reference(f);
}

void backward_vectors(SoftmaxCrossEntropyBackward &f, const Shape &s, const Set &) {
    vector_threads(f.d_logits, f.c, f.x, f.y, f.n, s.in_c);
}

}  // namespace

void image_threads(SoftmaxCrossEntropy &f, int images) {
    image_threads(f.forward, images);
    SoftmaxCrossEntropyBackward &b = f.backward;
    b.d_logits.reorder(b.c, b.x, b.y, b.n);
    element_threads(b.d_logits, b.n, images);
    b.d_logits.compute_with(f.forward.probabilities, thread);
}

void gpu_reference(SoftmaxCrossEntropyForward &f) { image_threads(f, 64); }

void gpu_reference(SoftmaxCrossEntropyBackward &f) { element_threads(f.d_logits, f.c, f.x, f.y, f.n); }

void gpu_reference(SoftmaxCrossEntropy &f) { image_threads(f, 64); }

template<>
std::vector<NamedSchedule<SoftmaxCrossEntropyForward>> gpu_schedules() {
    return {{"images", images}};
}

template<>
std::vector<NamedSchedule<SoftmaxCrossEntropyBackward>> gpu_schedules() {
    return {{"vectors", backward_vectors}};
}

template<>
std::vector<NamedSchedule<SoftmaxCrossEntropy>> gpu_schedules() {
    return {{"images", images}};
}

}  // namespace halcyon
