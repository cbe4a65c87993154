#include "schedules/gpu/gpu_reference.h"
#include "schedules/gpu/gpu_schedules.h"
#include "schedules/gpu/threads.h"

namespace halcyon {

namespace {

void vectors(Add &f, const Shape &s, const Set &) { vector_threads(f.output, f.c, f.x, f.y, f.n, s.in_c); }

}  // namespace

void gpu_reference(Add &f) { element_threads(f.output, f.c, f.x, f.y, f.n); }

template<>
std::vector<NamedSchedule<Add>> gpu_schedules() {
    return {{"vectors", vectors}};
}

}  // namespace halcyon
