// How far float kernels may be from the oracles, by the standard model of rounding: fl(a op b) = (a op b)(1 + d), |d| <= u.
#include "tests/kernels/arguments.h"

#include "plan/augment.h"
#include "plan/step.h"
#include "plan/winograd.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>

namespace halcyon {
namespace {

using oracle::Array;

constexpr double u = 0x1p-24;  // the largest relative error of one rounding

/// exp() and log() of Halide are within 2 ulp, which is 4 u.
constexpr double function_error = 4 * u;

double real(const Array &step, int field) { return std::bit_cast<float>(std::uint32_t(step(field))); }

void relative(double error, const Array &after, Array &tolerance) {
    for (std::size_t i = 0; i < after.values.size(); i++) tolerance.values[i] = error * std::abs(after.values[i]);
}

/// A channel of an activation as the statistics see it.
struct Channel {
    double count = 0, mean = 0, magnitude = 0, variance = 0;
};

std::vector<Channel> channels_of(const Array &input) {
    std::vector<Channel> channels(input.extent(0));
    const double count = double(input.values.size()) / input.extent(0);
    for (std::size_t i = 0; i < input.values.size(); i++) {
        Channel &channel = channels[i % channels.size()];
        channel.count = count;
        channel.mean += input.values[i] / count;
        channel.magnitude += std::abs(input.values[i]) / count;
    }
    for (std::size_t i = 0; i < input.values.size(); i++) {
        Channel &channel = channels[i % channels.size()];
        channel.variance += std::pow(input.values[i] - channel.mean, 2) / count;
    }
    return channels;
}

/// Of values up to `largest`, a sample rounds thrice in each of its three steps between two values; the mean is a sum, the rest a product
/// or two and a sum.
void augment_float(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    const Array &augment = before["augment"], &augmented = after["augmented"];
    double largest = 1;
    for (const double value : before["records"].values) largest = std::max(largest, std::abs(value));
    const double pixels = s.in_w * s.in_h, mean = sum_error(pixels + 2, pixels * largest) / pixels;
    for (std::size_t i = 0; i < augmented.values.size(); i++) {
        const int n = int(i / (std::size_t(s.in_c) * s.in_w * s.in_h));
        const double gain = std::abs(augment(augment_gain, n)) / augment_one,
                     mean_gain = std::abs(augment(augment_mean_gain, n)) / augment_one;
        tolerance["augmented"].values[i] =
            14 * u * gain * largest + mean_gain * (mean + 2 * u * largest) + u * std::abs(augmented.values[i]);
    }
}

/// A byte divided by 255, or multiplied by its rounded inverse; or a product and a sum, whose terms may cancel. With normalization a
/// difference and a product before them. A float that nothing is done to is exact.
void input_fwd(const Shape &s, const Arguments &, const Arguments &after, Arguments &tolerance) {
    const double roundings = after.kernel->name == "input_fwd" ? (s.image_scale == 0 && s.floats ? 0 : 2) : 4;
    for (std::size_t i = 0; i < after["output"].values.size(); i++) {
        const double value = after["output"].values[i];
        tolerance["output"].values[i] = roundings * u * (std::abs(value) + std::abs(value - s.image_offset) + std::abs(s.image_offset));
    }
}

/// A difference and a quotient; a root and a quotient.
void normalization_fold(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    for (int c = 0; c < s.in_c; c++)
        tolerance["center"](c) = 3 * u * (std::abs(before["mean"](c)) + std::abs(s.image_offset)) / std::abs(s.image_scale);
    relative(4 * u, after["factor"], tolerance["factor"]);
}

/// The mean is a sum. The variance is a sum of squares of deviations, each known to u, but about means of tiles and of merged tiles whose
/// own error is e: by Cauchy and Schwarz that adds at most 2 e sqrt(variance) + e^2. (The shortcut E[x^2] - E[x]^2 would add u E[x^2], far
/// more where the mean is large.) What follows is differentiated, or recomputed at the end of the variance's interval.
void batch_norm_stats(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    const Array &gamma = before["gamma"], &beta = before["beta"];
    const std::vector<Channel> channels = channels_of(before["input"]);
    for (int c = 0; c < s.in_c; c++) {
        const Channel &x = channels[c];
        const double mean = sum_error(x.count + 2, x.magnitude);
        const double variance = sum_error(x.count + 4, x.variance) + 2 * mean * std::sqrt(x.variance) + mean * mean;
        const double inv_std =
            1 / std::sqrt(std::max(x.variance - variance, 0.0) + s.epsilon) - after["inv_std"](c) + 3 * u * after["inv_std"](c);
        const double scale = std::abs(gamma(c)) * inv_std + u * std::abs(after["scale"](c));
        const double product = std::abs(x.mean * after["scale"](c));

        tolerance["mean"](c) = mean;
        tolerance["inv_std"](c) = inv_std;
        tolerance["scale"](c) = scale;
        tolerance["shift"](c) =
            std::abs(after["scale"](c)) * mean + (std::abs(x.mean) + mean) * scale + 2 * u * (std::abs(beta(c)) + product);

        const auto moving = [&](const char *name, double statistic, double error) {
            const double old = std::abs(before[name](c));
            return (1 - s.momentum) * error + 4 * u * (s.momentum * old + (1 - s.momentum) * std::abs(statistic));
        };
        tolerance["moving_mean"](c) = moving("moving_mean", x.mean, mean);
        tolerance["moving_variance"](c) = moving("moving_variance", x.variance, variance);
    }
}

/// A sum, a root, a division; for the shift also a product and a difference.
void batch_norm_fold(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    for (int c = 0; c < s.in_c; c++) {
        const double scale = std::abs(after["scale"](c));
        tolerance["scale"](c) = 4 * u * scale;
        tolerance["shift"](c) = 6 * u * (std::abs(before["beta"](c)) + std::abs(before["moving_mean"](c)) * scale);
    }
}

/// What is made of a scale and a shift that are not rounded to the ones that the oracle takes: the errors of both, and two roundings.
double normalised_error(const Arguments &after, const Arguments &tolerance, double input, int c) {
    const double product = std::abs(input * after["scale"](c));
    return std::abs(input) * tolerance["scale"](c) + tolerance["shift"](c) + 2 * u * (product + std::abs(after["shift"](c)));
}

void batch_norm_stats_fwd(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    batch_norm_stats(s, before, after, tolerance);
    const Array &input = before["input"];
    for (std::size_t i = 0; i < input.values.size(); i++)
        tolerance["output"].values[i] = normalised_error(after, tolerance, input.values[i], int(i % s.in_c));
}

/// A maximum is no further off than the worst of what it compares: here, of any input of the channel. What is dropped is exactly 0.
void batch_norm_stats_pool_dropout_fwd(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    batch_norm_stats(s, before, after, tolerance);
    std::vector<double> worst(s.in_c, 0.0);
    const Array &input = before["input"];
    for (std::size_t i = 0; i < input.values.size(); i++) {
        double &of_channel = worst[i % s.in_c];
        of_channel = std::max(of_channel, normalised_error(after, tolerance, input.values[i], int(i % s.in_c)));
    }
    const double kept = real(before["step"], dropout_scale(s.dropout));
    const Array &output = after["output"];
    for (std::size_t i = 0; i < output.values.size(); i++) {
        const double value = output.values[i];
        tolerance["output"].values[i] = value == 0 ? 0 : kept * worst[i % s.in_c] + u * std::abs(value);
    }
}

/// Sums of products; a term of d_gamma has up to four roundings of its own.
void batch_norm_bwd_stats(const Shape &s, const Arguments &before, const Arguments &, Arguments &tolerance) {
    const Array &d_output = before["d_output"], &input = before["input"], &mean = before["mean"], &inv_std = before["inv_std"];
    std::vector<double> d_gamma(s.in_c), d_beta(s.in_c);
    for (std::size_t i = 0; i < input.values.size(); i++) {
        const int c = int(i % s.in_c);
        d_gamma[c] += std::abs(d_output.values[i] * (input.values[i] - mean(c)) * inv_std(c));
        d_beta[c] += std::abs(d_output.values[i]);
    }
    const double count = double(input.values.size()) / s.in_c;
    for (int c = 0; c < s.in_c; c++) {
        tolerance["d_gamma"](c) = sum_error(count + 4, d_gamma[c]);
        tolerance["d_beta"](c) = sum_error(count, d_beta[c]);
    }
}

/// The longest way through the expression has nine roundings: 1 / M, inv_std * d_gamma, their product, the deviation, its product, the sum,
/// the difference, gamma * inv_std and the last product, each at most u of the sum of absolute values.
void batch_norm_bwd_data(const Shape &s, const Arguments &before, const Arguments &, Arguments &tolerance) {
    const Array &d_output = before["d_output"], &input = before["input"], &gamma = before["gamma"], &mean = before["mean"],
                &inv_std = before["inv_std"], &d_gamma = before["d_gamma"], &d_beta = before["d_beta"];
    const double count = double(input.values.size()) / s.in_c;
    Array &d_input = tolerance["d_input"];
    for (std::size_t i = 0; i < input.values.size(); i++) {
        const int c = int(i % s.in_c);
        const double normalised = (input.values[i] - mean(c)) * inv_std(c);
        const double magnitude = std::abs(d_output.values[i]) + (std::abs(d_beta(c)) + std::abs(normalised * d_gamma(c))) / count;
        d_input.values[i] = 9 * u * std::abs(gamma(c) * inv_std(c)) * magnitude;
    }
}

/// The gradient of the input for sums that are not rounded to the ones that the oracle takes.
void add_errors_of_sums(const Arguments &before, Arguments &tolerance) {
    const Array &input = before["input"], &gamma = before["gamma"], &mean = before["mean"], &inv_std = before["inv_std"];
    const int channels = input.extent(0);
    const double count = double(input.values.size()) / channels;
    for (std::size_t i = 0; i < input.values.size(); i++) {
        const int c = int(i % channels);
        const double normalised = std::abs((input.values[i] - mean(c)) * inv_std(c));
        const double error = tolerance["d_beta"](c) + normalised * tolerance["d_gamma"](c);
        tolerance["d_input"].values[i] += std::abs(gamma(c) * inv_std(c)) * error / count;
    }
}

/// `before` with the sums that the oracle makes.
Arguments with_sums(const Arguments &before, const Arguments &after, const char *kernel) {
    Arguments with{&find_kernel(kernel), {}};
    for (const std::string &input : before.kernel->inputs) with.tensors.push_back(before[input]);
    for (const char *output : {"d_gamma", "d_beta", "d_input"}) with.tensors.push_back(after[output]);
    return with;
}

void batch_norm_bwd(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    batch_norm_bwd_stats(s, before, after, tolerance);
    batch_norm_bwd_data(s, with_sums(before, after, "batch_norm_bwd_data"), after, tolerance);
    add_errors_of_sums(before, tolerance);
}

/// One product. What is dropped is exactly 0.
void dropout(const Shape &, const Arguments &, const Arguments &after, Arguments &tolerance) {
    relative(u, after.tensors.back(), tolerance.tensors.back());
}

/// `before` with the magnitude of the gradient of what the pool reads in place of the gradient of what it makes. Where windows overlap it
/// is the sum of several; what the pool compares are integers, so that nothing is rounded there.
Arguments through_pool(const Shape &s, const Arguments &before) {
    const Array &input = before["input"];
    std::vector<Array> normalise = {input, before["scale"], before["shift"], input};
    oracle::find_oracle("batch_norm_fwd")(s, normalise);
    std::vector<Array> pool = {before["d_output"], normalise[3], input};
    for (double &value : pool[0].values) value = std::abs(value);
    oracle::find_oracle("max_pool2d_bwd")(s, pool);
    Arguments through = before;
    through["d_output"] = pool[2];
    return through;
}

void batch_norm_pool_bwd_stats(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    batch_norm_bwd_stats(s, through_pool(s, before), after, tolerance);
}

/// Nine roundings as without the pool, and one for each window but the first that holds the pixel.
void batch_norm_pool_bwd_data(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    batch_norm_bwd_data(s, through_pool(s, before), after, tolerance);
    const int columns = (s.kernel_w + s.stride_w - 1) / s.stride_w, rows = (s.kernel_h + s.stride_h - 1) / s.stride_h;
    for (double &value : tolerance["d_input"].values) value *= (9 + columns * rows - 1) / 9.0;
}

/// Sums of products of gradients with errors of their own: those of the sums, and what the errors add up to at most.
void conv2d_pool_bwd_weights(const Shape &s, const Arguments &before, const Arguments &, Arguments &tolerance) {
    Arguments gradient{&find_kernel("batch_norm_pool_bwd_data"), {}};
    for (const char *name : {"d_output", "convolution", "scale", "shift", "gamma", "mean", "inv_std", "d_gamma", "d_beta", "convolution"})
        gradient.tensors.push_back(before[name]);
    Arguments error = gradient;
    batch_norm_pool_bwd_data(s.masked_pool(), gradient, gradient, error);
    oracle::find_oracle("batch_norm_pool_bwd_data")(s.masked_pool(), gradient.tensors);

    const auto sums_of_magnitudes = [&](const Array &d_convolution) {
        std::vector<Array> sums = {before["input"], d_convolution, before["d_weights"], before["d_bias"]};
        for (int argument : {0, 1})
            for (double &value : sums[argument].values) value = std::abs(value);
        oracle::find_oracle("conv2d_bwd_weights")(s, sums);
        return sums;
    };
    const std::vector<Array> errors = sums_of_magnitudes(error["d_input"]), magnitudes = sums_of_magnitudes(gradient["d_input"]);
    const double terms = double(s.out_w) * s.out_h * before["input"].extent(3) + 1;
    for (int sum : {2, 3}) {
        Array &of_sum = tolerance[sum == 2 ? "d_weights" : "d_bias"];
        for (std::size_t i = 0; i < of_sum.values.size(); i++)
            of_sum.values[i] = errors[sum].values[i] + sum_error(terms, magnitudes[sum].values[i]);
    }
}

void batch_norm_pool_bwd(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    batch_norm_pool_bwd_stats(s, before, after, tolerance);
    batch_norm_pool_bwd_data(s, with_sums(before, after, "batch_norm_pool_bwd_data"), after, tolerance);
    add_errors_of_sums(before, tolerance);
}

double class_weight_of(const Arguments &arguments, int classes, int n) {
    const Array &step = arguments["step"];
    return real(step, class_weight(step.extent(0), classes, int(arguments["labels"](int(arguments["indices"](n))))));
}

/// The exponent d = logit - largest is rounded, and Halide's exp() takes a multiple of ln 2 from it in float, where both the product and
/// the constant are rounded: absolute errors of up to 3 u |d|, relative ones of exp(d). In the sum of C such terms, whose largest is 1,
/// they are at most 3 u C max(|d| exp(d)) = 3 u C / e. Below FLT_MIN the result may be flushed to 0.
void softmax_cross_entropy_fwd(const Shape &, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    const Array &logits = before["logits"];
    const int classes = logits.extent(0);
    const double sum_relative = 3 * u * classes * std::exp(-1) + function_error + sum_error(classes, 1);
    for (int n = 0; n < logits.extent(3); n++) {
        double largest = logits(0, 0, 0, n);
        for (int c = 0; c < classes; c++) largest = std::max(largest, logits(c, 0, 0, n));
        for (int c = 0; c < classes; c++) {
            const double relative = 3 * u * (largest - logits(c, 0, 0, n)) + function_error + sum_relative + u;
            tolerance["probabilities"](c, 0, 0, n) = relative * after["probabilities"](c, 0, 0, n) + FLT_MIN;
        }
        const int label = int(before["labels"](int(before["indices"](n))));
        const double weight = class_weight_of(before, classes, n), unweighted = after["loss"](n) / weight;
        const double logit = logits(label, 0, 0, n), log_sum = unweighted - (largest - logit);
        // The three terms may be added in any order (Halide allows it), so that a partial sum is as large as a logit.
        const double magnitude = 2 * (std::abs(largest) + std::abs(logit)) + unweighted;
        const double error = sum_relative + function_error * log_sum + u * magnitude + FLT_MIN;
        tolerance["loss"](n) = weight * error + u * after["loss"](n);
        tolerance["correct"](n) = 0;
    }
}

/// A difference and two products.
void softmax_cross_entropy_bwd(const Shape &, const Arguments &, const Arguments &after, Arguments &tolerance) {
    relative(3 * u, after["d_logits"], tolerance["d_logits"]);
}

/// The same, of probabilities that are not rounded to the ones that the oracle takes.
void softmax_cross_entropy(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    softmax_cross_entropy_fwd(s, before, after, tolerance);
    softmax_cross_entropy_bwd(s, before, after, tolerance);
    const double inverse_batch = real(before["step"], step_inverse_batch);
    Array &d_logits = tolerance["d_logits"];
    for (int n = 0; n < d_logits.extent(3); n++)
        for (int c = 0; c < d_logits.extent(0); c++)
            d_logits(c, 0, 0, n) += inverse_batch * class_weight_of(before, d_logits.extent(0), n) * tolerance["probabilities"](c, 0, 0, n);
}

/// The same of logits that are exact sums.
void conv2d_softmax_cross_entropy(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    std::vector<Array> convolution = {before["input"], before["weights"], before["bias"], before["probabilities"]};
    oracle::find_oracle("conv2d_fwd")(s, convolution);
    Arguments of_logits{&find_kernel("softmax_cross_entropy"), {convolution.back()}};
    for (const char *name : {"labels", "indices", "step", "probabilities", "loss", "correct", "d_logits"})
        of_logits.tensors.push_back(before[name]);
    softmax_cross_entropy(s, of_logits, after, tolerance);
}

/// Each moment is old * beta + new * (1 - beta) in one of its forms, four roundings; the second has the square's as well, and no
/// cancellation. The step divides by the root, which halves the relative error, plus epsilon.
void adam(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    const Array &step = before["step"], &gradients = before["gradients"], &old = before["first_moment"];
    const double beta1 = real(step, step_beta1), learning_rate = real(step, step_learning_rate), epsilon = real(step, step_epsilon);
    for (int i = 0; i < s.elements; i++) {
        const double first = 4 * u * (std::abs(old(i)) + (1 - beta1) * std::abs(gradients(i)));
        const double second = 8 * u * after["second_moment"](i);
        const double divisor = std::sqrt(after["second_moment"](i)) + epsilon;
        const double move = std::abs(learning_rate * after["first_moment"](i) / divisor);
        tolerance["first_moment"](i) = first;
        tolerance["second_moment"](i) = second;
        tolerance["parameters"](i) =
            learning_rate * first / divisor + move * (4 * u + 4 * u) + u * (std::abs(before["parameters"](i)) + move);
    }
}

using Rule = void (*)(const Shape &, const Arguments &before, const Arguments &after, Arguments &tolerance);

const std::map<std::string, Rule, std::less<>> rules = {
    {"augment_float", augment_float},
    {"input_fwd", input_fwd},
    {"input_normalization_fwd", input_fwd},
    {"normalization_fold", normalization_fold},
    {"conv2d_dropout_fwd", dropout},  // what it drops from are exact sums of integers
    {"conv2d_dropout_bwd_data", dropout},
    {"conv2d_relu_dropout_bwd_data", dropout},
    {"conv2d_pool_bwd_weights", conv2d_pool_bwd_weights},
    {"batch_norm_stats", batch_norm_stats},
    {"conv2d_softmax_cross_entropy", conv2d_softmax_cross_entropy},
    {"batch_norm_fold", batch_norm_fold},
    {"batch_norm_stats_fwd", batch_norm_stats_fwd},
    {"batch_norm_bwd_stats", batch_norm_bwd_stats},
    {"batch_norm_bwd_data", batch_norm_bwd_data},
    {"batch_norm_bwd", batch_norm_bwd},
    {"batch_norm_pool_dropout_fwd", dropout},  // what it drops from is exact: a maximum of integers
    {"batch_norm_pool_bwd_stats", batch_norm_pool_bwd_stats},
    {"batch_norm_pool_bwd_data", batch_norm_pool_bwd_data},
    {"batch_norm_pool_bwd", batch_norm_pool_bwd},
    {"batch_norm_stats_pool_dropout_fwd", batch_norm_stats_pool_dropout_fwd},
    {"dropout", dropout},
    {"softmax_cross_entropy_fwd", softmax_cross_entropy_fwd},
    {"softmax_cross_entropy_bwd", softmax_cross_entropy_bwd},
    {"softmax_cross_entropy", softmax_cross_entropy},
    {"adam", adam},
};

/// Halves and quarters keep sums of small integers exact, thirds do not.
bool has_binary_fractions(const WinogradTile &tile) {
    const auto is_quarters = [](float value) { return 4 * value == std::round(4 * value); };
    return std::ranges::all_of(tile.weights, [&](const std::vector<float> &row) { return std::ranges::all_of(row, is_quarters); });
}

}  // namespace

double sum_error(double terms, double magnitude) { return std::min(terms, 6 * std::sqrt(terms)) * u * magnitude; }

const WinogradTile *tile_of(const CompiledKernel &compiled) {
    return compiled.shape.tile > 0 ? winograd_tile(compiled.shape.tile) : winograd_tile(compiled.entry);
}

bool is_exact(const CompiledKernel &compiled) {
    const WinogradTile *tile = tile_of(compiled);
    return find_kernel(compiled.kernel).exactness == Exactness::exact && (!tile || has_binary_fractions(*tile));
}

Arguments tolerances(const CompiledKernel &compiled, const Arguments &before, const Arguments &after) {
    Arguments tolerance = before;
    for (Array &tensor : tolerance.tensors) std::fill(tensor.values.begin(), tensor.values.end(), 0.0);
    if (is_exact(compiled)) return tolerance;
    if (const WinogradTile *tile = tile_of(compiled)) {
        winograd_tolerances(*tile, compiled, before, after, tolerance);
        return tolerance;
    }
    const auto rule = rules.find(before.kernel->name);
    if (rule == rules.end())
        throw std::invalid_argument("the kernel " + before.kernel->name + " has no tolerance in tests/kernels/tolerances.cpp");
    rule->second(compiled.shape, before, after, tolerance);
    return tolerance;
}

}  // namespace halcyon
