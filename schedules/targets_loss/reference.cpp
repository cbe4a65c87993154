#include "generators/layers/targets_loss.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

void reference(TargetsLoss &f) {
    f.predicted.parallel(f.n);
    f.loss.parallel(f.n).compute_with(f.predicted, f.n);
    f.metric.parallel(f.n).compute_with(f.predicted, f.n);
    f.sums.compute_at(f.predicted, f.n);
}

const Schedules<TargetsLoss> schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
