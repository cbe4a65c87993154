#include "generators/batch_norm_generator.h"
#include "schedules/schedules.h"

#include <optional>

namespace halcyon {
namespace {

using Halide::Buffer;

class BatchNormStatsGenerator : public StatisticsGenerator<BatchNormStatsGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_stats";

    void generate() {
        stages.emplace(input, gamma, beta, input.dim(3).extent(), shape(), by_rows());
        make_statistics(*stages);
    }

    void schedule() {
        constrain_statistics();
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormStats> stages;
};

class BatchNormFoldGenerator : public LayerGenerator<BatchNormFoldGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_fold";
    Input<Buffer<float, 1>> gamma{"gamma"}, beta{"beta"}, moving_mean{"moving_mean"}, moving_variance{"moving_variance"};
    Output<Buffer<float, 1>> scale{"scale"}, shift{"shift"};

    void generate() {
        stages.emplace(gamma, beta, moving_mean, moving_variance, shape());
        scale = stages->scale;
        shift = stages->shift;
    }

    void schedule() {
        channel_values(gamma, beta, moving_mean, moving_variance, scale, shift);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormFold> stages;
};

class BatchNormForwardGenerator : public LayerGenerator<BatchNormForwardGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_fwd";
    Input<Buffer<float, 4>> input{"input"};
    Input<Buffer<float, 1>> scale{"scale"}, shift{"shift"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(input, scale, shift);
        output = stages->output;
    }

    void schedule() {
        input_activations(input, output);
        channel_values(scale, shift);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormForward> stages;
};

class BatchNormStatsForwardGenerator : public StatisticsGenerator<BatchNormStatsForwardGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_stats_fwd";
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(input, gamma, beta, input.dim(3).extent(), shape(), by_rows());
        make_statistics(stages->stats);
        output = stages->normalise.output;
    }

    void schedule() {
        constrain_statistics();
        input_activations(output);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormStatsForward> stages;
};

class BatchNormBackwardStatsGenerator : public LayerGenerator<BatchNormBackwardStatsGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_bwd_stats";
    Input<Buffer<float, 4>> d_output{"d_output"}, input{"input"};
    Input<Buffer<float, 1>> mean{"mean"}, inv_std{"inv_std"};
    Output<Buffer<float, 1>> d_gamma{"d_gamma"}, d_beta{"d_beta"};

    void generate() {
        stages.emplace(d_output, input, mean, inv_std, input.dim(3).extent(), shape());
        d_gamma = stages->d_gamma;
        d_beta = stages->d_beta;
        place("tiles", stages->tile);
    }

    void schedule() {
        input_activations(d_output, input);
        channel_values(mean, inv_std, d_gamma, d_beta);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormBackwardStats> stages;
};

class BatchNormBackwardDataGenerator : public LayerGenerator<BatchNormBackwardDataGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_bwd_data";
    Input<Buffer<float, 4>> d_output{"d_output"}, input{"input"};
    Input<Buffer<float, 1>> gamma{"gamma"}, mean{"mean"}, inv_std{"inv_std"}, d_gamma{"d_gamma"}, d_beta{"d_beta"};
    Output<Buffer<float, 4>> d_input{"d_input"};

    void generate() {
        stages.emplace(d_output, input, gamma, mean, inv_std, d_gamma, d_beta, input.dim(3).extent(), shape());
        d_input = stages->d_input;
    }

    void schedule() {
        input_activations(d_output, input, d_input);
        channel_values(gamma, mean, inv_std, d_gamma, d_beta);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormBackwardData> stages;
};

class BatchNormBackwardGenerator : public LayerGenerator<BatchNormBackwardGenerator> {
public:
    static constexpr const char *kernel = "batch_norm_bwd";
    Input<Buffer<float, 4>> d_output{"d_output"}, input{"input"};
    Input<Buffer<float, 1>> gamma{"gamma"}, mean{"mean"}, inv_std{"inv_std"};
    Output<Buffer<float, 1>> d_gamma{"d_gamma"}, d_beta{"d_beta"};
    Output<Buffer<float, 4>> d_input{"d_input"};

    void generate() {
        stages.emplace(d_output, input, gamma, mean, inv_std, input.dim(3).extent(), shape());
        d_gamma = stages->stats.d_gamma;
        d_beta = stages->stats.d_beta;
        d_input = stages->data.d_input;
        place("tiles", stages->stats.tile);
    }

    void schedule() {
        input_activations(d_output, input, d_input);
        channel_values(gamma, mean, inv_std, d_gamma, d_beta);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<BatchNormBackward> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::BatchNormStatsGenerator, batch_norm_stats)
HALIDE_REGISTER_GENERATOR(halcyon::BatchNormFoldGenerator, batch_norm_fold)
HALIDE_REGISTER_GENERATOR(halcyon::BatchNormForwardGenerator, batch_norm_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::BatchNormStatsForwardGenerator, batch_norm_stats_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::BatchNormBackwardStatsGenerator, batch_norm_bwd_stats)
HALIDE_REGISTER_GENERATOR(halcyon::BatchNormBackwardDataGenerator, batch_norm_bwd_data)
HALIDE_REGISTER_GENERATOR(halcyon::BatchNormBackwardGenerator, batch_norm_bwd)
