#include "plan/cores.h"

#include "plan/optimizers.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace halcyon {
namespace {

double inputs(const Shape &s) { return double(s.in_h) * s.in_w * s.in_c; }
double outputs(const Shape &s) { return double(s.out_h) * s.out_w * s.out_c; }

// Every output of a convolution sums over the window and its group's input channels, a multiply and an add each. Taps in the
// padding are counted too, as the frameworks do.
double convolution(const Shape &s) { return 2.0 * outputs(s) * s.group_in() * s.kernel_h * s.kernel_w; }
double window(const Shape &s) { return outputs(s) * s.kernel_h * s.kernel_w; }

// Batch normalisation's sums of the pixels that a pool chose.
double chosen_statistics(const Shape &s) { return window(s) + 4 * outputs(s); }

double statistics_and_window(const Shape &s) { return 4 * inputs(s) + window(s); }
double gradients_and_window(const Shape &s) { return 4 * inputs(s) + chosen_statistics(s); }

/// What only copies.
double none(const Shape &) { return 0; }

double convolution_and_loss(const Shape &s) { return convolution(s) + 7 * outputs(s); }
double convolution_and_pool(const Shape &s) { return convolution(s) + window(s.pool()); }

template<int operations>
double per_input(const Shape &s) {
    return operations * inputs(s);
}

template<int operations>
double per_channel(const Shape &s) {
    return operations * double(s.in_c);
}

template<int operations>
double per_weight(const Shape &s) {
    return operations * double(s.out_c) * s.group_in() * s.kernel_h * s.kernel_w;
}

/// An optimizer's step on all weights.
Core core_of(const Optimizer &optimizer) {
    std::vector<Argument> updated = {{"parameters", Role::slab, true}};
    for (const StateSlot &slot : optimizer.slots) updated.push_back({slot.name, Role::slab, true});
    return {optimizer.name,
            {{"gradients", Role::slab}, {"step", Role::step}},
            updated,
            {},
            Sizes::slab,
            Constants::none,
            optimizer.exactness,
            [flops = optimizer.flops](const Shape &s) { return flops * double(s.elements); }};
}

std::vector<Core> with_optimizers(std::vector<Core> cores) {
    for (const Optimizer &optimizer : all_optimizers()) cores.push_back(core_of(optimizer));
    return cores;
}

}  // namespace

