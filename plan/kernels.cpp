#include "plan/kernels.h"

#include <fmt/format.h>

#include <stdexcept>

namespace halcyon {
namespace {

double inputs(const Shape &s) { return double(s.in_h) * s.in_w * s.in_c; }
double outputs(const Shape &s) { return double(s.out_h) * s.out_w * s.out_c; }

// Every output of a convolution sums over the window and the input channels, a multiply and an add each. Taps in the
// padding are counted too, as the frameworks do.
double convolution(const Shape &s) { return 2.0 * outputs(s) * s.in_c * s.kernel_h * s.kernel_w; }
double window(const Shape &s) { return outputs(s) * s.kernel_h * s.kernel_w; }

// Batch normalisation and a comparison of each tap, then `operations` on each of the pool's outputs.
template<int operations>
double normalised_window(const Shape &s) {
    return 3 * window(s) + operations * outputs(s);
}

double statistics_and_window(const Shape &s) { return 4 * inputs(s) + normalised_window<1>(s); }

double convolution_and_dropout(const Shape &s) { return convolution(s) + outputs(s); }
double convolution_and_loss(const Shape &s) { return convolution(s) + 7 * outputs(s); }
double data_gradient_and_dropout(const Shape &s) { return convolution(s) + inputs(s); }
double convolution_and_pool(const Shape &s) { return convolution(s) + normalised_window<0>(s.pool()); }
double pool_gradient_and_weights(const Shape &s) { return convolution(s) + 9 * outputs(s); }

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
    return operations * double(s.out_c) * s.in_c * s.kernel_h * s.kernel_w;
}

template<int operations>
double per_element(const Shape &s) {
    return operations * double(s.elements);
}

}  // namespace

