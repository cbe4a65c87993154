#include "schedules/gpu/gpu_reference.h"
#include "schedules/gpu/gpu_schedules.h"
#include "schedules/gpu/threads.h"

namespace halcyon {

namespace {

/// A thread for so many neighbouring weights. The first definition says that the values are there already: it leaves no loop, but on the
/// host it would leave a check of the pointer.
void update_threads(Halide::Func &slabs, const Halide::Var &i, int vector) {
    for (Halide::Stage stage : {Halide::Stage(slabs), slabs.update()}) vector_threads(stage, i, vector);
}

template<typename Stages>
void vectors(Stages &f, const Shape &s, const Set &) {
    update_threads(f.slabs, f.i, channel_vector(s.elements));
}

}  // namespace

void gpu_reference(Adam &f) { update_threads(f.slabs, f.i, 1); }

void gpu_reference(Sgd &f) { update_threads(f.slabs, f.i, 1); }

template<>
std::vector<NamedSchedule<Adam>> gpu_schedules() {
    return {{"vectors", vectors}};
}

template<>
std::vector<NamedSchedule<Sgd>> gpu_schedules() {
    return {{"vectors", vectors}};
}

}  // namespace halcyon
