#include "generators/layers/average_pool2d.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

void reference(AveragePool2dForward &f) {
    f.output.parallel(f.n);
    f.sum.compute_at(f.output, f.c);
}

void reference(AveragePool2dBackward &f) {
    f.d_input.parallel(f.n);
    f.sum.compute_at(f.d_input, f.c);
}

const Schedules<AveragePool2dForward> forward_schedules{{"reference", reference}};
const Schedules<AveragePool2dBackward> backward_schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
