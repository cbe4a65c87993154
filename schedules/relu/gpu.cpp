#include "schedules/gpu/gpu_reference.h"
#include "schedules/gpu/gpu_schedules.h"
#include "schedules/gpu/threads.h"

namespace halcyon {

namespace {

void forward_vectors(ReluForward &f, const Shape &s, const Set &) { vector_threads(f.output, f.c, f.x, f.y, f.n, s.in_c); }

void backward_vectors(ReluBackward &f, const Shape &s, const Set &) { vector_threads(f.d_input, f.c, f.x, f.y, f.n, s.in_c); }

}  // namespace

void gpu_reference(ReluForward &f) { element_threads(f.output, f.c, f.x, f.y, f.n); }

void gpu_reference(ReluBackward &f) { element_threads(f.d_input, f.c, f.x, f.y, f.n); }

template<>
std::vector<NamedSchedule<ReluForward>> gpu_schedules() {
    return {{"vectors", forward_vectors}};
}

template<>
std::vector<NamedSchedule<ReluBackward>> gpu_schedules() {
    return {{"vectors", backward_vectors}};
}

}  // namespace halcyon
