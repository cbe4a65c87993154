#include "generators/layers/group_norm.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void forward_vectors(GroupNormForward &f, const Shape &s, const Set &) { vector_threads(f.output, f.c, f.x, f.y, f.n, s.in_c); }
void backward_vectors(GroupNormBackwardData &f, const Shape &s, const Set &) { vector_threads(f.d_input, f.c, f.x, f.y, f.n, s.in_c); }

template<typename Stages>
void gpu_reference(Stages &f) {
    element_threads(f.output, f.c, f.x, f.y, f.n);
    for (GroupMean *of : {&f.first, &f.second}) of->sum.compute_at(f.output, thread);
}

const Schedules<GroupNormStats> stats_schedules{{"gpu_reference", gpu_reference}};
const Schedules<GroupNormBackwardMeans> means_schedules{{"gpu_reference", gpu_reference}};
const Schedules<GroupNormForward> forward_schedules{{"vectors", forward_vectors}};
const Schedules<GroupNormBackwardData> backward_schedules{{"vectors", backward_vectors}};

}  // namespace
}  // namespace halcyon
