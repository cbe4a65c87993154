#include "generators/layers/targets_loss.h"

#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

namespace halcyon {
namespace {

using Halide::TailStrategy;

/// An image at a time, the terms of its units computed once, in vectors.
void unit_vectors(TargetsLoss &f, const Shape &s, const Set &set) {
    const int vector = channel_vector(s.in_c, set);
    f.predicted.reorder(f.c, f.x, f.y, f.n).vectorize(f.c, vector, TailStrategy::ShiftInwards);
    f.loss.compute_with(f.predicted, f.n);
    f.metric.compute_with(f.predicted, f.n);
    f.sums.compute_at(f.predicted, f.n).bound_storage(f.n, 1);
    f.unit.compute_at(f.predicted, f.n).bound_storage(f.n, 1).vectorize(f.c, vector, TailStrategy::ShiftInwards);
}

const Schedules<TargetsLoss> schedules{{"unit_vectors", unit_vectors}};

}  // namespace
}  // namespace halcyon
