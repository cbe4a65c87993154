// How the loss is cut into threads, in a kernel of its own or where another layer's blocks make the logits.
#pragma once

#include "generators/layers/softmax_cross_entropy.h"
#include "schedules/gpu/threads.h"

#include <Halide.h>

namespace halcyon {

/// A thread per image, `images` of them a block, which makes its probabilities one after the other.
inline void image_threads(SoftmaxLoss &f, int images) {
    f.probabilities.reorder(f.c, f.x, f.y, f.n);
    for (Halide::Func output : {f.probabilities, f.loss, f.correct}) element_threads(output, f.n, images);
    f.loss.compute_with(f.probabilities, thread);
    f.correct.compute_with(f.probabilities, thread);
    f.best.compute_at(f.probabilities, thread).bound_storage(f.n, 1);
    f.sum.compute_at(f.probabilities, thread).bound_storage(f.n, 1);
}

/// The same with the gradient.
inline void image_threads(SoftmaxCrossEntropy &f, int images) {
    image_threads(f.forward, images);
    SoftmaxCrossEntropyBackward &b = f.backward;
    b.d_logits.reorder(b.c, b.x, b.y, b.n);
    element_threads(b.d_logits, b.n, images);
    b.d_logits.compute_with(f.forward.probabilities, thread);
}

}  // namespace halcyon
