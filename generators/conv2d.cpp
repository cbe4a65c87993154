#include "generators/layers/conv2d.h"

#include "generators/layer_generator.h"
#include "generators/layers/conv2d_dropout.h"
#include "generators/layers/conv2d_pool.h"
#include "generators/layers/conv2d_softmax_cross_entropy.h"
#include "generators/layers/conv2d_staged.h"
#include "generators/layers/conv2d_winograd.h"
#include "schedules/schedules.h"

#include <optional>
#include <string>
#include <variant>

namespace halcyon {
namespace {

using Halide::Buffer;
using Halide::Func;

/// The stages of one of a kernel's algorithms, once generate() has built them.
template<typename... Stages>
using Algorithm = std::variant<std::monostate, Stages...>;

/// The tile of a forward convolution: that of its weights, or of its entry; null for a direct one.
const WinogradTile *forward_tile(const Shape &s, const std::string &entry) {
    return s.tile > 0 ? winograd_tile(s.tile) : winograd_tile(entry);
}

/// Whether the entry is one of the devices' tiles.
bool is_staged(const std::string &entry) { return entry == "shared_tile" || entry == "sliced" || entry == "channels"; }

class Conv2dForwardGenerator : public LayerGenerator<Conv2dForwardGenerator> {
public:
    static constexpr const char *kernel = "conv2d_fwd";
    Input<Buffer<float, 4>> input{"input"}, weights{"weights"};
    Input<Buffer<float, 1>> bias{"bias"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        if (const WinogradTile *tile = forward_tile(shape(), entry)) {
            auto &f = stages.emplace<Conv2dForwardWinograd>(*tile, input, weights, bias, input.dim(3).extent(), shape());
            output = f.output;
            if (f.own_weights) place("transformed_weights", f.own_weights->transformed_weights);
        } else if (is_staged(entry)) {
            const BlockTile block = block_tile(entry.value(), in_c, out_c, shape());
            output = stages.emplace<Conv2dForwardStaged>(block, input, weights, bias, input.dim(3).extent(), shape()).output;
        } else {
            output = stages.emplace<Conv2dForward>(input, weights, bias, shape()).output;
        }
    }

    void schedule() {
        input_activations(input);
        output_activations(output);
        dense(weights, shape().weights());
        dense(bias, {out_c});
        apply_schedule(stages, shape(), schedule_set(), entry);
    }

private:
    Algorithm<Conv2dForward, Conv2dForwardWinograd, Conv2dForwardStaged> stages;
};

class Conv2dPoolForwardGenerator : public LayerGenerator<Conv2dPoolForwardGenerator> {
public:
    static constexpr const char *kernel = "conv2d_pool_fwd";
    Input<Buffer<float, 4>> input{"input"}, weights{"weights"};
    Input<Buffer<float, 1>> bias{"bias"}, scale{"scale"}, shift{"shift"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        if (const WinogradTile *tile = forward_tile(shape(), entry)) {
            auto &f = stages.emplace<Conv2dPoolForward<Conv2dForwardWinograd>>(scale, shift, shape(), *tile, Func(input), Func(weights),
                                                                               Func(bias), input.dim(3).extent());
            output = f.pooled.pool.output;
            if (const auto &own = f.convolution.own_weights) place("transformed_weights", own->transformed_weights);
        } else {
            auto &f = stages.emplace<Conv2dPoolForward<Conv2dForward>>(scale, shift, shape(), Func(input), Func(weights), Func(bias));
            output = f.pooled.pool.output;
        }
    }

    void schedule() {
        input_activations(input);
        activations(output, out_c, pooled_w, pooled_h);
        dense(weights, shape().weights());
        dense(bias, {out_c});
        dense(scale, {out_c});
        dense(shift, {out_c});
        apply_schedule(stages, shape(), schedule_set(), entry);
    }

private:
    Algorithm<Conv2dPoolForward<Conv2dForward>, Conv2dPoolForward<Conv2dForwardWinograd>> stages;
};

class Conv2dDropoutForwardGenerator : public LayerGenerator<Conv2dDropoutForwardGenerator> {
public:
    static constexpr const char *kernel = "conv2d_dropout_fwd";
    Input<Buffer<float, 4>> input{"input"}, weights{"weights"};
    Input<Buffer<float, 1>> bias{"bias"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        if (is_staged(entry)) {
            const BlockTile block = block_tile(entry.value(), in_c, out_c, shape());
            auto &f = stages.emplace<Conv2dDropoutForward<Conv2dForwardStaged>>(step, shape(), block, Func(input), Func(weights),
                                                                                Func(bias), input.dim(3).extent());
            output = f.dropout.output;
        } else {
            auto &f = stages.emplace<Conv2dDropoutForward<Conv2dForward>>(step, shape(), Func(input), Func(weights), Func(bias));
            output = f.dropout.output;
        }
    }

