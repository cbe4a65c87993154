#include "generators/layers/conv2d.h"

#include "generators/layer_generator.h"
#include "generators/layers/conv2d_winograd.h"
#include "schedules/reference/reference.h"
#include "schedules/schedules.h"

#include <variant>

namespace halcyon {
namespace {

using Halide::Buffer;

/// The stages of one of a kernel's algorithms, once generate() has built them.
template<typename... Stages>
using Algorithm = std::variant<std::monostate, Stages...>;

class Conv2dForwardGenerator : public LayerGenerator<Conv2dForwardGenerator> {
public:
    static constexpr const char *kernel = "conv2d_fwd";
    Input<Buffer<float, 4>> input{"input"}, weights{"weights"};
    Input<Buffer<float, 1>> bias{"bias"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        if (const WinogradTile *tile = winograd_tile(entry.value())) {
            auto &f = stages.emplace<Conv2dForwardWinograd>(*tile, input, weights, bias, input.dim(3).extent(), shape());
            output = f.output;
            place("transformed_weights", f.transformed_weights);
        } else {
            output = stages.emplace<Conv2dForward>(input, weights, bias, shape()).output;
        }
    }

    void schedule() {
        input_activations(input);
        output_activations(output);
        dense(weights, {out_c, in_c, kernel_w, kernel_h});
        dense(bias, {out_c});
        apply_schedule(stages, shape(), schedule_set(), entry);
    }

private:
    Algorithm<Conv2dForward, Conv2dForwardWinograd> stages;
};

class Conv2dBackwardDataGenerator : public LayerGenerator<Conv2dBackwardDataGenerator> {
public:
    static constexpr const char *kernel = "conv2d_bwd_data";
    Input<Buffer<float, 4>> d_output{"d_output"}, weights{"weights"};
    Output<Buffer<float, 4>> d_input{"d_input"};

    void generate() {
        if (const WinogradTile *tile = winograd_tile(entry.value())) {
            auto &f = stages.emplace<Conv2dBackwardDataWinograd>(*tile, d_output, weights, d_output.dim(3).extent(), shape());
            d_input = f.d_input;
            place("transformed_weights", f.transformed_weights);
        } else {
            auto &f = stages.emplace<Conv2dBackwardData>(d_output, weights, shape());
            d_input = f.d_input;
            place("transposed", f.transposed);
        }
    }

    void schedule() {
        output_activations(d_output);
        input_activations(d_input);
        dense(weights, {out_c, in_c, kernel_w, kernel_h});
        apply_schedule(stages, shape(), schedule_set(), entry);
    }

private:
    Algorithm<Conv2dBackwardData, Conv2dBackwardDataWinograd> stages;
};

class Conv2dBackwardWeightsGenerator : public LayerGenerator<Conv2dBackwardWeightsGenerator> {
public:
    static constexpr const char *kernel = "conv2d_bwd_weights";
    Input<Buffer<float, 4>> input{"input"}, d_output{"d_output"};
    Output<Buffer<float, 4>> d_weights{"d_weights"};
    Output<Buffer<float, 1>> d_bias{"d_bias"};

    void generate() {
        const Halide::Expr images = d_output.dim(3).extent();
        if (const WinogradTile *tile = winograd_tile(entry.value())) {
            auto &f = stages.emplace<Conv2dBackwardWeightsWinograd>(*tile, input, d_output, images, shape());
            place("row_products", f.row_products);
            bind(f);
        } else if (entry.value() == "rows") {
            auto &f = stages.emplace<Conv2dBackwardWeightsByRows>(input, d_output, images, shape());
            place("row_sums", f.row_sums);
            bind(f);
        } else {
            bind(stages.emplace<Conv2dBackwardWeights>(input, d_output, images, shape()));
        }
    }

    void schedule() {
        input_activations(input);
        output_activations(d_output);
        dense(d_weights, {out_c, in_c, kernel_w, kernel_h});
        dense(d_bias, {out_c});
        apply_schedule(stages, shape(), schedule_set(), entry);
    }

private:
    template<typename Stages>
    void bind(Stages &f) {
        d_weights = f.d_weights;
        d_bias = f.d_bias;
        place("bias_rows", f.bias_rows);
    }

    Algorithm<Conv2dBackwardWeights, Conv2dBackwardWeightsByRows, Conv2dBackwardWeightsWinograd> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::Conv2dForwardGenerator, conv2d_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dBackwardDataGenerator, conv2d_bwd_data)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dBackwardWeightsGenerator, conv2d_bwd_weights)
