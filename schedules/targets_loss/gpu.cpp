#include "generators/layers/targets_loss.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

/// A thread an image, which takes its units one after the other.
void images(TargetsLoss &f) {
    f.predicted.reorder(f.c, f.x, f.y, f.n);
    for (Halide::Func output : {f.predicted, f.loss, f.metric}) element_threads(output, f.n);
    f.loss.compute_with(f.predicted, thread);
    f.metric.compute_with(f.predicted, thread);
    f.sums.compute_at(f.predicted, thread).bound_storage(f.n, 1);
}

const Schedules<TargetsLoss> schedules{{"gpu_reference", images}};

}  // namespace
}  // namespace halcyon