    void schedule() {
        input_activations(input);
        output_activations(output);
        dense(weights, shape().weights());
        dense(bias, {out_c});
        step.dim(0).set_min(0);
        apply_schedule(stages, shape(), schedule_set(), entry);
    }

private:
    Algorithm<Conv2dDropoutForward<Conv2dForward>, Conv2dDropoutForward<Conv2dForwardStaged>> stages;
};

class Conv2dSoftmaxCrossEntropyGenerator : public LayerGenerator<Conv2dSoftmaxCrossEntropyGenerator> {
public:
    static constexpr const char *kernel = "conv2d_softmax_cross_entropy";
    Input<Buffer<float, 4>> input{"input"}, weights{"weights"};
    Input<Buffer<float, 1>> bias{"bias"};
    Input<Buffer<uint16_t, 1>> labels{"labels"};
    Input<Buffer<int32_t, 1>> indices{"indices"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Buffer<float, 4>> probabilities{"probabilities"};
    Output<Buffer<float, 1>> loss{"loss"}, correct{"correct"};
    Output<Buffer<float, 4>> d_logits{"d_logits"};

    void generate() {
        const Halide::Expr records = labels.dim(0).extent(), words = step.dim(0).extent();
        if (is_staged(entry)) {
            const BlockTile block = block_tile(entry.value(), in_c, out_c, shape());
            auto &f = stages.emplace<Conv2dSoftmaxCrossEntropy<Conv2dForwardStaged>>(
                labels, indices, step, records, words, shape(), block, Func(input), Func(weights), Func(bias), input.dim(3).extent());
            bind(f.loss);
        } else {
            auto &f = stages.emplace<Conv2dSoftmaxCrossEntropy<Conv2dForward>>(labels, indices, step, records, words, shape(), Func(input),
                                                                               Func(weights), Func(bias));
            bind(f.loss);
        }
    }

    void schedule() {
        input_activations(input);
        output_activations(probabilities);
        output_activations(d_logits);
        dense(weights, shape().weights());
        dense(bias, {out_c});
        labels.dim(0).set_min(0);
        indices.dim(0).set_min(0);
        step.dim(0).set_min(0);
        const Halide::Expr images = probabilities.dim(3).extent();
        loss.dim(0).set_bounds(0, images);
        correct.dim(0).set_bounds(0, images);
        d_logits.dim(3).set_extent(images);
        apply_schedule(stages, shape(), schedule_set(), entry);
    }

private:
    void bind(SoftmaxCrossEntropy &f) {
        probabilities = f.forward.probabilities;
        loss = f.forward.loss;
        correct = f.forward.correct;
        d_logits = f.backward.d_logits;
    }

    Algorithm<Conv2dSoftmaxCrossEntropy<Conv2dForward>, Conv2dSoftmaxCrossEntropy<Conv2dForwardStaged>> stages;
};

class Conv2dFoldGenerator : public LayerGenerator<Conv2dFoldGenerator> {
public:
    static constexpr const char *kernel = "conv2d_fold";
    Input<Buffer<float, 4>> weights{"weights"};
    Input<Buffer<float, 1>> bias{"bias"}, scale{"scale"}, shift{"shift"};
    Output<Buffer<float, 4>> folded_weights{"folded_weights"};
    Output<Buffer<float, 1>> folded_bias{"folded_bias"};

    void generate() {
        stages.emplace(weights, bias, scale, shift, shape());
        folded_weights = stages->folded_weights;
        folded_bias = stages->folded_bias;
    }

    void schedule() {
        dense(weights, shape().weights());
        dense(folded_weights, shape().weights());
        dense(bias, {out_c});
        dense(folded_bias, {out_c});
        channel_values(scale, shift);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<Conv2dFold> stages;
};

class WinogradWeightsGenerator : public LayerGenerator<WinogradWeightsGenerator> {
public:
    static constexpr const char *kernel = "winograd_weights";
    Input<Buffer<float, 4>> weights{"weights"};
    Output<Buffer<float, 4>> transformed_weights{"transformed_weights"};

    void generate() {
        stages.emplace(*winograd_tile(shape().tile), weights);
        transformed_weights = stages->transformed_weights;
    }

