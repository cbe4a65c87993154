#include "generators/layers/softmax.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

void reference(SoftmaxForward &f) {
    f.output.parallel(f.n);
    for (Halide::Func stage : {f.largest, f.sum}) stage.compute_at(f.output, f.x);
}

void reference(SoftmaxBackward &f) {
    f.d_input.parallel(f.n);
    f.sum.compute_at(f.d_input, f.x);
}

const Schedules<SoftmaxForward> forward_schedules{{"reference", reference}};
const Schedules<SoftmaxBackward> backward_schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
