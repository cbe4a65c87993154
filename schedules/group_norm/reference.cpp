#include "generators/layers/group_norm.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

template<typename Stages>
void reference(Stages &f) {
    f.output.parallel(f.n);
    for (GroupMean *of : {&f.first, &f.second}) of->sum.compute_at(f.output, f.c);
}

const Schedules<GroupNormStats> stats_schedules{{"reference", reference}};
const Schedules<GroupNormBackwardMeans> means_schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
