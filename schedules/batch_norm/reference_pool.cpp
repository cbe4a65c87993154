#include "generators/layers/batch_norm_pool.h"
#include "schedules/batch_norm/reference.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void reference(BatchNormStatsPoolForward &f, const Shape &s, const Set &set) {
    apply_schedule(f.stats, s, set, "reference");
    pass_of_channels(f.pool, f.pool.output, f.stats.mean);
    f.pool.largest.compute_at(f.pool.output, channel);
}

void reference(BatchNormPoolBackwardStats &f, const Shape &s, const Set &set) {
    apply_schedule(f.stats, pooled_shape(s), set, "reference");
    f.chosen.choice.compute_at(f.stats.tile_sums, f.stats.images);
}

void reference(BatchNormPoolBackward &f, const Shape &s, const Set &set) {
    reference(f.sums, s, set);
    pass_of_channels(f, f.d_input, f.sums.stats.d_gamma);
    f.pool.sum.compute_at(f.d_input, channel);
    f.pool.choice.compute_at(f.pool.sum, f.pool.windows.x);
}

const Schedules<BatchNormStatsPoolForward> stats_schedules{{"reference", reference}};
const Schedules<BatchNormPoolBackwardStats> backward_stats_schedules{{"reference", reference}};
const Schedules<BatchNormPoolBackward> backward_schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
