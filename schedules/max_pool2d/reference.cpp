#include "generators/layers/max_pool2d.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

void reference(MaxPool2dForward &f) {
    f.output.parallel(f.n);
    f.largest.compute_at(f.output, f.c);
}

// Every pixel computes the choice of each window that holds it.
void reference(MaxPool2dBackward &f) {
    f.d_input.parallel(f.n);
    f.sum.compute_at(f.d_input, f.c);
    f.choice.compute_at(f.sum, f.windows.x);
}

const Schedules<MaxPool2dForward> forward_schedules{{"reference", reference}};
const Schedules<MaxPool2dBackward> backward_schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