const std::vector<Core> &all_cores() {
    using enum Role;
    using enum Exactness;
    static const std::vector<Argument> data = {{"labels", labels}, {"indices", indices}, {"step", step}};
    static const std::vector<Argument> shares = {{"targets", in_targets}, {"indices", indices}, {"step", step}};
    const auto with = [](std::vector<Argument> arguments, const std::vector<Argument> &more) {
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    };
    const std::vector<Argument> statistics = {
        {"mean", in_channels},  {"inv_std", in_channels},           {"scale", in_channels},
        {"shift", in_channels}, {"moving_mean", in_channels, true}, {"moving_variance", in_channels, true}};
    const std::vector<Argument> loss = {{"loss", per_image}, {"correct", per_image}};
    const std::vector<Argument> of_units = {{"predicted", input}, {"loss", per_image}, {"metric", per_image}};
    static const std::vector<Core> cores = with_optimizers({
        // A batch of images of a data set, each moved, brightened and erased at random. Exact of bytes, not of floats.
        {"augment",
         {{"records", records}, {"indices", indices}, {"augment", augment}},
         {{"augmented", images}},
         {},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<12>},
        // Gathers a batch of images, flips it at random and rescales it: bytes to 0..1 by default.
        {"input_fwd",
         {{"images", records}, {"indices", indices}, {"step", step}},
         {{"output", input}},
         {{"pixel", input}},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<1>},
        // The center and factor that rescale an image and normalise it.
        {"normalization_fold",
         {{"mean", in_channels}, {"variance", in_channels}},
         {{"center", in_channels}, {"factor", in_channels}},
         {},
         Sizes::channels,
         Constants::none,
         derived,
         per_channel<5>},

        // Convolution and bias.
        {"conv2d_fwd",
         {{"input", input}, {"weights", tile_weights}, {"bias", out_channels}},
         {{"output", output}},
         {},
         Sizes::convolution,
         Constants::none,
         exact,
         convolution},
        // The same, and the maximum over a pool's windows of it.
        {"conv2d_pool_fwd",
         {{"input", input}, {"weights", tile_weights}, {"bias", out_channels}},
         {{"output", pooled}},
         {{"convolution", output}},
         Sizes::pooled_convolution,
         Constants::none,
         exact,
         convolution_and_pool},
        // The convolution that makes the logits, softmax, each image's loss and its gradient.
        {"conv2d_softmax_cross_entropy",
         with({{"input", input}, {"weights", weights}, {"bias", out_channels}}, data),
         with(with({{"probabilities", output}}, loss), {{"d_logits", output}}),
         {},
         Sizes::convolution,
         Constants::none,
         derived,
         convolution_and_loss},
        // The weights and bias that take a scale and a shift of a convolution's input upon them.
        {"conv2d_fold",
         {{"weights", weights}, {"bias", out_channels}, {"scale", in_channels}, {"shift", in_channels}},
         {{"folded_weights", weights}, {"folded_bias", out_channels}},
         {},
         Sizes::weights,
         Constants::none,
         exact,
         per_weight<3>},
        // The same of a scale and a shift of its output.
        {"conv2d_fold_output",
         {{"weights", weights}, {"bias", out_channels}, {"scale", out_channels}, {"shift", out_channels}},
         {{"folded_weights", weights}, {"folded_bias", out_channels}},
         {},
         Sizes::weights,
         Constants::none,
         exact,
         per_weight<1>},
        // The gradients of conv2d_fold's weights and of the batch norm whose scale and shift they took.
        {"conv2d_fold_bwd",
         {{"weights", weights},
          {"scale", in_channels},
          {"shift", in_channels},
          {"mean", in_channels},
          {"inv_std", in_channels},
          {"d_folded_weights", weights},
          {"d_bias", out_channels}},
         {{"d_weights", weights}, {"d_gamma", in_channels}, {"d_beta", in_channels}},
         {},
         Sizes::weights,
         Constants::none,
         exact,
         per_weight<7>},
        // A 3x3 convolution's weights for tiles.
        {"winograd_weights",
         {{"weights", weights}},
         {{"transformed_weights", tile_weights}},
         {},
         Sizes::weights,
         Constants::none,
         derived,
         per_weight<10>},
        // The gradient of a convolution's input.
        {"conv2d_bwd_data",
         {{"d_output", output}, {"weights", weights}},
         {{"d_input", input}},
         {},
         Sizes::convolution,
         Constants::none,
         exact,
         convolution},
        // The gradients of a convolution's weights and bias.
        {"conv2d_bwd_weights",
         {{"input", input}, {"d_output", output}},
         {{"d_weights", weights}, {"d_bias", out_channels}},
         {},
         Sizes::convolution,
         Constants::none,
         exact,
         convolution},
        // The same through a pool, whose own input is `convolution`; what comes back from the pool is `d_convolution`.
        {"conv2d_pool_bwd_weights",
         {{"input", input}, {"d_output", pooled}, {"convolution", output}},
         {{"d_weights", weights}, {"d_bias", out_channels}},
         {{"d_convolution", output}},
         Sizes::pooled_convolution,
         Constants::none,
         exact,
         convolution_and_pool},

        // A pass of its own for pointwise functions.
        {"pointwise", {{"input", input}}, {{"output", input}}, {}, Sizes::activation, Constants::none, exact, per_input<0>},
        // The same over a convolution's weights.
        {"pointwise_weights", {{"input", weights}}, {{"output", weights}}, {}, Sizes::weights, Constants::none, exact, per_weight<0>},

        // The batch's mean and 1/std, the scale and shift they make, the moving statistics.
        {"batch_norm_stats",
         {{"input", input}, {"gamma", in_channels}, {"beta", in_channels}},
         statistics,
         {},
         Sizes::activation,
         Constants::epsilon_and_momentum,
         derived,
         per_input<4>},
        // The same and scale * input + shift, in one pass; with a pool's maximum over that.
        {"batch_norm_stats_fwd",
         {{"input", input}, {"gamma", in_channels}, {"beta", in_channels}},
         with(statistics, {{"output", input}}),
         {},
         Sizes::activation,
         Constants::epsilon_and_momentum,
         derived,
         per_input<6>},
        {"batch_norm_stats_pool_fwd",
         {{"input", input}, {"gamma", in_channels}, {"beta", in_channels}},
         with(statistics, {{"output", output}}),
         {{"normalised", input}},
         Sizes::window,
         Constants::epsilon_and_momentum,
         derived,
         statistics_and_window},
        // Scale and shift from the moving statistics, for inference.
        {"batch_norm_fold",
         {{"gamma", in_channels}, {"beta", in_channels}, {"moving_mean", in_channels}, {"moving_variance", in_channels}},
         {{"scale", in_channels}, {"shift", in_channels}},
         {},
         Sizes::channels,
         Constants::epsilon,
         derived,
         per_channel<5>},
        // The gradients of gamma and beta, and those of the input as well.
        {"batch_norm_bwd_stats",
         {{"d_output", input}, {"input", input}, {"mean", in_channels}, {"inv_std", in_channels}},
         {{"d_gamma", in_channels}, {"d_beta", in_channels}},
         {},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<4>},
        {"batch_norm_bwd",
         {{"d_output", input}, {"input", input}, {"gamma", in_channels}, {"mean", in_channels}, {"inv_std", in_channels}},
         {{"d_gamma", in_channels}, {"d_beta", in_channels}, {"d_input", input}},
         {},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<10>},
        // The same through a max pool of what the input's chain makes of it, whose choice is made again.
        {"batch_norm_pool_bwd_stats",
         {{"d_output", output}, {"input", input}, {"mean", in_channels}, {"inv_std", in_channels}},
         {{"d_gamma", in_channels}, {"d_beta", in_channels}},
         {},
         Sizes::window,
         Constants::none,
         derived,
         chosen_statistics},
        {"batch_norm_pool_bwd",
         {{"d_output", output}, {"input", input}, {"gamma", in_channels}, {"mean", in_channels}, {"inv_std", in_channels}},
         {{"d_gamma", in_channels}, {"d_beta", in_channels}, {"d_input", input}},
         {},
         Sizes::window,
         Constants::none,
         derived,
         gradients_and_window},

        // Of windows side by side and groups of channels, of which a window has out_c / 2: their means, and 1/std.
        {"group_norm_stats",
         {{"input", input}},
         {{"statistics", output}},
         {},
         Sizes::convolution,
         Constants::epsilon,
         derived,
         per_input<4>},
        // What those make of the input, times gamma, plus beta.
        {"group_norm_fwd",
         {{"input", input}, {"statistics", output}, {"gamma", in_channels}, {"beta", in_channels}},
         {{"output", input}},
         {},
         Sizes::convolution,
         Constants::none,
         derived,
         per_input<4>},
        // The gradients of gamma and beta.
        {"group_norm_bwd_weights",
         {{"d_output", input}, {"input", input}, {"statistics", output}},
         {{"d_gamma", in_channels}, {"d_beta", in_channels}},
         {},
         Sizes::convolution,
         Constants::none,
         derived,
         per_input<5>},
        // Those of each unit's.
        {"group_norm_bwd_unit_weights",
         {{"d_output", input}, {"input", input}, {"statistics", output}},
         {{"d_gamma", in_units}, {"d_beta", in_units}},
         {},
         Sizes::convolution,
         Constants::none,
         derived,
         per_input<5>},
        // The means that the gradient of the input takes: of that of the normalised values, and of that times those.
        {"group_norm_bwd_means",
         {{"d_output", input}, {"input", input}, {"statistics", output}, {"gamma", in_channels}},
         {{"means", output}},
         {},
         Sizes::convolution,
         Constants::none,
         derived,
         per_input<6>},
        {"group_norm_bwd_data",
         {{"d_output", input}, {"input", input}, {"statistics", output}, {"means", output}, {"gamma", in_channels}},
         {{"d_input", input}},
         {},
         Sizes::convolution,
         Constants::none,
         derived,
         per_input<7>},

        // The gradient of a channel's slope below zero: the sum of the gradients of what is below, times that.
        {"prelu_bwd_alpha",
         {{"d_output", input}, {"input", input}},
         {{"d_alpha", in_channels}},
         {},
         Sizes::activation,
         Constants::none,
         exact,
         per_input<3>},

        // The same of each unit's.
        {"prelu_bwd_unit_alpha",
         {{"d_output", input}, {"input", input}},
         {{"d_alpha", in_units}},
         {},
         Sizes::activation,
         Constants::none,
         exact,
         per_input<3>},
        // Each unit's weight, of one that the window's rows and columns share, and all channels where there is one output; and its
        // gradient.
        {"shared_weights", {{"shared", out_units}}, {{"units", in_units}}, {}, Sizes::convolution, Constants::none, exact, none},
        {"shared_weights_bwd",
         {{"d_units", in_units}},
         {{"d_shared", out_units}},
         {},
         Sizes::convolution,
         Constants::none,
         exact,
         per_input<1>},

        // The maximum over windows; padding never wins.
        {"max_pool2d_fwd", {{"input", input}}, {{"output", output}}, {}, Sizes::window, Constants::none, exact, window},
        // The gradient to each window's first maximum in row-major order, found again.
        {"max_pool2d_bwd",
         {{"d_output", output}, {"input", input}},
         {{"d_input", input}},
         {},
         Sizes::window,
         Constants::none,
         exact,
         window},

        // The mean over windows, of the taps that lie inside the input.
        {"average_pool2d_fwd", {{"input", input}}, {{"output", output}}, {}, Sizes::window, Constants::none, derived, window},
        // The gradient to the taps of each window, in equal shares.
        {"average_pool2d_bwd", {{"d_output", output}}, {{"d_input", input}}, {}, Sizes::window, Constants::none, derived, window},

        // The sum over windows. Of windows of one tap it is the input with zeros around it.
        {"window_sum2d_fwd", {{"input", input}}, {{"output", output}}, {}, Sizes::window, Constants::none, exact, window},
        // The gradient to each tap of a window: each output as large as its window.
        {"window_sum2d_bwd", {{"d_output", output}}, {{"d_input", input}}, {}, Sizes::window, Constants::none, exact, window},

        // The channels of two inputs, one behind the other.
        {"concatenate",
         {{"first", input}, {"second", others}},
         {{"output", output}},
         {},
         Sizes::concatenation,
         Constants::none,
         exact,
         none},
        // The gradients of an input: the first channels, or the last.
        {"first_channels", {{"d_output", output}}, {{"d_input", input}}, {}, Sizes::concatenation, Constants::none, exact, none},
        {"last_channels", {{"d_output", output}}, {{"d_input", input}}, {}, Sizes::concatenation, Constants::none, exact, none},

        // Softmax over the channels of each pixel.
        {"softmax_fwd", {{"input", input}}, {{"output", input}}, {}, Sizes::activation, Constants::none, derived, per_input<5>},
        // The gradient through it, of what it made.
        {"softmax_bwd",
         {{"d_output", input}, {"output", input}},
         {{"d_input", input}},
         {},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<4>},

        // Softmax, and each image's loss times its class's weight, and whether its label is the first largest; the logits' gradient as
        // well.
        {"softmax_cross_entropy_fwd",
         with({{"logits", input}}, data),
         with({{"probabilities", input}}, loss),
         {},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<5>},
        {"softmax_cross_entropy",
         with({{"logits", input}}, data),
         with(with({{"probabilities", input}}, loss), {{"d_logits", input}}),
         {},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<7>},
        // The same of targets, shares of the classes; and the logits' gradient.
        {"categorical_cross_entropy_fwd",
         with({{"logits", input}}, shares),
         with({{"probabilities", input}}, loss),
         {},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<9>},
        {"categorical_cross_entropy_bwd",
         with({{"probabilities", input}}, shares),
         {{"d_logits", input}},
         {},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<5>},
        // The first of one logit and labels: the probabilities of both classes by the sigmoid of it.
        {"sigmoid_cross_entropy_fwd",
         with({{"logits", input}}, data),
         with({{"probabilities", both_classes}}, loss),
         {},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<40>},
        // Of units with a target each: what they make, the mean over them of the loss, and that of what is reported beside it. The sigmoid,
        // its cross-entropy, and whether unit and target are on the same side.
        {"binary_cross_entropy_fwd",
         {{"logits", input}, {"targets", in_targets}, {"indices", indices}},
         of_units,
         {},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<40>},
        // The values as they are, the squares of their differences to the targets, and these without a sign.
        {"squared_error_fwd",
         {{"values", input}, {"targets", in_targets}, {"indices", indices}},
         of_units,
         {},
         Sizes::activation,
         Constants::none,
         derived,
         per_input<5>},
    });
    return cores;
}

const Core &find_core(std::string_view name) {
    const auto core = std::ranges::find(all_cores(), name, &Core::name);
    if (core == all_cores().end()) throw std::invalid_argument(fmt::format("there is no core \"{}\"", name));
    return *core;
}

const Argument *Core::find(std::string_view name) const {
    for (const std::vector<Argument> *list : {&inputs, &outputs, &between})
        if (const auto argument = std::ranges::find(*list, name, &Argument::name); argument != list->end()) return &*argument;
    return nullptr;
}

}  // namespace halcyon
