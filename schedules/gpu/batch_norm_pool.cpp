#include "schedules/gpu/batch_norm.h"
#include "schedules/gpu/gpu_schedules.h"
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

void backward_stats_rows(BatchNormPoolBackwardStats &f, const Shape &s, const Set &) {
    const auto [shares, images] = gradient_rows(f.stats, s);
    f.chosen.choice.compute_at(shares, images);
}

void backward_stats_channels(BatchNormPoolBackwardStats &f, const Shape &s, const Set &) {
    const auto [shares, images] = gradient_channels(f.stats, pooled_shape(s));
    f.chosen.choice.compute_at(shares, images);
}

}  // namespace

template<>
std::vector<NamedSchedule<BatchNormPoolForward>> gpu_schedules() {
    return {{"elements", elements}};
}

template<>
std::vector<NamedSchedule<BatchNormPoolDropoutForward>> gpu_schedules() {
    return {{"elements", elements}};
}

template<>
std::vector<NamedSchedule<BatchNormPoolBackwardStats>> gpu_schedules() {
    return {{"channels", backward_stats_channels}, {"rows", backward_stats_rows}};
}

template<>
std::vector<NamedSchedule<BatchNormPoolBackwardData>> gpu_schedules() {
    return {{"elements", elements}};
}

}  // namespace halcyon
