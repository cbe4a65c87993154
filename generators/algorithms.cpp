// The cores' algorithms: how the stages of generators/layers/ are made of a kernel's inputs and bound to its outputs.
#include "generators/kernel_generator.h"
#include "generators/layers/augment.h"
#include "generators/layers/average_pool2d.h"
#include "generators/layers/batch_norm.h"
#include "generators/layers/batch_norm_pool.h"
#include "generators/layers/categorical_cross_entropy.h"
#include "generators/layers/comparisons.h"
#include "generators/layers/concatenate.h"
#include "generators/layers/conv2d.h"
#include "generators/layers/conv2d_pool.h"
#include "generators/layers/conv2d_softmax_cross_entropy.h"
#include "generators/layers/conv2d_staged.h"
#include "generators/layers/conv2d_winograd.h"
#include "generators/layers/group_norm.h"
#include "generators/layers/input.h"
#include "generators/layers/max_pool2d.h"
#include "generators/layers/optimizers.h"
#include "generators/layers/pointwise_pass.h"
#include "generators/layers/sigmoid_cross_entropy.h"
#include "generators/layers/softmax.h"
#include "generators/layers/softmax_cross_entropy.h"
#include "generators/layers/targets_loss.h"
#include "generators/layers/units.h"

namespace halcyon {
namespace {

using Halide::Expr;
using Halide::Func;

/// The tile of a forward convolution: that of its weights, or of its entry; null for a direct one.
const WinogradTile *forward_tile(const KernelGenerator &k) {
    return k.shape().tile > 0 ? winograd_tile(k.shape().tile) : winograd_tile(k.entry.value());
}

/// Whether the entry is one of the devices' tiles.
bool is_staged(const KernelGenerator &k) {
    const std::string &entry = k.entry.value();
    return entry == "shared_tile" || entry == "sliced" || entry == "channels";
}

BlockTile forward_block(const KernelGenerator &k) { return block_tile(k.entry.value(), k.shape().in_c, k.shape().out_c, k.shape()); }

/// Whether the entry merges a batch norm's tiles by rows.
bool by_rows(const KernelGenerator &k) { return k.entry.value() == "rows" || k.entry.value() == "channels"; }

template<typename Pixel>
void augment_pixels(KernelGenerator &k) {
    auto &f = k.make<Augment<Pixel>>(k.input("records"), k.input("indices"), k.input("augment"), k.extent("records", 3), k.shape());
    k.output("augmented", f.augmented);
}

void augment(KernelGenerator &k) { k.shape().floats ? augment_pixels<float>(k) : augment_pixels<uint8_t>(k); }

void input_fwd(KernelGenerator &k) {
    auto &f =
        k.make<InputForward>(k.input("images"), k.input("indices"), k.input("step"), k.chain("pixel"), k.extent("images", 3), k.shape());
    k.chained_output("output", f.output);
}

void normalization_fold(KernelGenerator &k) {
    auto &f = k.make<NormalizationFold>(k.input("mean"), k.input("variance"), k.shape());
    k.output("center", f.center);
    k.output("factor", f.factor);
}

void conv2d_fwd(KernelGenerator &k) {
    const Expr images = k.images("input");
    if (const WinogradTile *tile = forward_tile(k)) {
        auto &f = k.make<Conv2dForwardWinograd>(*tile, k.input("input"), k.input("weights"), k.input("bias"), images, k.shape());
        k.chained_output("output", f.output);
        if (f.own_weights) k.place("transformed_weights", f.own_weights->transformed_weights);
    } else if (is_staged(k)) {
        auto &f = k.make<Conv2dForwardStaged>(forward_block(k), k.input("input"), k.input("weights"), k.input("bias"), images, k.shape());
        k.chained_output("output", f.output);
    } else {
        auto &f = k.make<Conv2dForward>(k.input("input"), k.input("weights"), k.input("bias"), k.shape());
        k.chained_output("output", f.output);
    }
}

void conv2d_pool_fwd(KernelGenerator &k) {
    if (const WinogradTile *tile = forward_tile(k)) {
        auto &f = k.make<Conv2dPoolForward<Conv2dForwardWinograd>>(k.chain("convolution"), k.shape(), *tile, k.input("input"),
                                                                   k.input("weights"), k.input("bias"), k.images("input"));
        k.chained_output("output", f.pool.output);
        if (const auto &own = f.convolution.own_weights) k.place("transformed_weights", own->transformed_weights);
    } else {
        auto &f = k.make<Conv2dPoolForward<Conv2dForward>>(k.chain("convolution"), k.shape(), k.input("input"), k.input("weights"),
                                                           k.input("bias"));
        k.chained_output("output", f.pool.output);
    }
}

/// The outputs of a loss, whose batch is the probabilities'.
template<typename Forward>
void bind_loss(KernelGenerator &k, const Forward &f) {
    k.output("probabilities", f.probabilities);
    k.output("loss", f.loss);
    k.output("correct", f.correct);
    k.share_images("loss", "probabilities");
    k.share_images("correct", "probabilities");
}

void bind_loss(KernelGenerator &k, SoftmaxCrossEntropy &f) {
    bind_loss(k, f.forward);
    k.chained_output("d_logits", f.backward.d_logits);
    k.share_images("d_logits", "probabilities");
}

void conv2d_softmax_cross_entropy(KernelGenerator &k) {
    const Expr records = k.extent("labels", 0), words = k.extent("step", 0);
    if (is_staged(k)) {
        auto &f = k.make<Conv2dSoftmaxCrossEntropy<Conv2dForwardStaged>>(k.input("labels"), k.input("indices"), k.input("step"), records,
                                                                         words, k.shape(), forward_block(k), k.input("input"),
                                                                         k.input("weights"), k.input("bias"), k.images("input"));
        bind_loss(k, f.loss);
    } else {
        auto &f = k.make<Conv2dSoftmaxCrossEntropy<Conv2dForward>>(k.input("labels"), k.input("indices"), k.input("step"), records, words,
                                                                   k.shape(), k.input("input"), k.input("weights"), k.input("bias"));
        bind_loss(k, f.loss);
    }
}

void conv2d_fold(KernelGenerator &k) {
    auto &f = k.make<Conv2dFold>(k.input("weights"), k.input("bias"), k.input("scale"), k.input("shift"), k.shape());
    k.output("folded_weights", f.folded_weights);
    k.output("folded_bias", f.folded_bias);
}

void conv2d_fold_output(KernelGenerator &k) {
    auto &f = k.make<Conv2dFoldOutput>(k.input("weights"), k.input("bias"), k.input("scale"), k.input("shift"));
    k.output("folded_weights", f.folded_weights);
    k.output("folded_bias", f.folded_bias);
}

void conv2d_fold_bwd(KernelGenerator &k) {
    auto &f = k.make<Conv2dFoldBackward>(k.input("weights"), k.input("scale"), k.input("shift"), k.input("mean"), k.input("inv_std"),
                                         k.input("d_folded_weights"), k.input("d_bias"), k.shape());
    k.output("d_weights", f.d_weights);
    k.output("d_gamma", f.d_gamma);
    k.output("d_beta", f.d_beta);
}

void winograd_weights(KernelGenerator &k) {
    auto &f = k.make<WinogradWeights>(*winograd_tile(k.shape().tile), k.input("weights"));
    k.output("transformed_weights", f.transformed_weights);
}

void conv2d_bwd_data(KernelGenerator &k) {
    const std::string &entry = k.entry.value();
    const Expr images = k.images("d_output");
    const WinogradTile *tile = winograd_tile(entry);
    if (tile && entry.ends_with("_input_tiles")) {
        auto &f = k.make<Conv2dBackwardDataInputTiles>(*tile, k.input("d_output"), k.input("weights"), images, k.shape());
        k.chained_output("d_input", f.convolution.output);
        k.place("transformed_weights", f.convolution.own_weights->transformed_weights);
    } else if (tile) {
        auto &f = k.make<Conv2dBackwardDataWinograd>(*tile, k.input("d_output"), k.input("weights"), images, k.shape());
        k.chained_output("d_input", f.d_input);
        k.place("transformed_weights", f.transformed_weights);
    } else if (is_staged(k)) {
        const BlockTile block = block_tile(entry, k.shape().out_c, k.shape().in_c, k.shape());
        auto &f = k.make<Conv2dBackwardDataStaged>(block, k.input("d_output"), k.input("weights"), images, k.shape());
        k.chained_output("d_input", f.d_input);
    } else {
        auto &f = k.make<Conv2dBackwardData>(k.input("d_output"), k.input("weights"), k.shape());
        k.chained_output("d_input", f.d_input);
        k.place("transposed", f.transposed);
    }
}

template<typename Stages>
void bind_weights(KernelGenerator &k, const Stages &f) {
    k.output("d_weights", f.d_weights);
    k.output("d_bias", f.d_bias);
}

void conv2d_bwd_weights(KernelGenerator &k) {
    const std::string &entry = k.entry.value();
    const Expr images = k.images("d_output");
    if (const WinogradTile *tile = winograd_tile(entry)) {
        auto &f = k.make<Conv2dBackwardWeightsWinograd>(*tile, k.input("input"), k.input("d_output"), images, k.shape());
        bind_weights(k, f);
        k.place("row_products", f.row_products);
        k.place("bias_rows", f.bias_rows);
    } else if (is_staged(k)) {
        auto &f =
            k.make<Conv2dBackwardWeightsStaged>(weights_tile(entry, k.shape()), k.input("input"), k.input("d_output"), images, k.shape());
        bind_weights(k, f);
        k.place("parts", f.parts);
    } else if (entry == "rows" || entry == "depthwise") {
        auto &f = k.make<Conv2dBackwardWeightsByRows>(k.input("input"), k.input("d_output"), images, k.shape());
        bind_weights(k, f);
        k.place("row_sums", f.row_sums);
    } else {
        auto &f = k.make<Conv2dBackwardWeights>(k.input("input"), k.input("d_output"), images, k.shape());
        bind_weights(k, f);
        k.place("bias_rows", f.bias_rows);
    }
}

void conv2d_pool_bwd_weights(KernelGenerator &k) {
    auto &f = k.make<Conv2dPoolBackwardWeights>(k.input("input"), k.input("d_output"), k.input("convolution"), k.chain("d_convolution"),
                                                k.images("d_output"), k.shape());
    bind_weights(k, f.weights);
    k.place("row_sums", f.weights.row_sums);
}

template<typename Pass>
void pointwise(KernelGenerator &k) {
    auto &f = k.make<Pass>(k.input("input"), k.chain("output"));
    k.output("output", f.output);
}

void bind_statistics(KernelGenerator &k, const BatchNormStats &f) {
    k.output("mean", f.mean);
    k.output("inv_std", f.inv_std);
    k.output("scale", f.scale);
    k.output("shift", f.shift);
    k.output("moving_mean", f.moving_mean);
    k.output("moving_variance", f.moving_variance);
    k.place("tiles", f.tile);
}

void batch_norm_stats(KernelGenerator &k) {
    bind_statistics(k,
                    k.make<BatchNormStats>(k.input("input"), k.input("gamma"), k.input("beta"), k.images("input"), k.shape(), by_rows(k)));
}

void batch_norm_stats_fwd(KernelGenerator &k) {
    auto &f = k.make<BatchNormStatsForward>(k.input("input"), k.input("gamma"), k.input("beta"), k.images("input"), k.shape(), by_rows(k));
    bind_statistics(k, f.stats);
    k.chained_output("output", f.normalise.output);
}

void batch_norm_stats_pool_fwd(KernelGenerator &k) {
    auto &f = k.make<BatchNormStatsPoolForward>(k.input("input"), k.input("gamma"), k.input("beta"), k.chain("normalised"),
                                                k.images("input"), k.shape(), by_rows(k));
    bind_statistics(k, f.stats);
    k.chained_output("output", f.pool.output);
}

void batch_norm_fold(KernelGenerator &k) {
    auto &f = k.make<BatchNormFold>(k.input("gamma"), k.input("beta"), k.input("moving_mean"), k.input("moving_variance"), k.shape());
    k.output("scale", f.scale);
    k.output("shift", f.shift);
}

void bind_sums(KernelGenerator &k, const BatchNormBackwardStats &f) {
    k.output("d_gamma", f.d_gamma);
    k.output("d_beta", f.d_beta);
    k.place("tiles", f.tile);
}

void batch_norm_bwd_stats(KernelGenerator &k) {
    bind_sums(k, k.make<BatchNormBackwardStats>(k.input("d_output"), k.input("input"), k.input("mean"), k.input("inv_std"),
                                                k.images("input"), k.shape()));
}

void batch_norm_bwd(KernelGenerator &k) {
    auto &f = k.make<BatchNormBackward>(k.input("d_output"), k.input("input"), k.input("gamma"), k.input("mean"), k.input("inv_std"),
                                        k.images("input"), k.shape());
    bind_sums(k, f.stats);
    k.chained_output("d_input", f.d_input);
}

void batch_norm_pool_bwd_stats(KernelGenerator &k) {
    auto &f = k.make<BatchNormPoolBackwardStats>(k.input("d_output"), k.raw_input("input"), k.input("input"), k.input("mean"),
                                                 k.input("inv_std"), k.images("input"), k.shape());
    bind_sums(k, f.stats);
}

void batch_norm_pool_bwd(KernelGenerator &k) {
    auto &f = k.make<BatchNormPoolBackward>(k.input("d_output"), k.raw_input("input"), k.input("input"), k.input("gamma"), k.input("mean"),
                                            k.input("inv_std"), k.images("input"), k.shape());
    bind_sums(k, f.sums.stats);
    k.chained_output("d_input", f.d_input);
}

/// One value for all channels.
Func of_channels(float value) {
    const Halide::Var c{"c"};
    Func constant;
    constant(c) = value;
    return constant;
}

/// What of an activation is below zero.
Func below(const Func &input) {
    const Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Func below{"below"};
    below(c, x, y, n) = below_zero(input(c, x, y, n));
    return below;
}

/// The sums of a batch norm of what is below zero, whose mean is 0 and whose deviation is 1.
void prelu_bwd_alpha(KernelGenerator &k) {
    auto &f = k.make<BatchNormBackwardStats>(k.input("d_output"), below(k.input("input")), of_channels(0), of_channels(1),
                                             k.images("input"), k.shape());
    k.output("d_alpha", f.d_gamma);
    k.place("tiles", f.tile);
}

void prelu_bwd_unit_alpha(KernelGenerator &k) {
    auto &f = k.make<UnitSums>(k.input("d_output"), below(k.input("input")), k.images("input"));
    k.output("d_alpha", f.d_scale);
}

void shared_weights(KernelGenerator &k) {
    auto &f = k.make<SharedWeights>(k.input("shared"), k.shape());
    k.output("units", f.units);
}

void shared_weights_bwd(KernelGenerator &k) {
    auto &f = k.make<SharedWeightsBackward>(k.input("d_units"), k.shape());
    k.output("d_shared", f.d_shared);
}

void group_norm_stats(KernelGenerator &k) {
    auto &f = k.make<GroupNormStats>(k.input("input"), k.shape());
    k.output("statistics", f.output);
}

void group_norm_fwd(KernelGenerator &k) {
    auto &f = k.make<GroupNormForward>(k.input("input"), k.input("statistics"), k.input("gamma"), k.input("beta"), k.shape());
    k.chained_output("output", f.output);
}

/// What the statistics make of the input.
Func normalised(KernelGenerator &k) {
    const Normalised of(k.input("input"), k.input("statistics"), k.shape());
    const Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Func normalised{"normalised"};
    normalised(c, x, y, n) = of(c, x, y, n);
    return normalised;
}

/// The sums of a batch norm of what is normalised already.
void group_norm_bwd_weights(KernelGenerator &k) {
    bind_sums(k, k.make<BatchNormBackwardStats>(k.input("d_output"), normalised(k), of_channels(0), of_channels(1), k.images("input"),
                                                k.shape()));
}

void group_norm_bwd_unit_weights(KernelGenerator &k) {
    auto &f = k.make<UnitSums>(k.input("d_output"), normalised(k), k.images("input"));
    k.output("d_gamma", f.d_scale);
    k.output("d_beta", f.d_shift);
}

void group_norm_bwd_means(KernelGenerator &k) {
    auto &f = k.make<GroupNormBackwardMeans>(k.input("d_output"), k.input("input"), k.input("statistics"), k.input("gamma"), k.shape());
    k.output("means", f.output);
}

void group_norm_bwd_data(KernelGenerator &k) {
    auto &f = k.make<GroupNormBackwardData>(k.input("d_output"), k.input("input"), k.input("statistics"), k.input("means"),
                                            k.input("gamma"), k.shape());
    k.chained_output("d_input", f.d_input);
}

void max_pool2d_fwd(KernelGenerator &k) {
    auto &f = k.make<MaxPool2dForward>(k.input("input"), k.shape());
    f.chain = k.chain("output");
    k.chained_output("output", f.output);
}

void max_pool2d_bwd(KernelGenerator &k) {
    auto &f = k.make<MaxPool2dBackward>(k.input("d_output"), k.input("input"), k.shape());
    k.chained_output("d_input", f.d_input);
}

template<bool averages>
void window_sum2d_fwd(KernelGenerator &k) {
    auto &f = k.make<WindowSum2dForward<averages>>(k.input("input"), k.shape());
    k.chained_output("output", f.output);
}

template<bool averages>
void window_sum2d_bwd(KernelGenerator &k) {
    auto &f = k.make<WindowSum2dBackward<averages>>(k.input("d_output"), k.shape());
    k.chained_output("d_input", f.d_input);
}

void concatenate(KernelGenerator &k) {
    auto &f = k.make<Concatenate>(k.input("first"), k.input("second"), k.shape());
    k.chained_output("output", f.output);
}

void first_channels(KernelGenerator &k) {
    auto &f = k.make<SomeChannels>(k.input("d_output"), 0);
    k.chained_output("d_input", f.d_input);
}

void last_channels(KernelGenerator &k) {
    auto &f = k.make<SomeChannels>(k.input("d_output"), k.shape().out_c - k.shape().in_c);
    k.chained_output("d_input", f.d_input);
}

void softmax_fwd(KernelGenerator &k) {
    auto &f = k.make<SoftmaxForward>(k.input("input"), k.shape());
    k.chained_output("output", f.output);
}

void softmax_bwd(KernelGenerator &k) {
    auto &f = k.make<SoftmaxBackward>(k.input("d_output"), k.input("output"), k.shape());
    k.chained_output("d_input", f.d_input);
}

void softmax_cross_entropy_fwd(KernelGenerator &k) {
    bind_loss(k, k.make<SoftmaxCrossEntropyForward>(k.input("logits"), k.input("labels"), k.input("indices"), k.input("step"),
                                                    k.extent("labels", 0), k.extent("step", 0), k.shape()));
}

void softmax_cross_entropy(KernelGenerator &k) {
    bind_loss(k, k.make<SoftmaxCrossEntropy>(k.input("logits"), k.input("labels"), k.input("indices"), k.input("step"),
                                             k.extent("labels", 0), k.extent("step", 0), k.shape()));
}

void categorical_cross_entropy_fwd(KernelGenerator &k) {
    bind_loss(k, k.make<CategoricalCrossEntropyForward>(k.input("logits"), k.input("targets"), k.input("indices"), k.input("step"),
                                                        k.extent("targets", 1), k.extent("step", 0), k.shape()));
}

void categorical_cross_entropy_bwd(KernelGenerator &k) {
    auto &f = k.make<CategoricalCrossEntropyBackward>(k.input("probabilities"), k.input("targets"), k.input("indices"), k.input("step"),
                                                      k.extent("targets", 1), k.extent("step", 0), k.shape());
    k.chained_output("d_logits", f.d_logits);
}

void sigmoid_cross_entropy_fwd(KernelGenerator &k) {
    bind_loss(k, k.make<SigmoidCrossEntropyForward>(k.input("logits"), k.input("labels"), k.input("indices"), k.input("step"),
                                                    k.extent("labels", 0), k.extent("step", 0), k.shape()));
}

template<UnitTerms (*terms)(const Expr &, const Expr &, const Shape &)>
void targets_loss(KernelGenerator &k, const char *outputs) {
    auto &f = k.make<TargetsLoss>(k.input(outputs), k.input("targets"), k.input("indices"), k.extent("targets", 1), k.shape(), terms);
    k.output("predicted", f.predicted);
    k.output("loss", f.loss);
    k.output("metric", f.metric);
    k.share_images("loss", "predicted");
    k.share_images("metric", "predicted");
}

void binary_cross_entropy_fwd(KernelGenerator &k) { targets_loss<cross_entropy_terms>(k, "logits"); }

void squared_error_fwd(KernelGenerator &k) { targets_loss<squared_error_terms>(k, "values"); }

void optimizer_update(KernelGenerator &k) {
    k.slabs(k.make<OptimizerUpdate>(find_optimizer(k.core()), k.input("gradients"), k.input("step")).slabs);
}

/// An algorithm of a core, with all the stages that it may be built of: the first have the references.
template<typename... Stages>
Algorithm built_of(void (*build)(KernelGenerator &)) {
    return {build, [] {
                std::vector<std::string> entries;
                const auto add = [&](const auto &schedules) {
                    for (const auto &schedule : schedules) entries.push_back(schedule.entry);
                };
                (add(tuned_schedules<Stages>()), ...);
                return entries;
            }};
}

Algorithms with_optimizers(Algorithms algorithms) {
    for (const Optimizer &optimizer : all_optimizers()) algorithms.emplace(optimizer.name, built_of<OptimizerUpdate>(optimizer_update));
    return algorithms;
}

}  // namespace

const Algorithms &algorithms() {
    static const Algorithms algorithms = with_optimizers({
        {"augment", built_of<Augment<uint8_t>>(augment)},
        {"input_fwd", built_of<InputForward>(input_fwd)},
        {"normalization_fold", built_of<NormalizationFold>(normalization_fold)},
        {"conv2d_fwd", built_of<Conv2dForward, Conv2dForwardWinograd, Conv2dForwardStaged>(conv2d_fwd)},
        {"conv2d_pool_fwd", built_of<Conv2dPoolForward<Conv2dForward>, Conv2dPoolForward<Conv2dForwardWinograd>>(conv2d_pool_fwd)},
        {"conv2d_softmax_cross_entropy",
         built_of<Conv2dSoftmaxCrossEntropy<Conv2dForward>, Conv2dSoftmaxCrossEntropy<Conv2dForwardStaged>>(conv2d_softmax_cross_entropy)},
        {"conv2d_fold", built_of<Conv2dFold>(conv2d_fold)},
        {"conv2d_fold_output", built_of<Conv2dFoldOutput>(conv2d_fold_output)},
        {"conv2d_fold_bwd", built_of<Conv2dFoldBackward>(conv2d_fold_bwd)},
        {"winograd_weights", built_of<WinogradWeights>(winograd_weights)},
        {"conv2d_bwd_data",
         built_of<Conv2dBackwardData, Conv2dBackwardDataInputTiles, Conv2dBackwardDataWinograd, Conv2dBackwardDataStaged>(conv2d_bwd_data)},
        {"conv2d_bwd_weights",
         built_of<Conv2dBackwardWeights, Conv2dBackwardWeightsByRows, Conv2dBackwardWeightsWinograd, Conv2dBackwardWeightsStaged>(
             conv2d_bwd_weights)},
        {"conv2d_pool_bwd_weights", built_of<Conv2dPoolBackwardWeights>(conv2d_pool_bwd_weights)},
        {"pointwise", built_of<PointwisePass>(pointwise<PointwisePass>)},
        {"pointwise_weights", built_of<PointwiseWeights>(pointwise<PointwiseWeights>)},
        {"batch_norm_stats", built_of<BatchNormStats>(batch_norm_stats)},
        {"batch_norm_stats_fwd", built_of<BatchNormStatsForward>(batch_norm_stats_fwd)},
        {"batch_norm_stats_pool_fwd", built_of<BatchNormStatsPoolForward>(batch_norm_stats_pool_fwd)},
        {"batch_norm_fold", built_of<BatchNormFold>(batch_norm_fold)},
        {"batch_norm_bwd_stats", built_of<BatchNormBackwardStats>(batch_norm_bwd_stats)},
        {"batch_norm_bwd", built_of<BatchNormBackward>(batch_norm_bwd)},
        {"batch_norm_pool_bwd_stats", built_of<BatchNormPoolBackwardStats>(batch_norm_pool_bwd_stats)},
        {"batch_norm_pool_bwd", built_of<BatchNormPoolBackward>(batch_norm_pool_bwd)},
        {"group_norm_stats", built_of<GroupNormStats>(group_norm_stats)},
        {"group_norm_fwd", built_of<GroupNormForward>(group_norm_fwd)},
        {"group_norm_bwd_weights", built_of<BatchNormBackwardStats>(group_norm_bwd_weights)},
        {"group_norm_bwd_unit_weights", built_of<UnitSums>(group_norm_bwd_unit_weights)},
        {"group_norm_bwd_means", built_of<GroupNormBackwardMeans>(group_norm_bwd_means)},
        {"group_norm_bwd_data", built_of<GroupNormBackwardData>(group_norm_bwd_data)},
        {"prelu_bwd_alpha", built_of<BatchNormBackwardStats>(prelu_bwd_alpha)},
        {"prelu_bwd_unit_alpha", built_of<UnitSums>(prelu_bwd_unit_alpha)},
        {"shared_weights", built_of<SharedWeights>(shared_weights)},
        {"shared_weights_bwd", built_of<SharedWeightsBackward>(shared_weights_bwd)},
        {"max_pool2d_fwd", built_of<MaxPool2dForward>(max_pool2d_fwd)},
        {"max_pool2d_bwd", built_of<MaxPool2dBackward>(max_pool2d_bwd)},
        {"average_pool2d_fwd", built_of<WindowSum2dForward<true>>(window_sum2d_fwd<true>)},
        {"average_pool2d_bwd", built_of<WindowSum2dBackward<true>>(window_sum2d_bwd<true>)},
        {"window_sum2d_fwd", built_of<WindowSum2dForward<false>>(window_sum2d_fwd<false>)},
        {"window_sum2d_bwd", built_of<WindowSum2dBackward<false>>(window_sum2d_bwd<false>)},
        {"concatenate", built_of<Concatenate>(concatenate)},
        {"first_channels", built_of<SomeChannels>(first_channels)},
        {"last_channels", built_of<SomeChannels>(last_channels)},
        {"softmax_fwd", built_of<SoftmaxForward>(softmax_fwd)},
        {"softmax_bwd", built_of<SoftmaxBackward>(softmax_bwd)},
        {"softmax_cross_entropy_fwd", built_of<SoftmaxCrossEntropyForward>(softmax_cross_entropy_fwd)},
        {"softmax_cross_entropy", built_of<SoftmaxCrossEntropy>(softmax_cross_entropy)},
        {"categorical_cross_entropy_fwd", built_of<CategoricalCrossEntropyForward>(categorical_cross_entropy_fwd)},
        {"categorical_cross_entropy_bwd", built_of<CategoricalCrossEntropyBackward>(categorical_cross_entropy_bwd)},
        {"sigmoid_cross_entropy_fwd", built_of<SigmoidCrossEntropyForward>(sigmoid_cross_entropy_fwd)},
        {"binary_cross_entropy_fwd", built_of<TargetsLoss>(binary_cross_entropy_fwd)},
        {"squared_error_fwd", built_of<TargetsLoss>(squared_error_fwd)},
    });
    return algorithms;
}

}  // namespace halcyon
