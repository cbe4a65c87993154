#include "generators/layers/batch_norm_pool.h"
#include "schedules/batch_norm/reference.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void reference(BatchNormPoolForward &f, const Shape &s, const Set &set) { apply_schedule(f.pool, s, set, "reference"); }

void reference(BatchNormPoolDropoutForward &f, const Shape &s, const Set &set) {
    apply_schedule(f.dropout, pooled_shape(s), set, "reference");
    f.pooled.pool.largest.compute_at(f.dropout.output, f.dropout.c);
}

void reference(BatchNormStatsPoolDropoutForward &f, const Shape &s, const Set &set) {
    apply_schedule(f.stats, s, set, "reference");
    Dropout &pass = f.pass.dropout;
    pass_of_channels(pass, pass.output, f.stats.mean);
    pass.key.compute_root();
    for (Halide::Func stage : {pass.words, f.pass.pooled.pool.largest}) stage.compute_at(pass.output, channel);
}

void reference(BatchNormPoolBackwardStats &f, const Shape &s, const Set &set) {
    apply_schedule(f.stats, pooled_shape(s), set, "reference");
    f.chosen.choice.compute_at(f.stats.tile_sums, f.stats.images);
}

void reference(BatchNormPoolBackwardData &f, const Shape &s, const Set &set) {
    apply_schedule(f.data, s, set, "reference");
    f.pool.sum.compute_at(f.data.d_input, f.data.c);
    f.pool.choice.compute_at(f.pool.sum, f.pool.windows.x);
}

void reference(BatchNormPoolBackward &f, const Shape &s, const Set &set) {
    reference(f.sums, s, set);
    BatchNormBackwardData &pass = f.pass.data;
    pass_of_channels(pass, pass.d_input, f.sums.stats.d_gamma);
    f.pass.pool.sum.compute_at(pass.d_input, channel);
    f.pass.pool.choice.compute_at(f.pass.pool.sum, f.pass.pool.windows.x);
}

const Schedules<BatchNormPoolForward> forward_schedules{{"reference", reference}};
const Schedules<BatchNormPoolDropoutForward> dropout_schedules{{"reference", reference}};
const Schedules<BatchNormStatsPoolDropoutForward> stats_dropout_schedules{{"reference", reference}};
const Schedules<BatchNormPoolBackwardStats> backward_stats_schedules{{"reference", reference}};
const Schedules<BatchNormPoolBackwardData> backward_data_schedules{{"reference", reference}};
const Schedules<BatchNormPoolBackward> backward_schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
