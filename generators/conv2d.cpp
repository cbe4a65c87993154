#include "generators/layers/conv2d.h"

#include "generators/layer_generator.h"
#include "schedules/reference/reference.h"
#include "schedules/schedules.h"

#include <optional>

namespace halcyon {
namespace {

using Halide::Buffer;

class Conv2dForwardGenerator : public LayerGenerator<Conv2dForwardGenerator> {
public:
    static constexpr const char *kernel = "conv2d_fwd";
    Input<Buffer<float, 4>> input{"input"}, weights{"weights"};
    Input<Buffer<float, 1>> bias{"bias"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(input, weights, bias, shape());
        output = stages->output;
    }

    void schedule() {
        input_activations(input);
        output_activations(output);
        dense(weights, {out_c, in_c, kernel_w, kernel_h});
        dense(bias, {out_c});
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<Conv2dForward> stages;
};

class Conv2dBackwardDataGenerator : public LayerGenerator<Conv2dBackwardDataGenerator> {
public:
    static constexpr const char *kernel = "conv2d_bwd_data";
    Input<Buffer<float, 4>> d_output{"d_output"}, weights{"weights"};
    Output<Buffer<float, 4>> d_input{"d_input"};

    void generate() {
        stages.emplace(d_output, weights, shape());
        d_input = stages->d_input;
        place("transposed", stages->transposed);
    }

    void schedule() {
        output_activations(d_output);
        input_activations(d_input);
        dense(weights, {out_c, in_c, kernel_w, kernel_h});
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<Conv2dBackwardData> stages;
};

class Conv2dBackwardWeightsGenerator : public LayerGenerator<Conv2dBackwardWeightsGenerator> {
public:
    static constexpr const char *kernel = "conv2d_bwd_weights";
    Input<Buffer<float, 4>> input{"input"}, d_output{"d_output"};
    Output<Buffer<float, 4>> d_weights{"d_weights"};
    Output<Buffer<float, 1>> d_bias{"d_bias"};

    void generate() {
        stages.emplace(input, d_output, d_output.dim(3).extent(), shape());
        d_weights = stages->d_weights;
        d_bias = stages->d_bias;
        place("bias_rows", stages->bias_rows);
    }

    void schedule() {
        input_activations(input);
        output_activations(d_output);
        dense(d_weights, {out_c, in_c, kernel_w, kernel_h});
        dense(d_bias, {out_c});
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<Conv2dBackwardWeights> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::Conv2dForwardGenerator, conv2d_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dBackwardDataGenerator, conv2d_bwd_data)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dBackwardWeightsGenerator, conv2d_bwd_weights)
