#include "schedules/gpu/max_pool2d.h"

#include "generators/layers/max_pool2d.h"
#include "schedules/gpu/lanes.h"
#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void forward_vectors(MaxPool2dForward &f, const Shape &s, const Set &) {
    vector_threads(f.output, f.c, f.x, f.y, f.n, s.in_c);
    window_in_vectors(f.largest, f.taps, {f.output, thread}, f.c, s);
}

void forward_lanes(MaxPool2dForward &f, const Shape &s, const Set &) {
    lane_threads(f.output, s.out_c);
    f.largest.compute_at(f.output, lane).update().unroll(f.taps.x).unroll(f.taps.y);
}

void backward_window_vectors(MaxPool2dBackward &f, const Shape &s, const Set &) { window_threads(f.d_input, f, s); }

void backward_vectors(MaxPool2dBackward &f, const Shape &s, const Set &) { pixel_threads(f.d_input, f, s); }

void gpu_reference(MaxPool2dForward &f) {
    element_threads(f.output, f.c, f.x, f.y, f.n);
    f.largest.compute_at(f.output, thread);
}

// Every pixel computes the choice of each window that holds it.
void gpu_reference(MaxPool2dBackward &f) {
    element_threads(f.d_input, f.c, f.x, f.y, f.n);
    f.sum.compute_at(f.d_input, thread);
    f.choice.compute_at(f.sum, f.windows.x);
}

const Schedules<MaxPool2dForward> forward_schedules{
    {"vectors", forward_vectors}, {"lane_threads", forward_lanes}, {"gpu_reference", gpu_reference}};
const Schedules<MaxPool2dBackward> backward_schedules{
    {"window_vectors", backward_window_vectors}, {"vectors", backward_vectors}, {"gpu_reference", gpu_reference}};

}  // namespace
}  // namespace halcyon
