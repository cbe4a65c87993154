#include "generators/layers/average_pool2d.h"
#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

template<bool averages>
void forward_vectors(WindowSum2dForward<averages> &f, const Shape &s, const Set &) {
    vector_threads(f.output, f.c, f.x, f.y, f.n, s.in_c);
    window_in_vectors(f.sum, f.taps, {f.output, thread}, f.c, s);
}

template<bool averages>
void backward_vectors(WindowSum2dBackward<averages> &f, const Shape &s, const Set &) {
    vector_threads(f.d_input, f.c, f.x, f.y, f.n, s.in_c);
    in_vectors(f.sum, {f.d_input, thread}, f.c);
}

template<bool averages>
void gpu_reference(WindowSum2dForward<averages> &f) {
    element_threads(f.output, f.c, f.x, f.y, f.n);
    f.sum.compute_at(f.output, thread);
}

template<bool averages>
void gpu_reference(WindowSum2dBackward<averages> &f) {
    element_threads(f.d_input, f.c, f.x, f.y, f.n);
    f.sum.compute_at(f.d_input, thread);
}

template<bool averages>
struct WindowSchedules {
    Schedules<WindowSum2dForward<averages>> forward{{"vectors", forward_vectors<averages>}, {"gpu_reference", gpu_reference<averages>}};
    Schedules<WindowSum2dBackward<averages>> backward{{"vectors", backward_vectors<averages>}, {"gpu_reference", gpu_reference<averages>}};
};

const WindowSchedules<true> of_means;
const WindowSchedules<false> of_sums;

}  // namespace
}  // namespace halcyon