const std::vector<Kernel> &all_kernels() {
    using enum Exactness;
    static const std::vector<Kernel> kernels = {
        {"augment",
         {"records", "indices", "augment"},
         {"augmented"},
         {},
         exact,
         per_input<12>,
         "a batch of byte images of a data set, each moved, brightened and erased at random"},
        {"augment_float", {"records", "indices", "augment"}, {"augmented"}, {}, derived, per_input<12>, "the same of float images"},
        {"input_fwd",
         {"images", "indices", "step"},
         {"output"},
         {},
         derived,
         per_input<1>,
         "gathers a batch of images, rescales it (bytes to 0..1 by default) and flips it at random"},
        {"input_normalization_fwd",
         {"images", "indices", "step", "center", "factor"},
         {"output"},
         {},
         derived,
         per_input<4>,
         "the same, each channel normalised before it is rescaled: (x - center) * factor"},
        {"normalization_fold",
         {"mean", "variance"},
         {"center", "factor"},
         {},
         derived,
         per_channel<5>,
         "center and factor that rescale an image and normalise it"},

        {"conv2d_fwd", {"input", "weights", "bias"}, {"output"}, {}, exact, convolution, "convolution, bias and (relu) ReLU"},
        {"conv2d_pool_fwd",
         {"input", "weights", "bias", "scale", "shift"},
         {"output"},
         {},
         exact,
         convolution_and_pool,
         "convolution, bias, (relu) ReLU, and the pool's maximum over scale * that + shift"},
        {"conv2d_dropout_fwd",
         {"input", "weights", "bias", "step"},
         {"output"},
         {},
         derived,
         convolution_and_dropout,
         "convolution, bias, (relu) ReLU, and the dropout behind"},
        {"conv2d_softmax_cross_entropy",
         {"input", "weights", "bias", "labels", "indices", "step"},
         {"probabilities", "loss", "correct", "d_logits"},
         {},
         derived,
         convolution_and_loss,
         "the convolution that makes the logits, softmax, each image's loss and its gradient"},
        {"conv2d_fold",
         {"weights", "bias", "scale", "shift"},
         {"folded_weights", "folded_bias"},
         {},
         exact,
         per_weight<3>,
         "the weights and bias that take a scale and a shift of a convolution's input upon them"},
        {"conv2d_fold_bwd",
         {"weights", "scale", "shift", "mean", "inv_std", "d_folded_weights", "d_bias"},
         {"d_weights", "d_gamma", "d_beta"},
         {},
         exact,
         per_weight<7>,
         "the gradients of conv2d_fold's weights and of the batch norm whose scale and shift they took"},
        {"winograd_weights", {"weights"}, {"transformed_weights"}, {}, derived, per_weight<10>, "a 3x3 convolution's weights for tiles"},
        {"conv2d_bwd_data", {"d_output", "weights"}, {"d_input"}, {}, exact, convolution, "gradient of a convolution's input"},
        {"conv2d_dropout_bwd_data",
         {"d_output", "weights", "step"},
         {"d_input"},
         {},
         derived,
         data_gradient_and_dropout,
         "the same through the dropout that made the input"},
        {"conv2d_relu_dropout_bwd_data",
         {"d_output", "weights", "input", "step"},
         {"d_input"},
         {},
         derived,
         data_gradient_and_dropout,
         "the same through the dropout that made the input and the ReLU before that"},
        {"conv2d_bwd_weights",
         {"input", "d_output"},
         {"d_weights", "d_bias"},
         {},
         exact,
         convolution,
         "gradients of a convolution's weights and bias"},
        {"conv2d_pool_bwd_weights",
         {"input", "d_output", "convolution", "scale", "shift", "gamma", "mean", "inv_std", "d_gamma", "d_beta"},
         {"d_weights", "d_bias"},
         {},
         derived,
         pool_gradient_and_weights,
         "the same through the pool, the batch norm and (relu) the ReLU behind it, as batch_norm_pool_bwd_data"},

        {"relu_fwd", {"input"}, {"output"}, {}, exact, per_input<1>, "max(input, 0)"},
        {"relu_bwd", {"d_output", "output"}, {"d_input"}, {}, exact, per_input<1>, "d_output where the output is positive"},

        {"batch_norm_stats",
         {"input", "gamma", "beta"},
         {"mean", "inv_std", "scale", "shift", "moving_mean", "moving_variance"},
         {"moving_mean", "moving_variance"},
         derived,
         per_input<4>,
         "the batch's mean and 1/std, the scale and shift they make, the moving statistics"},
        {"batch_norm_stats_fwd",
         {"input", "gamma", "beta"},
         {"mean", "inv_std", "scale", "shift", "moving_mean", "moving_variance", "output"},
         {"moving_mean", "moving_variance"},
         derived,
         per_input<6>,
         "batch_norm_stats and batch_norm_fwd in one pass"},
        {"batch_norm_fold",
         {"gamma", "beta", "moving_mean", "moving_variance"},
         {"scale", "shift"},
         {},
         derived,
         per_channel<5>,
         "scale and shift from the moving statistics, for inference"},
        {"batch_norm_fwd", {"input", "scale", "shift"}, {"output"}, {}, exact, per_input<2>, "scale * input + shift"},
        {"batch_norm_bwd_stats",
         {"d_output", "input", "mean", "inv_std"},
         {"d_gamma", "d_beta"},
         {},
         derived,
         per_input<4>,
         "gradients of gamma and beta"},
        {"batch_norm_bwd_data",
         {"d_output", "input", "gamma", "mean", "inv_std", "d_gamma", "d_beta"},
         {"d_input"},
         {},
         derived,
         per_input<6>,
         "gradient of batch normalisation's input, and (relu) of the ReLU before it"},
        {"batch_norm_bwd",
         {"d_output", "input", "gamma", "mean", "inv_std"},
         {"d_gamma", "d_beta", "d_input"},
         {},
         derived,
         per_input<10>,
         "batch_norm_bwd_stats and batch_norm_bwd_data in one pass"},

        {"batch_norm_pool_fwd",
         {"input", "scale", "shift"},
         {"output"},
         {},
         exact,
         normalised_window<0>,
         "the pool's maximum over scale * input + shift"},
        {"batch_norm_pool_dropout_fwd",
         {"input", "scale", "shift", "step"},
         {"output"},
         {},
         derived,
         normalised_window<1>,
         "the same with the dropout after the pool"},
        {"batch_norm_stats_pool_dropout_fwd",
         {"input", "gamma", "beta", "step"},
         {"mean", "inv_std", "scale", "shift", "moving_mean", "moving_variance", "output"},
         {"moving_mean", "moving_variance"},
         derived,
         statistics_and_window,
         "batch_norm_stats and that in one pass"},
        {"batch_norm_pool_bwd_stats",
         {"d_output", "input", "scale", "shift", "mean", "inv_std"},
         {"d_gamma", "d_beta"},
         {},
         derived,
         normalised_window<4>,
         "gradients of gamma and beta through the pool, its choice recomputed"},
        {"batch_norm_pool_bwd_data",
         {"d_output", "input", "scale", "shift", "gamma", "mean", "inv_std", "d_gamma", "d_beta"},
         {"d_input"},
         {},
         derived,
         per_input<9>,
         "gradient of batch normalisation's input through the pool, and (relu) of the ReLU before it"},
        {"batch_norm_pool_bwd",
         {"d_output", "input", "scale", "shift", "gamma", "mean", "inv_std"},
         {"d_gamma", "d_beta", "d_input"},
         {},
         derived,
         per_input<13>,
         "batch_norm_pool_bwd_stats and batch_norm_pool_bwd_data in one pass"},

        {"max_pool2d_fwd", {"input"}, {"output"}, {}, exact, window, "maximum over windows; padding never wins"},
        {"max_pool2d_bwd",
         {"d_output", "input"},
         {"d_input"},
         {},
         exact,
         window,
         "the gradient to each window's first maximum in row-major order, recomputed"},

        {"dropout",
         {"input", "step"},
         {"output"},
         {},
         derived,
         per_input<1>,
         "drops elements at random and scales the others; the same function forward and backward"},

        {"add", {"a", "b"}, {"output"}, {}, exact, per_input<1>, "a + b"},

        {"softmax_cross_entropy_fwd",
         {"logits", "labels", "indices", "step"},
         {"probabilities", "loss", "correct"},
         {},
         derived,
         per_input<5>,
         "softmax, and each image's loss times its class's weight, and whether its label is the first largest"},
        {"softmax_cross_entropy_bwd",
         {"probabilities", "labels", "indices", "step"},
         {"d_logits"},
         {},
         derived,
         per_input<2>,
         "(probabilities - one_hot(label)) * the class's weight / images in the batch"},

        {"softmax_cross_entropy",
         {"logits", "labels", "indices", "step"},
         {"probabilities", "loss", "correct", "d_logits"},
         {},
         derived,
         per_input<7>,
         "both in one pass, for training"},

        {"adam",
         {"gradients", "step"},
         {"parameters", "first_moment", "second_moment"},
         {"parameters", "first_moment", "second_moment"},
         derived,
         per_element<12>,
         "Adam's step, as Keras writes it"},
        {"sgd",
         {"gradients", "step"},
         {"parameters", "velocity"},
         {"parameters", "velocity"},
         exact,
         per_element<4>,
         "gradient descent with momentum, as Keras writes it"},
    };
    return kernels;
}

const Kernel &find_kernel(std::string_view name) {
    for (const Kernel &kernel : all_kernels())
        if (kernel.name == name) return kernel;
    throw std::invalid_argument(fmt::format("there is no kernel \"{}\"", name));
}

}  // namespace halcyon