    void schedule() {
        dense(weights, {out_c, in_c, kernel_w, kernel_h});
        dense(transformed_weights, shape().weights());
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<WinogradWeights> stages;
};

class Conv2dFoldBackwardGenerator : public LayerGenerator<Conv2dFoldBackwardGenerator> {
public:
    static constexpr const char *kernel = "conv2d_fold_bwd";
    Input<Buffer<float, 4>> weights{"weights"};
    Input<Buffer<float, 1>> scale{"scale"}, shift{"shift"}, mean{"mean"}, inv_std{"inv_std"};
    Input<Buffer<float, 4>> d_folded_weights{"d_folded_weights"};
    Input<Buffer<float, 1>> d_bias{"d_bias"};
    Output<Buffer<float, 4>> d_weights{"d_weights"};
    Output<Buffer<float, 1>> d_gamma{"d_gamma"}, d_beta{"d_beta"};

    void generate() {
        stages.emplace(weights, scale, shift, mean, inv_std, d_folded_weights, d_bias, shape());
        d_weights = stages->d_weights;
        d_gamma = stages->d_gamma;
        d_beta = stages->d_beta;
    }

    void schedule() {
        dense(weights, shape().weights());
        dense(d_folded_weights, shape().weights());
        dense(d_weights, shape().weights());
        dense(d_bias, {out_c});
        channel_values(scale, shift, mean, inv_std, d_gamma, d_beta);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<Conv2dFoldBackward> stages;
};

class Conv2dBackwardDataGenerator : public LayerGenerator<Conv2dBackwardDataGenerator> {
public:
    static constexpr const char *kernel = "conv2d_bwd_data";
    Input<Buffer<float, 4>> d_output{"d_output"}, weights{"weights"};
    Output<Buffer<float, 4>> d_input{"d_input"};

