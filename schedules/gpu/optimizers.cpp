#include "schedules/gpu/gpu_reference.h"
#include "schedules/gpu/threads.h"

namespace halcyon {

namespace {

/// The first definition says that the values are there already: it leaves no loop, but on the host it would leave a check of the pointer.
void update_threads(Halide::Func &slabs, const Halide::Var &i) {
    element_threads(slabs, i);
    element_threads(slabs.update(), i);
}

}  // namespace

void gpu_reference(Adam &f) { update_threads(f.slabs, f.i); }

void gpu_reference(Sgd &f) { update_threads(f.slabs, f.i); }

}  // namespace halcyon
