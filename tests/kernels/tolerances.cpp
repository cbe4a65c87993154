// How far float kernels may be from the oracles, by the standard model of rounding: fl(a op b) = (a op b)(1 + d), |d| <= u.
#include "tests/kernels/arguments.h"
#include "tests/kernels/optimizers.h"

#include "plan/augment.h"
#include "plan/step.h"
#include "plan/winograd.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>

namespace halcyon {
namespace {

using oracle::Array;

constexpr double u = 0x1p-24;  // the largest relative error of one rounding

/// exp() and log() of Halide are within 2 ulp, which is 4 u.
constexpr double function_error = 4 * u;

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

/// How far the statistics of such values may be off. The mean is a sum. The variance is a sum of squares of deviations, each known to u,
/// but about means of tiles and of merged tiles whose own error is e: by Cauchy and Schwarz that adds at most 2 e sqrt(variance) + e^2.
/// (The shortcut E[x^2] - E[x]^2 would add u E[x^2], far more where the mean is large.) 1/std is computed again at the end of the
/// variance's interval.
struct StatisticErrors {
    double mean, variance, inv_std;

    StatisticErrors(const Channel &x, double epsilon)
        : mean(sum_error(x.count + 2, x.magnitude)),
          variance(sum_error(x.count + 4, x.variance) + 2 * mean * std::sqrt(x.variance) + mean * mean) {
        const double exact = 1 / std::sqrt(x.variance + epsilon);
        inv_std = 1 / std::sqrt(std::max(x.variance - variance, 0.0) + epsilon) - exact + 3 * u * exact;
    }
};

/// Of values up to `largest`, a sample rounds thrice in each of its three steps between two values; the mean is a sum, the rest a product
/// or two and a sum.
void augment(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    if (!s.floats) return;  // integers
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
    const double roundings = !after.kernel.chains.empty() ? 4 : s.image_scale == 0 && s.floats ? 0 : 2;
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

/// What follows from the statistics is differentiated.
void batch_norm_stats(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    const Array &gamma = before["gamma"], &beta = before["beta"];
    const std::vector<Channel> channels = channels_of(before["input"]);
    for (int c = 0; c < s.in_c; c++) {
        const Channel &x = channels[c];
        const auto [mean, variance, inv_std] = StatisticErrors(x, s.epsilon);
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
        const double bias = s.unbiased ? x.count / std::max(x.count - 1, 1.0) : 1;
        tolerance["moving_variance"](c) = moving("moving_variance", bias * x.variance, bias * variance);
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

/// A maximum is no further off than the worst of what it compares: here, of any input of the channel.
void batch_norm_stats_pool_fwd(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    batch_norm_stats(s, before, after, tolerance);
    std::vector<double> worst(s.in_c, 0.0);
    const Array &input = before["input"];
    for (std::size_t i = 0; i < input.values.size(); i++) {
        double &of_channel = worst[i % s.in_c];
        of_channel = std::max(of_channel, normalised_error(after, tolerance, input.values[i], int(i % s.in_c)));
    }
    Array &output = tolerance["output"];
    for (std::size_t i = 0; i < output.values.size(); i++) output.values[i] = worst[i % s.in_c];
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

/// Of sums that are not rounded to the ones that the oracle takes: their errors too.
void batch_norm_bwd(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    batch_norm_bwd_stats(s, before, after, tolerance);
    const Array &d_output = before["d_output"], &input = before["input"], &gamma = before["gamma"], &mean = before["mean"],
                &inv_std = before["inv_std"];
    const double count = double(input.values.size()) / s.in_c;
    for (std::size_t i = 0; i < input.values.size(); i++) {
        const int c = int(i % s.in_c);
        const double normalised = std::abs((input.values[i] - mean(c)) * inv_std(c));
        const double of_sums = (tolerance["d_beta"](c) + normalised * tolerance["d_gamma"](c)) / count;
        tolerance["d_input"].values[i] = oracle::norm_gradient_error(of_sums, d_output.values[i], input.values[i], gamma(c), mean(c),
                                                                     inv_std(c), after["d_gamma"](c), after["d_beta"](c), count);
    }
}

/// Of the values of each group in each window.
void group_norm_stats(const Shape &s, const Arguments &before, const Arguments &, Arguments &tolerance) {
    const Array &input = before["input"];
    Array &errors = tolerance["statistics"];
    std::map<std::array<int, 4>, Channel> groups;
    const double count = double(s.in_c) / (s.out_c / 2) * s.kernel_w * s.kernel_h;
    const auto group_at = [&](int c, int x, int y, int n) -> Channel & {
        return groups[{oracle::group_of(s, c), x / s.kernel_w, y / s.kernel_h, n}];
    };
    oracle::for_each_element(input, [&](int c, int x, int y, int n) {
        Channel &group = group_at(c, x, y, n);
        group.count = count;
        group.mean += input(c, x, y, n) / count;
        group.magnitude += std::abs(input(c, x, y, n)) / count;
    });
    oracle::for_each_element(input, [&](int c, int x, int y, int n) {
        Channel &group = group_at(c, x, y, n);
        group.variance += std::pow(input(c, x, y, n) - group.mean, 2) / count;
    });
    for (const auto &[at, group] : groups) {
        const auto [g, x, y, n] = at;
        const StatisticErrors of_group(group, s.epsilon);
        errors(g, x, y, n) = of_group.mean;
        errors(s.out_c / 2 + g, x, y, n) = of_group.inv_std;
    }
}

/// Two sums and two products.
void group_norm_fwd(const Shape &s, const Arguments &before, const Arguments &, Arguments &tolerance) {
    oracle::for_each_element(before["input"], [&](int c, int x, int y, int n) {
        const double product = before["gamma"](c) * oracle::group_normalised(s, before["input"], before["statistics"], c, x, y, n);
        tolerance["output"](c, x, y, n) = 4 * u * (std::abs(product) + std::abs(before["beta"](c)));
    });
}

/// Sums, as a batch norm's.
void group_norm_bwd_weights(const Shape &s, const Arguments &before, const Arguments &, Arguments &tolerance) {
    const Array &d_output = before["d_output"];
    oracle::for_each_element(d_output, [&](int c, int x, int y, int n) {
        const double gradient = std::abs(d_output(c, x, y, n));
        tolerance["d_gamma"](c) += gradient * std::abs(oracle::group_normalised(s, before["input"], before["statistics"], c, x, y, n));
        tolerance["d_beta"](c) += gradient;
    });
    const double count = double(d_output.values.size()) / s.in_c;
    for (int c = 0; c < s.in_c; c++) {
        tolerance["d_gamma"](c) = sum_error(count + 4, tolerance["d_gamma"](c));
        tolerance["d_beta"](c) = sum_error(count, tolerance["d_beta"](c));
    }
}

/// The same over the images.
void group_norm_bwd_unit_weights(const Shape &s, const Arguments &before, const Arguments &, Arguments &tolerance) {
    const Array &d_output = before["d_output"];
    const int images = d_output.extent(3);
    oracle::for_each_element(d_output, [&](int c, int x, int y, int n) {
        const double gradient = std::abs(d_output(c, x, y, n));
        const double product = gradient * std::abs(oracle::group_normalised(s, before["input"], before["statistics"], c, x, y, n));
        tolerance["d_gamma"](c, x, y) += product;
        tolerance["d_beta"](c, x, y) += gradient;
    });
    for (double &value : tolerance["d_gamma"].values) value = sum_error(images + 4, value);
    for (double &value : tolerance["d_beta"].values) value = sum_error(images, value);
}

/// Means of products of up to four factors, one of them a difference.
void group_norm_bwd_means(const Shape &s, const Arguments &before, const Arguments &, Arguments &tolerance) {
    const double count = double(s.in_c) / (s.out_c / 2) * s.kernel_w * s.kernel_h;
    Array &means = tolerance["means"];
    oracle::for_each_element(before["d_output"], [&](int c, int x, int y, int n) {
        const double gradient = std::abs(before["gamma"](c) * before["d_output"](c, x, y, n)) / count;
        const int g = oracle::group_of(s, c), column = x / s.kernel_w, row = y / s.kernel_h;
        means(g, column, row, n) += gradient;
        means(s.out_c / 2 + g, column, row, n) +=
            gradient * std::abs(oracle::group_normalised(s, before["input"], before["statistics"], c, x, y, n));
    });
    for (double &value : means.values) value = sum_error(count + 5, value);
}

/// The longest way has six roundings: the deviation, two products, a sum, a difference and a product.
void group_norm_bwd_data(const Shape &s, const Arguments &before, const Arguments &, Arguments &tolerance) {
    oracle::for_each_element(before["d_output"], [&](int c, int x, int y, int n) {
        const auto value = [&](const char *of, int which) { return std::abs(oracle::group_value(s, before[of], which, c, x, y, n)); };
        const double normalised = std::abs(oracle::group_normalised(s, before["input"], before["statistics"], c, x, y, n));
        const double gradient = std::abs(before["gamma"](c) * before["d_output"](c, x, y, n));
        tolerance["d_input"](c, x, y, n) = 6 * u * value("statistics", 1) * (gradient + value("means", 0) + normalised * value("means", 1));
    });
}

/// The magnitude of the gradient of what a pool compares. Where windows overlap it is the sum of several; what is compared are integers, so
/// that nothing is rounded there.
Array through_pool(const Shape &s, const Array &d_output, const Array &compared) {
    std::vector<Array> pool = {d_output, compared, compared};
    for (double &value : pool[0].values) value = std::abs(value);
    oracle::compute("max_pool2d_bwd", s, pool);
    return pool[2];
}

/// `before` with that in place of the gradient of what the pool makes, and the values as they are in place of those that it compares.
Arguments behind_pool(const Shape &s, const Arguments &before, const Array &values) {
    Arguments behind = before;
    behind["d_output"] = through_pool(s, before["d_output"], before["input"]);
    behind["input"] = values;
    return behind;
}

/// The class of an image: its label, or that of its first largest target.
int label_of(const Arguments &arguments, int n) {
    const int record = int(arguments["indices"](n));
    if (std::ranges::find(arguments.named, "labels", &KernelArgument::name) != arguments.named.end())
        return int(arguments["labels"](record));
    const Array &targets = arguments["targets"];
    const auto first = targets.values.begin() + std::ptrdiff_t(record) * targets.extent(0);
    return int(std::max_element(first, first + targets.extent(0)) - first);
}

double class_weight_of(const Arguments &arguments, int classes, int n) {
    const Array &step = arguments["step"];
    return real(step, class_weight(step.extent(0), classes, label_of(arguments, n)));
}

/// The share of a class in an image's target, smoothed.
double share_of(const Shape &s, const Arguments &arguments, int c, int n) {
    const double smoothing = s.label_smoothing;
    return arguments["targets"](c, int(arguments["indices"](n))) * (1 - smoothing) + smoothing / s.in_c;
}

/// The exponent d = logit - largest is rounded, and Halide's exp() takes a multiple of ln 2 from it in float, where both the product and
/// the constant are rounded: absolute errors of up to 3 u |d|, relative ones of exp(d). In the sum of C such terms, whose largest is 1,
/// they are at most 3 u C max(|d| exp(d)) = 3 u C / e.
double softmax_sum_error(int channels) { return 3 * u * channels * std::exp(-1) + function_error + sum_error(channels, 1); }

/// Of one of the channels, that much below the largest. Below FLT_MIN the result may be flushed to 0.
double softmax_error(double below_largest, int channels, double result) {
    return (3 * u * below_largest + function_error + softmax_sum_error(channels) + u) * result + FLT_MIN;
}

void softmax_fwd(const Shape &, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    const Array &input = before["input"];
    oracle::for_each_element(input, [&](int c, int x, int y, int n) {
        double largest = input(0, x, y, n);
        for (int other = 0; other < input.extent(0); other++) largest = std::max(largest, input(other, x, y, n));
        tolerance["output"](c, x, y, n) = softmax_error(largest - input(c, x, y, n), input.extent(0), after["output"](c, x, y, n));
    });
}

/// A sum of products, a difference and a product.
void softmax_bwd(const Shape &, const Arguments &before, const Arguments &, Arguments &tolerance) {
    const Array &output = before["output"], &d_output = before["d_output"];
    const int channels = output.extent(0);
    oracle::for_each_element(output, [&](int c, int x, int y, int n) {
        double sum = 0;
        for (int other = 0; other < channels; other++) sum += std::abs(output(other, x, y, n) * d_output(other, x, y, n));
        const double difference = sum_error(channels + 1, sum) + 2 * u * (sum + std::abs(d_output(c, x, y, n)));
        tolerance["d_input"](c, x, y, n) = std::abs(output(c, x, y, n)) * difference;
    });
}

/// With label smoothing the loss has a sum over all logits more, times a constant, and another constant before the label's.
void softmax_cross_entropy_fwd(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    const Array &logits = before["logits"];
    const int classes = logits.extent(0);
    const double sum_relative = softmax_sum_error(classes);
    for (int n = 0; n < logits.extent(3); n++) {
        double largest = logits(0, 0, 0, n);
        for (int c = 0; c < classes; c++) largest = std::max(largest, logits(c, 0, 0, n));
        for (int c = 0; c < classes; c++)
            tolerance["probabilities"](c, 0, 0, n) =
                softmax_error(largest - logits(c, 0, 0, n), classes, after["probabilities"](c, 0, 0, n));
        const int label = int(before["labels"](int(before["indices"](n))));
        const double weight = class_weight_of(before, classes, n), unweighted = after["loss"](n) / weight;
        const double logit = logits(label, 0, 0, n), smoothing = s.label_smoothing;
        double below_largest = (1 - smoothing) * (largest - logit), smoothed = 0;
        for (int c = 0; c < classes; c++) {
            below_largest += smoothing / classes * (largest - logits(c, 0, 0, n));
            smoothed += smoothing / classes * (std::abs(largest) + std::abs(logits(c, 0, 0, n)));
        }
        const double log_sum = unweighted - below_largest;
        // The three terms may be added in any order (Halide allows it), so that a partial sum is as large as a logit.
        const double magnitude = (smoothing > 0 ? 4 : 2) * (std::abs(largest) + std::abs(logit)) + unweighted;
        const double error = sum_relative + function_error * log_sum + u * magnitude + sum_error(classes + 6, smoothed) + FLT_MIN;
        tolerance["loss"](n) = weight * error + u * after["loss"](n);
        tolerance["correct"](n) = 0;
    }
}

/// The logits' gradient is a difference and two products, of probabilities that are not rounded to the ones that the oracle takes. Smoothed
/// targets, which are at most 1, have three roundings.
void softmax_cross_entropy(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    softmax_cross_entropy_fwd(s, before, after, tolerance);
    relative(3 * u, after["d_logits"], tolerance["d_logits"]);
    const double inverse_batch = real(before["step"], step_inverse_batch), target = s.label_smoothing > 0 ? 3 * u : 0;
    Array &d_logits = tolerance["d_logits"];
    for (int n = 0; n < d_logits.extent(3); n++)
        for (int c = 0; c < d_logits.extent(0); c++)
            d_logits(c, 0, 0, n) +=
                inverse_batch * class_weight_of(before, d_logits.extent(0), n) * (tolerance["probabilities"](c, 0, 0, n) + target);
}

/// The same of logits that are exact sums.
void conv2d_softmax_cross_entropy(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    std::vector<Array> convolution = {before["input"], before["weights"], before["bias"], before["probabilities"]};
    oracle::compute("conv2d_fwd", s, convolution);
    const Kernel loss{"softmax_cross_entropy", {}};
    Arguments of_logits{loss, arguments_of(loss), {convolution.back()}};
    for (const char *name : {"labels", "indices", "step", "probabilities", "loss", "correct", "d_logits"})
        of_logits.tensors.push_back(before[name]);
    softmax_cross_entropy(s, of_logits, after, tolerance);
}

/// A target that is smoothed has three roundings, a sum of them one for each.
double total_error(const Shape &s, double total) { return sum_error(s.in_c + 3, total); }

/// The loss is the targets' sum times the logarithm of softmax's sum, and the sum of the targets times what their logits are below the
/// largest. Halide may take that one's difference after its products.
void categorical_cross_entropy_fwd(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    const Array &logits = before["logits"];
    for (int n = 0; n < logits.extent(3); n++) {
        double largest = logits(0, 0, 0, n), sum = 0, total = 0, products = 0;
        for (int c = 0; c < s.in_c; c++) largest = std::max(largest, logits(c, 0, 0, n));
        for (int c = 0; c < s.in_c; c++) {
            const double logit = logits(c, 0, 0, n), target = share_of(s, before, c, n);
            tolerance["probabilities"](c, 0, 0, n) = softmax_error(largest - logit, s.in_c, after["probabilities"](c, 0, 0, n));
            sum += std::exp(logit - largest);
            total += target;
            products += target * (std::abs(largest) + std::abs(logit));
        }
        const double log_sum = std::log(sum);
        const double error = total * (softmax_sum_error(s.in_c) + function_error * log_sum) + total_error(s, total) * log_sum +
                             sum_error(s.in_c + 6, products) + u * total * log_sum + FLT_MIN;
        const double weight = class_weight_of(before, s.in_c, n);
        tolerance["loss"](n) = weight * error + 2 * u * after["loss"](n);
        tolerance["correct"](n) = 0;
    }
}

/// A product, a difference and two products more.
void categorical_cross_entropy_bwd(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    relative(3 * u, after["d_logits"], tolerance["d_logits"]);
    const double inverse_batch = real(before["step"], step_inverse_batch);
    oracle::for_each_element(after["d_logits"], [&](int c, int x, int y, int n) {
        double total = 0;
        for (int other = 0; other < s.in_c; other++) total += share_of(s, before, other, n);
        const double probability = std::abs(before["probabilities"](c, x, y, n));
        const double error = probability * (total_error(s, total) + u * total) + 3 * u * share_of(s, before, c, n);
        tolerance["d_logits"](c, x, y, n) += inverse_batch * class_weight_of(before, s.in_c, n) * error;
    });
}

/// exp() of the logit as above. A sum and a quotient make the probability of it, some ten roundings the loss and what smoothing takes from
/// it.
void sigmoid_cross_entropy_fwd(const Shape &s, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    for (int n = 0; n < before["logits"].extent(3); n++) {
        const double logit = std::abs(before["logits"](0, 0, 0, n)), exponential = 3 * u * logit + function_error;
        const double smoothed = class_weight_of(before, 2, n) * s.label_smoothing / 2 * logit;
        for (int c = 0; c < 2; c++)
            tolerance["probabilities"](c, 0, 0, n) = (exponential + 3 * u) * after["probabilities"](c, 0, 0, n) + FLT_MIN;
        tolerance["loss"](n) = (exponential + 10 * u) * (std::abs(after["loss"](n)) + smoothed) + FLT_MIN;
        tolerance["correct"](n) = 0;
    }
}

/// exp() of the logit as above, in the logarithm and in the sigmoid; the logit times what its target is off, with four roundings, is added.
void binary_cross_entropy_fwd(const Shape &, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    const Array &logits = before["logits"], &targets = before["targets"];
    const int units = logits.extent(0);
    for (int n = 0; n < logits.extent(3); n++) {
        double terms = 0;
        for (int c = 0; c < units; c++) {
            const double logit = std::abs(logits(c, 0, 0, n)), exponential = 3 * u * logit + function_error;
            const double off = std::abs(targets(c, int(before["indices"](n)))) + 1;
            tolerance["predicted"](c, 0, 0, n) = (exponential + 3 * u) * after["predicted"](c, 0, 0, n) + FLT_MIN;
            terms += (exponential + 10 * u) * std::log1p(std::exp(-logit)) + 4 * u * logit * off;
        }
        tolerance["loss"](n) = terms / units + sum_error(units + 2, after["loss"](n)) + FLT_MIN;
        tolerance["metric"](n) = 2 * u * after["metric"](n);
    }
}

/// A difference, a product, a sum and a mean.
void squared_error_fwd(const Shape &, const Arguments &before, const Arguments &after, Arguments &tolerance) {
    const int units = before["values"].extent(0);
    for (const char *name : {"loss", "metric"})
        for (int n = 0; n < before["values"].extent(3); n++) tolerance[name](n) = sum_error(units + 5, after[name](n)) + FLT_MIN;
}

/// By the arithmetic of its oracle, from slabs that are right.
void optimizer(const Arguments &before, Arguments &tolerance) {
    const auto slabs = tolerance.tensors.begin() + std::ptrdiff_t(before.inputs());
    std::vector<Array> after = before.tensors, errors(slabs, tolerance.tensors.end());
    oracle::update(find_optimizer(before.kernel.core), after, errors);
    std::ranges::copy(errors, slabs);
}

/// Whether a core, whose outputs for `before` are those of `after`, makes -2 times as much of -2 times its inputs: it sums them times
/// constants.
bool is_linear(const Arguments &before, const Arguments &after) {
    const auto is_float = [](const KernelArgument &argument) { return argument.type == "float32"; };
    if (!std::ranges::all_of(before.named, is_float)) return false;
    Arguments scaled = before;
    for (Array &tensor : scaled.tensors)
        for (double &value : tensor.values) value *= -2;
    oracle::compute(before.kernel, scaled.tensors);
    const auto is_scaled = [](double a, double b) { return a == -2 * b; };
    return std::ranges::all_of(before.outputs(), [&](const std::string &output) {
        return std::ranges::equal(scaled[output].values, after[output].values, is_scaled);
    });
}

/// Of a linear core that slides a window: it sums no more terms than the window has taps. Each is a product with a constant that is rounded
/// as well, perhaps twice.
void linear(const Shape &s, const Arguments &before, const Arguments &, Arguments &tolerance) {
    Arguments magnitudes = before;
    for (Array &tensor : magnitudes.tensors)
        for (double &value : tensor.values) value = std::abs(value);
    oracle::compute(before.kernel, magnitudes.tensors);
    for (const std::string &output : before.outputs())
        for (std::size_t i = 0; i < tolerance[output].values.size(); i++)
            tolerance[output].values[i] = sum_error(s.kernel_h * s.kernel_w + 3, magnitudes[output].values[i]);
}

using Rule = void (*)(const Shape &, const Arguments &before, const Arguments &after, Arguments &tolerance);

/// Of the cores alone that are neither exact nor linear: `before` has what they read, `after` what they write, without the chains behind.
const std::map<std::string, Rule, std::less<>> rules = {
    {"augment", augment},
    {"input_fwd", input_fwd},
    {"normalization_fold", normalization_fold},
    {"conv2d_softmax_cross_entropy", conv2d_softmax_cross_entropy},
    {"batch_norm_stats", batch_norm_stats},
    {"batch_norm_stats_fwd", batch_norm_stats_fwd},
    {"batch_norm_stats_pool_fwd", batch_norm_stats_pool_fwd},
    {"batch_norm_fold", batch_norm_fold},
    {"batch_norm_bwd_stats", batch_norm_bwd_stats},
    {"batch_norm_bwd", batch_norm_bwd},
    {"group_norm_stats", group_norm_stats},
    {"group_norm_fwd", group_norm_fwd},
    {"group_norm_bwd_weights", group_norm_bwd_weights},
    {"group_norm_bwd_unit_weights", group_norm_bwd_unit_weights},
    {"group_norm_bwd_means", group_norm_bwd_means},
    {"group_norm_bwd_data", group_norm_bwd_data},
    {"softmax_fwd", softmax_fwd},
    {"softmax_bwd", softmax_bwd},
    {"softmax_cross_entropy_fwd", softmax_cross_entropy_fwd},
    {"softmax_cross_entropy", softmax_cross_entropy},
    {"categorical_cross_entropy_fwd", categorical_cross_entropy_fwd},
    {"categorical_cross_entropy_bwd", categorical_cross_entropy_bwd},
    {"sigmoid_cross_entropy_fwd", sigmoid_cross_entropy_fwd},
    {"binary_cross_entropy_fwd", binary_cross_entropy_fwd},
    {"squared_error_fwd", squared_error_fwd},
};

/// Takes the `errors` of `values` through the chain at a place, and the values as well.
void through_chain(const oracle::Call &call, const std::string &place, Array &values, Array &errors) {
    for (int i = 0; i < int(call.kernel().chain(place).size()); i++) {
        const oracle::Call::Operands operands = call.operands(place, i);
        const Array before = values;
        oracle::apply_row(operands, values);
        oracle::for_each_element(values, [&](int c, int x, int y, int n) {
            errors(c, x, y, n) = oracle::row_error(operands, before, errors(c, x, y, n), values(c, x, y, n), {c, x, y, n});
        });
    }
}

Array zeros_like(const Array &array) {
    Array zeros = array;
    std::fill(zeros.values.begin(), zeros.values.end(), 0.0);
    return zeros;
}

/// Whether a chain before the core rounds. The tests' data sees to it that what an exact one makes of exact values is exact.
bool rounds_before(const Kernel &kernel) {
    const auto rounds = [](const Link &link) { return find_row(link.row).exactness != Exactness::exact; };
    return std::ranges::any_of(kernel.of().inputs,
                               [&](const Argument &input) { return std::ranges::any_of(kernel.chain(input.name), rounds); });
}

/// Adds what the errors of a core's inputs, which its chains leave, come to behind it; and where it sums plainly, what rounds there. Sums
/// of products are largest of the magnitudes. An operation of the core's is half a term.
void add_errors_before(const oracle::Call &call, const Arguments &core, bool sums_plainly, Arguments &tolerance) {
    const std::string &name = core.kernel.core;
    if (name != "conv2d_fwd" && name != "conv2d_bwd_data" && name != "conv2d_bwd_weights")
        throw std::invalid_argument("a chain before " + name + " rounds: it has no tolerance in tests/kernels/tolerances.cpp");
    Arguments magnitudes = core;
    magnitudes.kernel.shape.tile = 0;
    if (name != "conv2d_bwd_weights") magnitudes["weights"] = oracle::plain_weights(core.kernel.shape, core["weights"]);
    for (Array &tensor : magnitudes.tensors)
        for (double &value : tensor.values) value = std::abs(value);
    Arguments largest = magnitudes;
    for (const Argument &input : core.kernel.of().inputs) {
        if (call.kernel().chain(input.name).empty()) continue;
        Array values = call[input.name], errors = zeros_like(values);
        through_chain(call, input.name, values, errors);
        for (std::size_t i = 0; i < errors.values.size(); i++) largest[input.name].values[i] += errors.values[i];
    }
    oracle::compute(magnitudes.kernel, magnitudes.tensors);
    oracle::compute(magnitudes.kernel, largest.tensors);
    for (const std::string &output : core.outputs()) {
        const double images = core.tensors.front().extent(3), elements = double(core[core.outputs().front()].values.size());
        const double terms = flops(core.kernel) * images / elements;
        for (std::size_t i = 0; i < tolerance[output].values.size(); i++) {
            const double sum = largest[output].values[i];
            tolerance[output].values[i] += sum - magnitudes[output].values[i] + (sums_plainly ? sum_error(terms, sum) : 0);
        }
    }
}

/// A pool's largest is no further off than the furthest of its window.
void conv2d_pool_fwd(const WinogradTile *tile, const CompiledKernel &compiled, const oracle::Call &call, const Arguments &core,
                     Arguments &tolerance) {
    const Shape &s = compiled.kernel.shape;
    std::vector<Array> convolution = {core["input"], core["weights"], core["bias"],
                                      Array({s.out_c, s.out_w, s.out_h, core["input"].extent(3)})};
    oracle::compute("conv2d_fwd", s, convolution);
    const Kernel bare{"conv2d_fwd", s};
    Arguments before{bare, arguments_of(bare), convolution}, errors = before;
    for (Array &array : errors.tensors) array = zeros_like(array);
    if (tile) winograd_tolerances(*tile, compiled.entry, before, errors);
    through_chain(call, "convolution", convolution[3], errors["output"]);
    std::vector<Array> pool = {errors["output"], tolerance["output"]};
    oracle::compute("max_pool2d_fwd", s.pool(), pool);
    tolerance["output"] = pool[1];
}

/// Sums of products of gradients with errors of their own: those of the sums, and what the errors add up to at most. Where windows overlap,
/// a gradient is a sum of several, each rounded.
void conv2d_pool_bwd_weights(const CompiledKernel &compiled, const oracle::Call &call, const Arguments &core, Arguments &tolerance) {
    const Shape &s = compiled.kernel.shape;
    std::vector<Array> pool = {core["d_output"], core["convolution"], core["convolution"]};
    oracle::compute("max_pool2d_bwd", s.pool(), pool);
    Array gradient = pool[2], errors = zeros_like(gradient);
    through_chain(call, "d_convolution", gradient, errors);
    const auto sums_of_magnitudes = [&](const Array &d_convolution) {
        std::vector<Array> sums = {core["input"], d_convolution, tolerance["d_weights"], tolerance["d_bias"]};
        for (int argument : {0, 1})
            for (double &value : sums[argument].values) value = std::abs(value);
        oracle::compute("conv2d_bwd_weights", s, sums);
        return sums;
    };
    const std::vector<Array> of_errors = sums_of_magnitudes(errors), magnitudes = sums_of_magnitudes(gradient);
    const double terms = double(s.out_w) * s.out_h * core["input"].extent(3) + 1;
    for (int sum : {2, 3}) {
        Array &of_sum = tolerance[sum == 2 ? "d_weights" : "d_bias"];
        for (std::size_t i = 0; i < of_sum.values.size(); i++)
            of_sum.values[i] = of_errors[sum].values[i] + sum_error(terms, magnitudes[sum].values[i]);
    }
}

/// Halves and quarters keep sums of small integers exact, thirds do not.
bool has_binary_fractions(const WinogradTile &tile) {
    const auto is_quarters = [](float value) { return 4 * value == std::round(4 * value); };
    return std::ranges::all_of(tile.weights, [&](const std::vector<float> &row) { return std::ranges::all_of(row, is_quarters); });
}

}  // namespace

double sum_error(double terms, double magnitude) { return std::min(terms, 6 * std::sqrt(terms)) * u * magnitude; }

const WinogradTile *tile_of(const CompiledKernel &compiled) {
    return compiled.kernel.shape.tile > 0 ? winograd_tile(compiled.kernel.shape.tile) : winograd_tile(compiled.entry);
}

bool is_exact(const CompiledKernel &compiled) {
    const WinogradTile *tile = tile_of(compiled);
    return exactness(compiled.kernel) == Exactness::exact && (!tile || has_binary_fractions(*tile));
}

Arguments tolerances(const CompiledKernel &compiled, const Arguments &before, const oracle::Call &after_core) {
    Arguments tolerance = before;
    for (Array &tensor : tolerance.tensors) tensor = zeros_like(tensor);
    if (is_exact(compiled)) return tolerance;

    // The core alone, on what the chains before it make.
    const Kernel &kernel = compiled.kernel;
    const Shape &s = kernel.shape;
    const Kernel bare{kernel.core, s, kernel.core == "input_fwd" ? kernel.chains : std::map<std::string, Chain>{}};
    Arguments core_before{bare, arguments_of(bare), {}}, core_after = core_before;
    for (const KernelArgument &argument : core_before.named)
        core_before.tensors.push_back(argument.is_output ? before[argument.name] : after_core.chained(argument.name));
    for (const KernelArgument &argument : core_before.named)
        core_after.tensors.push_back(argument.is_output ? after_core[argument.name] : core_before[argument.name]);
    Arguments core = core_before;
    for (Array &tensor : core.tensors) tensor = zeros_like(tensor);

    const WinogradTile *tile = tile_of(compiled);
    if (kernel.core == "conv2d_pool_fwd")
        conv2d_pool_fwd(tile, compiled, after_core, core_before, core);
    else if (kernel.core == "conv2d_pool_bwd_weights")
        conv2d_pool_bwd_weights(compiled, after_core, core_before, core);
    else if (tile)
        winograd_tolerances(*tile, compiled.entry, core_before, core);
    else if (kernel.core == "batch_norm_pool_bwd_stats")
        batch_norm_bwd_stats(s, behind_pool(s, core_before, after_core["input"]), core_after, core);
    else if (kernel.core == "batch_norm_pool_bwd")
        batch_norm_bwd(s, behind_pool(s, core_before, after_core["input"]), core_after, core);
    else if (kernel.of().sizes == Sizes::slab)
        optimizer(core_before, core);
    else if (const auto rule = rules.find(kernel.core); rule != rules.end())
        rule->second(s, core_before, core_after, core);
    else if (kernel.of().exactness != Exactness::exact && is_linear(core_before, core_after))
        linear(s, core_before, core_after, core);
    else if (kernel.of().exactness != Exactness::exact)
        throw std::invalid_argument("the core " + kernel.core + " is not linear, and has no tolerance in tests/kernels/tolerances.cpp");
    if (rounds_before(kernel)) add_errors_before(after_core, core_before, !tile, core);

    for (const std::string &output : before.outputs()) {
        Array values = after_core[output];
        through_chain(after_core, output, values, core[output]);
        tolerance[output] = core[output];
    }
    return tolerance;
}

}  // namespace halcyon