    void generate() {
        const WinogradTile *tile = winograd_tile(entry.value());
        if (tile && entry.value().ends_with("_input_tiles")) {
            auto &f = stages.emplace<Conv2dBackwardDataInputTiles>(*tile, d_output, weights, d_output.dim(3).extent(), shape());
            d_input = f.convolution.output;
            place("transformed_weights", f.convolution.own_weights->transformed_weights);
        } else if (tile) {
            auto &f = stages.emplace<Conv2dBackwardDataWinograd>(*tile, d_output, weights, d_output.dim(3).extent(), shape());
            d_input = f.d_input;
            place("transformed_weights", f.transformed_weights);
        } else if (is_staged(entry)) {
            const BlockTile block = block_tile(entry.value(), out_c, in_c, shape());
            d_input = stages.emplace<Conv2dBackwardDataStaged>(block, d_output, weights, d_output.dim(3).extent(), shape()).d_input;
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
    Algorithm<Conv2dBackwardData, Conv2dBackwardDataInputTiles, Conv2dBackwardDataWinograd, Conv2dBackwardDataStaged> stages;
};

class Conv2dDropoutBackwardDataGenerator : public LayerGenerator<Conv2dDropoutBackwardDataGenerator> {
public:
    static constexpr const char *kernel = "conv2d_dropout_bwd_data";
    Input<Buffer<float, 4>> d_output{"d_output"}, weights{"weights"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Buffer<float, 4>> d_input{"d_input"};

    void generate() {
        if (is_staged(entry)) {
            const BlockTile block = block_tile(entry.value(), out_c, in_c, shape());
            auto &f = stages.emplace<Conv2dDropoutBackwardData<Conv2dBackwardDataStaged>>(step, shape(), block, Func(d_output),
                                                                                          Func(weights), d_output.dim(3).extent());
            d_input = f.dropout.output;
        } else {
            auto &f = stages.emplace<Conv2dDropoutBackwardData<Conv2dBackwardData>>(step, shape(), Func(d_output), Func(weights));
            d_input = f.dropout.output;
        }
    }

    void schedule() {
        output_activations(d_output);
        input_activations(d_input);
        dense(weights, {out_c, in_c, kernel_w, kernel_h});
        step.dim(0).set_min(0);
        apply_schedule(stages, shape(), schedule_set(), entry);
    }

private:
    Algorithm<Conv2dDropoutBackwardData<Conv2dBackwardData>, Conv2dDropoutBackwardData<Conv2dBackwardDataStaged>> stages;
};

class Conv2dReluDropoutBackwardDataGenerator : public LayerGenerator<Conv2dReluDropoutBackwardDataGenerator> {
public:
    static constexpr const char *kernel = "conv2d_relu_dropout_bwd_data";
    Input<Buffer<float, 4>> d_output{"d_output"}, weights{"weights"}, input{"input"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Buffer<float, 4>> d_input{"d_input"};

    void generate() {
        if (is_staged(entry)) {
            const BlockTile block = block_tile(entry.value(), out_c, in_c, shape());
            auto &f = stages.emplace<Conv2dReluDropoutBackwardData<Conv2dBackwardDataStaged>>(input, step, shape(), block, Func(d_output),
                                                                                              Func(weights), d_output.dim(3).extent());
            d_input = f.d_input;
        } else {
            auto &f =
                stages.emplace<Conv2dReluDropoutBackwardData<Conv2dBackwardData>>(input, step, shape(), Func(d_output), Func(weights));
            d_input = f.d_input;
        }
    }

    void schedule() {
        output_activations(d_output);
        input_activations(input, d_input);
        dense(weights, {out_c, in_c, kernel_w, kernel_h});
        step.dim(0).set_min(0);
        apply_schedule(stages, shape(), schedule_set(), entry);
    }

private:
    Algorithm<Conv2dReluDropoutBackwardData<Conv2dBackwardData>, Conv2dReluDropoutBackwardData<Conv2dBackwardDataStaged>> stages;
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
            bind(f);
            place("row_products", f.row_products);
            place("bias_rows", f.bias_rows);
        } else if (is_staged(entry)) {
            auto &f = stages.emplace<Conv2dBackwardWeightsStaged>(weights_tile(entry.value(), shape()), input, d_output, images, shape());
            bind(f);
            place("parts", f.parts);
        } else if (entry.value() == "rows") {
            auto &f = stages.emplace<Conv2dBackwardWeightsByRows>(input, d_output, images, shape());
            bind(f);
            place("row_sums", f.row_sums);
        } else {
            auto &f = stages.emplace<Conv2dBackwardWeights>(input, d_output, images, shape());
            bind(f);
            place("bias_rows", f.bias_rows);
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
    }

    Algorithm<Conv2dBackwardWeights, Conv2dBackwardWeightsByRows, Conv2dBackwardWeightsWinograd, Conv2dBackwardWeightsStaged> stages;
};

class Conv2dPoolBackwardWeightsGenerator : public LayerGenerator<Conv2dPoolBackwardWeightsGenerator> {
public:
    static constexpr const char *kernel = "conv2d_pool_bwd_weights";
    Input<Buffer<float, 4>> input{"input"}, d_output{"d_output"}, convolution{"convolution"};
    Input<Buffer<float, 1>> scale{"scale"}, shift{"shift"}, gamma{"gamma"}, mean{"mean"}, inv_std{"inv_std"};
    Input<Buffer<float, 1>> d_gamma{"d_gamma"}, d_beta{"d_beta"};
    Output<Buffer<float, 4>> d_weights{"d_weights"};
    Output<Buffer<float, 1>> d_bias{"d_bias"};

    void generate() {
        stages.emplace(input, d_output, convolution, scale, shift, gamma, mean, inv_std, d_gamma, d_beta, d_output.dim(3).extent(),
                       shape());
        d_weights = stages->weights.d_weights;
        d_bias = stages->weights.d_bias;
        place("row_sums", stages->weights.row_sums);
    }

    void schedule() {
        input_activations(input);
        activations(d_output, out_c, pooled_w, pooled_h);
        output_activations(convolution);
        for (auto *values : {&scale, &shift, &gamma, &mean, &inv_std, &d_gamma, &d_beta}) dense(*values, {out_c});
        dense(d_weights, {out_c, in_c, kernel_w, kernel_h});
        dense(d_bias, {out_c});
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<Conv2dPoolBackwardWeights> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::Conv2dForwardGenerator, conv2d_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dPoolForwardGenerator, conv2d_pool_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dDropoutForwardGenerator, conv2d_dropout_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dSoftmaxCrossEntropyGenerator, conv2d_softmax_cross_entropy)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dFoldGenerator, conv2d_fold)
HALIDE_REGISTER_GENERATOR(halcyon::WinogradWeightsGenerator, winograd_weights)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dFoldBackwardGenerator, conv2d_fold_bwd)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dBackwardDataGenerator, conv2d_bwd_data)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dDropoutBackwardDataGenerator, conv2d_dropout_bwd_data)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dReluDropoutBackwardDataGenerator, conv2d_relu_dropout_bwd_data)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dBackwardWeightsGenerator, conv2d_bwd_weights)
HALIDE_REGISTER_GENERATOR(halcyon::Conv2dPoolBackwardWeightsGenerator, conv2d_pool_bwd_weights)
