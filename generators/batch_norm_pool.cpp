#include "generators/layers/batch_norm_pool.h"

#include "generators/batch_norm_generator.h"
#include "schedules/schedules.h"

#include <optional>

namespace halcyon {
namespace {

using Halide::Buffer;

class BatchNormPoolForwardGenerator : public LayerGenerator<BatchNormPoolForwardGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_pool_fwd";
    Input<Buffer<float, 4>> input{"input"};
    Input<Buffer<float, 1>> scale{"scale"}, shift{"shift"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(input, scale, shift, shape());
        output = stages->pool.output;
    }

    void schedule() {
        input_activations(input);
        channel_values(scale, shift);
        output_activations(output);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormPoolForward> stages;
};

class BatchNormPoolDropoutForwardGenerator : public LayerGenerator<BatchNormPoolDropoutForwardGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_pool_dropout_fwd";
    Input<Buffer<float, 4>> input{"input"};
    Input<Buffer<float, 1>> scale{"scale"}, shift{"shift"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(input, scale, shift, step, shape());
        output = stages->dropout.output;
    }

    void schedule() {
        input_activations(input);
        channel_values(scale, shift);
        step.dim(0).set_min(0);
        output_activations(output);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormPoolDropoutForward> stages;
};

class BatchNormStatsPoolDropoutForwardGenerator : public StatisticsGenerator<BatchNormStatsPoolDropoutForwardGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_stats_pool_dropout_fwd";
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(input, gamma, beta, step, input.dim(3).extent(), shape(), by_rows());
        make_statistics(stages->stats);
        output = stages->pass.dropout.output;
    }

    void schedule() {
        constrain_statistics();
        step.dim(0).set_min(0);
        output_activations(output);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormStatsPoolDropoutForward> stages;
};

class BatchNormPoolBackwardStatsGenerator : public LayerGenerator<BatchNormPoolBackwardStatsGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_pool_bwd_stats";
    Input<Buffer<float, 4>> d_output{"d_output"}, input{"input"};
    Input<Buffer<float, 1>> scale{"scale"}, shift{"shift"}, mean{"mean"}, inv_std{"inv_std"};
    Output<Buffer<float, 1>> d_gamma{"d_gamma"}, d_beta{"d_beta"};

    void generate() {
        stages.emplace(d_output, input, scale, shift, mean, inv_std, input.dim(3).extent(), shape());
        d_gamma = stages->stats.d_gamma;
        d_beta = stages->stats.d_beta;
        place("tiles", stages->stats.tile);
    }

    void schedule() {
        output_activations(d_output);
        input_activations(input);
        channel_values(scale, shift, mean, inv_std, d_gamma, d_beta);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormPoolBackwardStats> stages;
};

class BatchNormPoolBackwardDataGenerator : public LayerGenerator<BatchNormPoolBackwardDataGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_pool_bwd_data";
    Input<Buffer<float, 4>> d_output{"d_output"}, input{"input"};
    Input<Buffer<float, 1>> scale{"scale"}, shift{"shift"}, gamma{"gamma"}, mean{"mean"}, inv_std{"inv_std"};
    Input<Buffer<float, 1>> d_gamma{"d_gamma"}, d_beta{"d_beta"};
    Output<Buffer<float, 4>> d_input{"d_input"};

    void generate() {
        stages.emplace(d_output, input, scale, shift, gamma, mean, inv_std, d_gamma, d_beta, input.dim(3).extent(), shape());
        d_input = stages->data.d_input;
    }

    void schedule() {
        output_activations(d_output);
        input_activations(input, d_input);
        channel_values(scale, shift, gamma, mean, inv_std, d_gamma, d_beta);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormPoolBackwardData> stages;
};

class BatchNormPoolBackwardGenerator : public LayerGenerator<BatchNormPoolBackwardGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_pool_bwd";
    Input<Buffer<float, 4>> d_output{"d_output"}, input{"input"};
    Input<Buffer<float, 1>> scale{"scale"}, shift{"shift"}, gamma{"gamma"}, mean{"mean"}, inv_std{"inv_std"};
    Output<Buffer<float, 1>> d_gamma{"d_gamma"}, d_beta{"d_beta"};
    Output<Buffer<float, 4>> d_input{"d_input"};

    void generate() {
        stages.emplace(d_output, input, scale, shift, gamma, mean, inv_std, input.dim(3).extent(), shape());
        d_gamma = stages->sums.stats.d_gamma;
        d_beta = stages->sums.stats.d_beta;
        d_input = stages->pass.data.d_input;
        place("tiles", stages->sums.stats.tile);
    }

    void schedule() {
        output_activations(d_output);
        input_activations(input, d_input);
        channel_values(scale, shift, gamma, mean, inv_std, d_gamma, d_beta);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormPoolBackward> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::BatchNormPoolForwardGenerator, batch_norm_pool_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::BatchNormPoolDropoutForwardGenerator, batch_norm_pool_dropout_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::BatchNormStatsPoolDropoutForwardGenerator, batch_norm_stats_pool_dropout_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::BatchNormPoolBackwardStatsGenerator, batch_norm_pool_bwd_stats)
HALIDE_REGISTER_GENERATOR(halcyon::BatchNormPoolBackwardDataGenerator, batch_norm_pool_bwd_data)
HALIDE_REGISTER_GENERATOR(halcyon::BatchNormPoolBackwardGenerator, batch_norm_pool_bwd)
