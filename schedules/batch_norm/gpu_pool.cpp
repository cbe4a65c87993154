#include "schedules/batch_norm/gpu.h"
#include "schedules/gpu/dropout.h"
#include "schedules/gpu/gpu_schedules.h"
#include "schedules/gpu/max_pool2d.h"
#include "schedules/gpu/threads.h"

namespace halcyon {

void gpu_reference(BatchNormPoolForward &f) { gpu_reference(f.pool); }

void gpu_reference(BatchNormPoolDropoutForward &f) {
    gpu_reference(f.dropout);
    f.pooled.pool.largest.compute_at(f.dropout.output, thread);
}

void gpu_reference(BatchNormPoolBackwardStats &f) {
    gpu_reference(f.stats);
    f.chosen.choice.compute_at(f.stats.tile_sums, f.stats.images);
}

void gpu_reference(BatchNormPoolBackwardData &f) {
    gpu_reference(f.data);
    f.pool.sum.compute_at(f.data.d_input, thread);
    f.pool.choice.compute_at(f.pool.sum, f.pool.windows.x);
}

namespace {

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

void forward_lanes(BatchNormPoolDropoutForward &f, const Shape &, const Set &) {
    MaxPool2dForward &pool = f.pooled.pool;
    lane_threads(f.dropout);
    pool.largest.compute_at(f.dropout.output, lane).update().unroll(pool.taps.x).unroll(pool.taps.y);
}

void backward_data_window_vectors(BatchNormPoolBackwardData &f, const Shape &s, const Set &) { window_threads(f.data.d_input, f.pool, s); }

void backward_data_vectors(BatchNormPoolBackwardData &f, const Shape &s, const Set &) { pixel_threads(f.data.d_input, f.pool, s); }

void stats_forward_channels(BatchNormStatsPoolDropoutForward &f, const Shape &s, const Set &set) {
    stats_channels(f.stats, s, set);
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

}  // namespace

void gpu_reference(BatchNormStatsPoolDropoutForward &f) {
    gpu_reference(f.stats);
    pool_in_block(f, 1);
}

void gpu_reference(BatchNormPoolBackward &f) {
    gpu_reference(f.sums);
    differentiate_in_block(f, 1);
}

template<>
std::vector<NamedSchedule<BatchNormPoolForward>> gpu_schedules() {
    return {{"vectors", forward_vectors}};
}

template<>
std::vector<NamedSchedule<BatchNormPoolDropoutForward>> gpu_schedules() {
    return {{"lane_threads", forward_lanes}};
}

template<>
std::vector<NamedSchedule<BatchNormPoolBackwardStats>> gpu_schedules() {
    return {{"channels", backward_stats_channels}, {"rows", backward_stats_rows}};
}

template<>
std::vector<NamedSchedule<BatchNormPoolBackwardData>> gpu_schedules() {
    return {{"window_vectors", backward_data_window_vectors}, {"vectors", backward_data_vectors}};
}

template<>
std::vector<NamedSchedule<BatchNormStatsPoolDropoutForward>> gpu_schedules() {
    return {{"channels", stats_forward_channels}};
}

template<>
std::vector<NamedSchedule<BatchNormPoolBackward>> gpu_schedules() {
    return {{"channels", backward_channels}};
}

}  // namespace halcyon
