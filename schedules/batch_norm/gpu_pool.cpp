#include "generators/layers/batch_norm_pool.h"
#include "schedules/batch_norm/gpu.h"
#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void gpu_reference(BatchNormPoolBackwardStats &f, const Shape &s, const Set &set) {
    apply_schedule(f.stats, pooled_shape(s), set, "gpu_reference");
    f.chosen.choice.compute_at(f.stats.tile_sums, f.stats.images);
}

void pool_in_block(BatchNormStatsPoolForward &f, int channels) {
    share_statistics(f.stats);
    pass_of_block(f.pool, f.pool.output, f.stats.mean, channels);
    f.pool.largest.compute_at(f.pool.output, thread);
}

void differentiate_in_block(BatchNormPoolBackward &f, int channels) {
    differentiate_in_block(f, f.sums.stats, channels);
    f.pool.sum.compute_at(f.d_input, thread);
    f.pool.choice.compute_at(f.pool.sum, f.pool.windows.x);
}

void stats_forward_channels(BatchNormStatsPoolForward &f, const Shape &s, const Set &set) {
    apply_schedule(f.stats, s, set, "channels");
    pool_in_block(f, block_channels(s));
}

void backward_stats_rows(BatchNormPoolBackwardStats &f, const Shape &s, const Set &) {
    const auto [shares, images] = gradient_rows(f.stats, s);
    f.chosen.choice.compute_at(shares, images);
}

void backward_stats_channels(BatchNormPoolBackwardStats &f, const Shape &s, const Set &) {
    const auto [shares, images] = gradient_channels(f.stats, pooled_shape(s));
    f.chosen.choice.compute_at(shares, images);
}

void backward_channels(BatchNormPoolBackward &f, const Shape &s, const Set &set) {
    backward_stats_channels(f.sums, s, set);
    differentiate_in_block(f, block_channels(s));
}

void gpu_reference(BatchNormStatsPoolForward &f, const Shape &s, const Set &set) {
    apply_schedule(f.stats, s, set, "gpu_reference");
    pool_in_block(f, 1);
}

void gpu_reference(BatchNormPoolBackward &f, const Shape &s, const Set &set) {
    gpu_reference(f.sums, s, set);
    differentiate_in_block(f, 1);
}

const Schedules<BatchNormStatsPoolForward> stats_schedules{{"channels", stats_forward_channels}, {"gpu_reference", gpu_reference}};
const Schedules<BatchNormPoolBackwardStats> backward_stats_schedules{
    {"channels", backward_stats_channels}, {"rows", backward_stats_rows}, {"gpu_reference", gpu_reference}};
const Schedules<BatchNormPoolBackward> backward_schedules{{"channels", backward_channels}, {"gpu_reference", gpu_reference}};

}  // namespace
}  // namespace halcyon
