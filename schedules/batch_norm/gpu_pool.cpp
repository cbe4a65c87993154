#include "generators/layers/batch_norm_pool.h"
#include "schedules/batch_norm/gpu.h"
#include "schedules/gpu/max_pool2d.h"
#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void gpu_reference(BatchNormPoolForward &f, const Shape &s, const Set &set) { apply_schedule(f.pool, s, set, "gpu_reference"); }

void gpu_reference(BatchNormPoolDropoutForward &f, const Shape &s, const Set &set) {
    apply_schedule(f.dropout, pooled_shape(s), set, "gpu_reference");
    f.pooled.pool.largest.compute_at(f.dropout.output, thread);
}

void gpu_reference(BatchNormPoolBackwardStats &f, const Shape &s, const Set &set) {
    apply_schedule(f.stats, pooled_shape(s), set, "gpu_reference");
    f.chosen.choice.compute_at(f.stats.tile_sums, f.stats.images);
}

void gpu_reference(BatchNormPoolBackwardData &f, const Shape &s, const Set &set) {
    apply_schedule(f.data, s, set, "gpu_reference");
    f.pool.sum.compute_at(f.data.d_input, thread);
    f.pool.choice.compute_at(f.pool.sum, f.pool.windows.x);
}

void pool_in_block(BatchNormStatsPoolDropoutForward &f, int channels) {
    const Dropout &pass = f.pass.dropout;
    share_statistics(f.stats);
    pass_of_block(pass, pass.output, f.stats.mean, channels);
    f.pass.pooled.pool.largest.compute_at(pass.output, thread);
}

void differentiate_in_block(BatchNormPoolBackward &f, int channels) {
    differentiate_in_block(f.sums.stats, f.pass.data, channels);
    f.pass.pool.sum.compute_at(f.pass.data.d_input, thread);
    f.pass.pool.choice.compute_at(f.pass.pool.sum, f.pass.pool.windows.x);
}

void forward_vectors(BatchNormPoolForward &f, const Shape &s, const Set &) {
    vector_threads(f.pool.output, f.pool.c, f.pool.x, f.pool.y, f.pool.n, s.in_c);
    window_in_vectors(f.pool.largest, f.pool.taps, {f.pool.output, thread}, f.pool.c);
}

void forward_lanes(BatchNormPoolDropoutForward &f, const Shape &s, const Set &set) {
    MaxPool2dForward &pool = f.pooled.pool;
    apply_schedule(f.dropout, pooled_shape(s), set, "lane_threads");
    pool.largest.compute_at(f.dropout.output, lane).update().unroll(pool.taps.x).unroll(pool.taps.y);
}

void backward_data_window_vectors(BatchNormPoolBackwardData &f, const Shape &s, const Set &) { window_threads(f.data.d_input, f.pool, s); }

void backward_data_vectors(BatchNormPoolBackwardData &f, const Shape &s, const Set &) { pixel_threads(f.data.d_input, f.pool, s); }

void stats_forward_channels(BatchNormStatsPoolDropoutForward &f, const Shape &s, const Set &set) {
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

void gpu_reference(BatchNormStatsPoolDropoutForward &f, const Shape &s, const Set &set) {
    apply_schedule(f.stats, s, set, "gpu_reference");
    pool_in_block(f, 1);
}

void gpu_reference(BatchNormPoolBackward &f, const Shape &s, const Set &set) {
    gpu_reference(f.sums, s, set);
    differentiate_in_block(f, 1);
}

const Schedules<BatchNormPoolForward> forward_schedules{{"vectors", forward_vectors}, {"gpu_reference", gpu_reference}};
const Schedules<BatchNormPoolDropoutForward> dropout_schedules{{"lane_threads", forward_lanes}, {"gpu_reference", gpu_reference}};
const Schedules<BatchNormStatsPoolDropoutForward> stats_dropout_schedules{{"channels", stats_forward_channels},
                                                                          {"gpu_reference", gpu_reference}};
const Schedules<BatchNormPoolBackwardStats> backward_stats_schedules{
    {"channels", backward_stats_channels}, {"rows", backward_stats_rows}, {"gpu_reference", gpu_reference}};
const Schedules<BatchNormPoolBackwardData> backward_data_schedules{
    {"window_vectors", backward_data_window_vectors}, {"vectors", backward_data_vectors}, {"gpu_reference", gpu_reference}};
const Schedules<BatchNormPoolBackward> backward_schedules{{"channels", backward_channels}, {"gpu_reference", gpu_reference}};

}  // namespace
}  // namespace halcyon
