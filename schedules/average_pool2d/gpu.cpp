#include "generators/layers/average_pool2d.h"
#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void forward_vectors(AveragePool2dForward &f, const Shape &s, const Set &) {
    vector_threads(f.output, f.c, f.x, f.y, f.n, s.in_c);
    window_in_vectors(f.sum, f.taps, {f.output, thread}, f.c, s);
}

void backward_vectors(AveragePool2dBackward &f, const Shape &s, const Set &) {
    vector_threads(f.d_input, f.c, f.x, f.y, f.n, s.in_c);
    in_vectors(f.sum, {f.d_input, thread}, f.c);
}

void gpu_reference(AveragePool2dForward &f) {
    element_threads(f.output, f.c, f.x, f.y, f.n);
    f.sum.compute_at(f.output, thread);
}

void gpu_reference(AveragePool2dBackward &f) {
    element_threads(f.d_input, f.c, f.x, f.y, f.n);
    f.sum.compute_at(f.d_input, thread);
}

const Schedules<AveragePool2dForward> forward_schedules{{"vectors", forward_vectors}, {"gpu_reference", gpu_reference}};
const Schedules<AveragePool2dBackward> backward_schedules{{"vectors", backward_vectors}, {"gpu_reference", gpu_reference}};

}  // namespace
}  // namespace halcyon
