#include "generators/layers/optimizers.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

/// A thread for so many neighbouring weights. The first definition says that the values are there already: it leaves no loop, but on the
/// host it would leave a check of the pointer.
void update_threads(Halide::Func &slabs, const Halide::Var &i, int vector) {
    for (Halide::Stage stage : {Halide::Stage(slabs), slabs.update()}) vector_threads(stage, i, vector);
}

void vectors(OptimizerUpdate &f, const Shape &s, const Set &) { update_threads(f.slabs, f.i, channel_vector(s.elements)); }

void gpu_reference(OptimizerUpdate &f) { update_threads(f.slabs, f.i, 1); }

const Schedules<OptimizerUpdate> schedules{{"vectors", vectors}, {"gpu_reference", gpu_reference}};

}  // namespace
}  // namespace halcyon
