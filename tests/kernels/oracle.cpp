#include "tests/kernels/oracle.h"

#include "plan/augment.h"
#include "plan/step.h"
#include "plan/winograd.h"
#include "tests/kernels/optimizers.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

namespace halcyon::oracle {

Array::Array(const std::vector<int> &extents, double value) {
    std::copy(extents.begin(), extents.end(), extents_.begin());
    values.assign(extents_[0] * extents_[1] * extents_[2] * extents_[3], value);
}

std::array<std::uint32_t, 2> philox2x32(std::array<std::uint32_t, 2> counter, std::uint32_t key) {
    for (int round = 0; round < 10; round++) {
        const std::uint64_t product = std::uint64_t{0xD256D193} * counter[0];
        counter = {std::uint32_t(product >> 32) ^ key ^ counter[1], std::uint32_t(product)};
        key += 0x9E3779B9;
    }
    return counter;
}

// The rows of 0 and of infinity hold the first and the last weight alone, those of 1 and -1 differ in the second.
Array plain_weights(const Shape &s, const Array &weights) {
    if (s.tile == 0) return weights;
    const Matrix &g = winograd_tile(s.tile)->weights;
    const int last = s.tile + 1;
    const auto weight = [&](int i, const auto &transformed) -> double {
        if (i == 0) return transformed(0) / g[0][0];
        if (i == 2) return transformed(last) / g[last][2];
        return (transformed(1) - transformed(2)) / (double(g[1][1]) - double(g[2][1]));
    };
    Array plain({s.out_c, s.in_c, 3, 3});
    for (int k = 0; k < s.out_c; k++)
        for (int c = 0; c < s.in_c; c++)
            for (int dy = 0; dy < 3; dy++)
                for (int dx = 0; dx < 3; dx++)
                    plain(k, c, dx, dy) = weight(dx, [&](int a) { return weight(dy, [&](int b) { return weights(k, c, a, b); }); });
    return plain;
}

int group_of(const Shape &s, int c) { return c / (s.in_c / (s.out_c / 2)); }

double group_value(const Shape &s, const Array &values, int which, int c, int x, int y, int n) {
    return values(which * s.out_c / 2 + group_of(s, c), x / s.kernel_w, y / s.kernel_h, n);
}

double group_normalised(const Shape &s, const Array &input, const Array &statistics, int c, int x, int y, int n) {
    return (input(c, x, y, n) - group_value(s, statistics, 0, c, x, y, n)) * group_value(s, statistics, 1, c, x, y, n);
}

std::uint32_t stream_key(std::uint32_t seed, std::uint32_t epoch, std::uint32_t stream) { return philox2x32({epoch, stream}, seed)[0]; }

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

void clear(Array &tensor) { std::fill(tensor.values.begin(), tensor.values.end(), 0.0); }

/// Calls `visit(in_x, in_y, dx, dy)` for every tap of the window of output (x, y) that lies inside the input, in row-major order.
template<typename Visit>
void for_each_tap(const Shape &s, int x, int y, Visit visit) {
    for (int dy = 0; dy < s.kernel_h; dy++)
        for (int dx = 0; dx < s.kernel_w; dx++) {
            const int in_x = x * s.stride_w + dx * s.dilation_w - s.pad_left, in_y = y * s.stride_h + dy * s.dilation_h - s.pad_top;
            if (in_x >= 0 && in_x < s.in_w && in_y >= 0 && in_y < s.in_h) visit(in_x, in_y, dx, dy);
        }
}

/// Calls `visit(k, c, from)` for every output channel of a convolution and each channel c of its group's inputs, of which it is `from`.
template<typename Visit>
void for_each_pair(const Shape &s, Visit visit) {
    const int inputs = s.in_c / s.groups, outputs = s.out_c / s.groups;
    for (int group = 0; group < s.groups; group++)
        for (int c = 0; c < inputs; c++)
            for (int k = group * outputs; k < (group + 1) * outputs; k++) visit(k, c, group * inputs + c);
}

/// Calls `visit(x, y, n)` for every position of an activation.
template<typename Visit>
void for_each_position(const Array &tensor, Visit visit) {
    for (int n = 0; n < tensor.extent(3); n++)
        for (int y = 0; y < tensor.extent(2); y++)
            for (int x = 0; x < tensor.extent(1); x++) visit(x, y, n);
}

/// The pixel that stands for pixel `i` of a row or column.
int augment_source(int i, int extent, bool reflects) {
    while (reflects && (i < 0 || i >= extent)) i = i < 0 ? -1 - i : 2 * extent - 1 - i;
    return std::clamp(i, 0, extent - 1);
}

/// A bilinear sample, each position rounded to 1/2048 of a pixel: times 2048^2.
double augment_sample(const Array &records, int c, int across, int down, int record, bool reflects) {
    const auto at = [&](int right, int below) {
        const int x = augment_source(int(std::floor(across / 2048.0)) + right, records.extent(1), reflects);
        const int y = augment_source(int(std::floor(down / 2048.0)) + below, records.extent(2), reflects);
        return records(c, x, y, record);
    };
    const double right = across - 2048 * std::floor(across / 2048.0), below = down - 2048 * std::floor(down / 2048.0);
    const double top = 2048 * at(0, 0) + right * (at(1, 0) - at(0, 0)), bottom = 2048 * at(0, 1) + right * (at(1, 1) - at(0, 1));
    return 2048 * top + below * (bottom - top);
}

/// `round` makes the integers that bytes are computed in; where a constant of 255 is `white`.
template<typename Round>
void augment_by(Round round, double white, const Array &records, const Array &indices, const Array &augment, Array &augmented) {
    const int width = records.extent(1), height = records.extent(2);
    for_each_element(augmented, [&](int c, int x, int y, int n) {
        const auto word = [&](int field) { return augment(field, n); };
        const int record = int(indices(n));
        if (x >= word(augment_left) && x < word(augment_right) && y >= word(augment_top) && y < word(augment_bottom)) {
            augmented(c, x, y, n) = word(augment_erase_value) * white / 255;
            return;
        }
        const int across = int(std::floor((word(augment_xx) * x + word(augment_xy) * y + word(augment_x0)) / 32 + 0.5));
        const int down = int(std::floor((word(augment_yx) * x + word(augment_yy) * y + word(augment_y0)) / 32 + 0.5));
        const bool inside = across >= 0 && across <= 2048 * (width - 1) && down >= 0 && down <= 2048 * (height - 1);
        double value = word(augment_fill_value) * white / 255;
        if (inside || int(word(augment_fill)) != augment_fill_constant)
            value =
                round(augment_sample(records, c, across, down, record, int(word(augment_fill)) == augment_fill_reflect) / (2048.0 * 2048));

        double sum = 0;
        if (word(augment_mean_gain) != 0)
            for (int row = 0; row < height; row++)
                for (int column = 0; column < width; column++) sum += records(c, column, row, record);
        const double mean = round(256 * sum / (width * height)) / 256;
        augmented(c, x, y, n) = round((word(augment_gain) * value + round(word(augment_mean_gain) * mean)) / 65536);
    });
}

void augment(const Shape &s, const Array &records, const Array &indices, const Array &augment, Array &augmented) {
    if (s.floats) return augment_by([](double value) { return value; }, 1, records, indices, augment, augmented);
    augment_by([](double value) { return std::floor(value + 0.5); }, 255, records, indices, augment, augmented);
    for (double &value : augmented.values) value = std::clamp(value, 0.0, 255.0);
}

void input_fwd(const Shape &s, const Call &call, const Array &images, const Array &indices, const Array &step, Array &output) {
    const std::uint32_t key = stream_key(word(step, step_seed), word(step, step_epoch), stream_flip);
    for_each_element(output, [&](int c, int x, int y, int n) {
        const std::uint32_t bits = philox2x32({word(step, step_position) + n, 0}, key)[0] & 0xFFFF;
        const bool flipped = bits < word(step, step_flip_threshold);
        output(c, x, y, n) = images(c, flipped ? output.extent(1) - 1 - x : x, y, int(indices(n)));
    });
    call.apply_chain("pixel", output);
    for (double &value : output.values) value = s.image_scale == 0 ? value / (s.floats ? 1 : 255) : value * s.image_scale + s.image_offset;
}

/// As Keras writes it, with its epsilon.
void normalization_fold(const Shape &s, const Array &mean, const Array &variance, Array &center, Array &factor) {
    for (int c = 0; c < s.in_c; c++) {
        const double deviation = std::sqrt(variance(c));
        center(c) = (mean(c) - s.image_offset) / s.image_scale;
        factor(c) = s.image_scale / (deviation < 1e-7 ? 1e-7 : deviation);
    }
}

void conv2d_fwd(const Shape &s, const Array &input, const Array &given_weights, const Array &bias, Array &output) {
    const Array weights = plain_weights(s, given_weights);
    for_each_element(output, [&](int k, int x, int y, int n) { output(k, x, y, n) = bias(k); });
    for_each_position(output, [&](int x, int y, int n) {
        for_each_tap(s, x, y, [&](int in_x, int in_y, int dx, int dy) {
            for_each_pair(s, [&](int k, int c, int from) { output(k, x, y, n) += weights(k, c, dx, dy) * input(from, in_x, in_y, n); });
        });
    });
}

void conv2d_fold(const Shape &s, const Array &weights, const Array &bias, const Array &scale, const Array &shift, Array &folded_weights,
                 Array &folded_bias) {
    folded_bias = bias;
    for_each_pair(s, [&](int k, int c, int from) {
        for (int dy = 0; dy < s.kernel_h; dy++)
            for (int dx = 0; dx < s.kernel_w; dx++) {
                folded_weights(k, c, dx, dy) = weights(k, c, dx, dy) * scale(from);
                folded_bias(k) += weights(k, c, dx, dy) * shift(from);
            }
    });
}

void conv2d_fold_output(const Shape &, const Array &weights, const Array &bias, const Array &scale, const Array &shift,
                        Array &folded_weights, Array &folded_bias) {
    for_each_element(weights, [&](int k, int c, int dx, int dy) { folded_weights(k, c, dx, dy) = weights(k, c, dx, dy) * scale(k); });
    for (int k = 0; k < bias.extent(0); k++) folded_bias(k) = bias(k) * scale(k) + shift(k);
}

void conv2d_fold_bwd(const Shape &s, const Array &weights, const Array &scale, const Array &shift, const Array &mean, const Array &inv_std,
                     const Array &d_folded_weights, const Array &d_bias, Array &d_weights, Array &d_gamma, Array &d_beta) {
    std::vector<double> d_scale(s.in_c, 0.0);
    clear(d_beta);
    for_each_pair(s, [&](int k, int c, int from) {
        for (int dy = 0; dy < s.kernel_h; dy++)
            for (int dx = 0; dx < s.kernel_w; dx++) {
                d_weights(k, c, dx, dy) = scale(from) * d_folded_weights(k, c, dx, dy) + shift(from) * d_bias(k);
                d_scale[from] += weights(k, c, dx, dy) * d_folded_weights(k, c, dx, dy);
                d_beta(from) += weights(k, c, dx, dy) * d_bias(k);
            }
    });
    for (int c = 0; c < s.in_c; c++) d_gamma(c) = (d_scale[c] - mean(c) * d_beta(c)) * inv_std(c);
}

/// G w G'
void winograd_weights(const Shape &s, const Array &weights, Array &transformed_weights) {
    const Matrix &g = winograd_tile(s.tile)->weights;
    clear(transformed_weights);
    for_each_element(transformed_weights, [&](int k, int c, int a, int b) {
        for (int dy = 0; dy < 3; dy++)
            for (int dx = 0; dx < 3; dx++) {
                const double coefficient = double(g[a][dx]) * double(g[b][dy]);
                if (coefficient != 0) transformed_weights(k, c, a, b) += coefficient * weights(k, c, dx, dy);  // 0 leaves NaN out too
            }
    });
}

void conv2d_bwd_data(const Shape &s, const Array &d_output, const Array &weights, Array &d_input) {
    clear(d_input);
    for_each_position(d_output, [&](int x, int y, int n) {
        for_each_tap(s, x, y, [&](int in_x, int in_y, int dx, int dy) {
            for_each_pair(s, [&](int k, int c, int from) { d_input(from, in_x, in_y, n) += weights(k, c, dx, dy) * d_output(k, x, y, n); });
        });
    });
}

void conv2d_bwd_weights(const Shape &s, const Array &input, const Array &d_output, Array &d_weights, Array &d_bias) {
    clear(d_weights);
    clear(d_bias);
    for_each_element(d_output, [&](int k, int x, int y, int n) { d_bias(k) += d_output(k, x, y, n); });
    for_each_position(d_output, [&](int x, int y, int n) {
        for_each_tap(s, x, y, [&](int in_x, int in_y, int dx, int dy) {
            for_each_pair(s, [&](int k, int c, int from) { d_weights(k, c, dx, dy) += input(from, in_x, in_y, n) * d_output(k, x, y, n); });
        });
    });
}

/// Values a channel has over the batch.
double population(const Array &input) { return double(input.values.size()) / input.extent(0); }

void batch_norm_stats(const Shape &s, const Array &input, const Array &gamma, const Array &beta, Array &mean, Array &inv_std, Array &scale,
                      Array &shift, Array &moving_mean, Array &moving_variance) {
    std::vector<double> variance(s.in_c, 0.0);
    clear(mean);
    for_each_element(input, [&](int c, int x, int y, int n) { mean(c) += input(c, x, y, n) / population(input); });
    for_each_element(input,
                     [&](int c, int x, int y, int n) { variance[c] += std::pow(input(c, x, y, n) - mean(c), 2) / population(input); });

    const double momentum = s.momentum, values = population(input);
    const double bias = s.unbiased ? values / std::max(values - 1, 1.0) : 1;
    for (int c = 0; c < s.in_c; c++) {
        inv_std(c) = 1 / std::sqrt(variance[c] + s.epsilon);
        scale(c) = gamma(c) * inv_std(c);
        shift(c) = beta(c) - mean(c) * scale(c);
        moving_mean(c) = moving_mean(c) * momentum + mean(c) * (1 - momentum);
        moving_variance(c) = moving_variance(c) * momentum + bias * variance[c] * (1 - momentum);
    }
}

void batch_norm_fold(const Shape &s, const Array &gamma, const Array &beta, const Array &moving_mean, const Array &moving_variance,
                     Array &scale, Array &shift) {
    for (int c = 0; c < s.in_c; c++) {
        scale(c) = gamma(c) / std::sqrt(moving_variance(c) + s.epsilon);
        shift(c) = beta(c) - moving_mean(c) * scale(c);
    }
}

/// What the statistics' scale and shift make of the input.
Array normalised(const Array &input, const Array &scale, const Array &shift) {
    Array output = input;
    for_each_element(output, [&](int c, int x, int y, int n) { output(c, x, y, n) = scale(c) * input(c, x, y, n) + shift(c); });
    return output;
}

void batch_norm_stats_fwd(const Shape &s, const Array &input, const Array &gamma, const Array &beta, Array &mean, Array &inv_std,
                          Array &scale, Array &shift, Array &moving_mean, Array &moving_variance, Array &output) {
    batch_norm_stats(s, input, gamma, beta, mean, inv_std, scale, shift, moving_mean, moving_variance);
    output = normalised(input, scale, shift);
}

void batch_norm_bwd_stats(const Shape &, const Array &d_output, const Array &input, const Array &mean, const Array &inv_std, Array &d_gamma,
                          Array &d_beta) {
    clear(d_gamma);
    clear(d_beta);
    for_each_element(input, [&](int c, int x, int y, int n) {
        d_gamma(c) += d_output(c, x, y, n) * (input(c, x, y, n) - mean(c)) * inv_std(c);
        d_beta(c) += d_output(c, x, y, n);
    });
}

void batch_norm_bwd(const Shape &s, const Array &d_output, const Array &input, const Array &gamma, const Array &mean, const Array &inv_std,
                    Array &d_gamma, Array &d_beta, Array &d_input) {
    batch_norm_bwd_stats(s, d_output, input, mean, inv_std, d_gamma, d_beta);
    for_each_element(input, [&](int c, int x, int y, int n) {
        d_input(c, x, y, n) =
            norm_gradient(d_output(c, x, y, n), input(c, x, y, n), gamma(c), mean(c), inv_std(c), d_gamma(c), d_beta(c), population(input));
    });
}

/// What `value(c, x, y, n)` is in the mean over each group of channels in each window.
template<typename Value>
Array group_means(const Shape &s, int images, Value value) {
    Array means({s.out_c / 2, s.out_w, s.out_h, images});
    const double count = double(s.in_c) / means.extent(0) * s.kernel_w * s.kernel_h;
    for_each_element(Array({s.in_c, s.in_w, s.in_h, images}), [&](int c, int x, int y, int n) {
        means(group_of(s, c), x / s.kernel_w, y / s.kernel_h, n) += value(c, x, y, n) / count;
    });
    return means;
}

/// Two values of each group side by side.
void put_groups(const Array &first, const Array &second, Array &both) {
    for_each_element(first, [&](int g, int x, int y, int n) {
        both(g, x, y, n) = first(g, x, y, n);
        both(first.extent(0) + g, x, y, n) = second(g, x, y, n);
    });
}

void group_norm_stats(const Shape &s, const Array &input, Array &statistics) {
    const int images = input.extent(3);
    const Array mean = group_means(s, images, [&](int c, int x, int y, int n) { return input(c, x, y, n); });
    Array deviation = group_means(
        s, images, [&](int c, int x, int y, int n) { return std::pow(input(c, x, y, n) - group_value(s, mean, 0, c, x, y, n), 2); });
    for (double &value : deviation.values) value = 1 / std::sqrt(value + s.epsilon);
    put_groups(mean, deviation, statistics);
}

void group_norm_fwd(const Shape &s, const Array &input, const Array &statistics, const Array &gamma, const Array &beta, Array &output) {
    for_each_element(output, [&](int c, int x, int y, int n) {
        output(c, x, y, n) = gamma(c) * group_normalised(s, input, statistics, c, x, y, n) + beta(c);
    });
}

void group_norm_bwd_weights(const Shape &s, const Array &d_output, const Array &input, const Array &statistics, Array &d_gamma,
                            Array &d_beta) {
    clear(d_gamma);
    clear(d_beta);
    for_each_element(input, [&](int c, int x, int y, int n) {
        d_gamma(c) += d_output(c, x, y, n) * group_normalised(s, input, statistics, c, x, y, n);
        d_beta(c) += d_output(c, x, y, n);
    });
}

void group_norm_bwd_unit_weights(const Shape &s, const Array &d_output, const Array &input, const Array &statistics, Array &d_gamma,
                                 Array &d_beta) {
    clear(d_gamma);
    clear(d_beta);
    for_each_element(input, [&](int c, int x, int y, int n) {
        d_gamma(c, x, y) += d_output(c, x, y, n) * group_normalised(s, input, statistics, c, x, y, n);
        d_beta(c, x, y) += d_output(c, x, y, n);
    });
}

void group_norm_bwd_means(const Shape &s, const Array &d_output, const Array &input, const Array &statistics, const Array &gamma,
                          Array &means) {
    const auto gradient = [&](int c, int x, int y, int n) { return gamma(c) * d_output(c, x, y, n); };
    const Array of_gradient = group_means(s, input.extent(3), gradient);
    const Array of_product = group_means(s, input.extent(3), [&](int c, int x, int y, int n) {
        return gradient(c, x, y, n) * group_normalised(s, input, statistics, c, x, y, n);
    });
    put_groups(of_gradient, of_product, means);
}

void group_norm_bwd_data(const Shape &s, const Array &d_output, const Array &input, const Array &statistics, const Array &means,
                         const Array &gamma, Array &d_input) {
    for_each_element(d_input, [&](int c, int x, int y, int n) {
        const double through_statistics = group_value(s, means, 0, c, x, y, n) +
                                          group_normalised(s, input, statistics, c, x, y, n) * group_value(s, means, 1, c, x, y, n);
        d_input(c, x, y, n) = group_value(s, statistics, 1, c, x, y, n) * (gamma(c) * d_output(c, x, y, n) - through_statistics);
    });
}

void prelu_bwd_alpha(const Shape &, const Array &d_output, const Array &input, Array &d_alpha) {
    clear(d_alpha);
    for_each_element(input, [&](int c, int x, int y, int n) {
        const double value = input(c, x, y, n);
        d_alpha(c) += d_output(c, x, y, n) * (value > 0 ? 0 : value);
    });
}

void prelu_bwd_unit_alpha(const Shape &, const Array &d_output, const Array &input, Array &d_alpha) {
    clear(d_alpha);
    for_each_element(input, [&](int c, int x, int y, int n) {
        const double value = input(c, x, y, n);
        d_alpha(c, x, y) += d_output(c, x, y, n) * (value > 0 ? 0 : value);
    });
}

/// The weight that a unit shares.
double &shared_by(Array &shared, int c, int x, int y) { return shared(c % shared.extent(0), x % shared.extent(1), y % shared.extent(2)); }

void shared_weights(const Shape &, const Array &shared, Array &units) {
    Array weights = shared;
    for_each_element(units, [&](int c, int x, int y, int) { units(c, x, y) = shared_by(weights, c, x, y); });
}

void shared_weights_bwd(const Shape &, const Array &d_units, Array &d_shared) {
    clear(d_shared);
    for_each_element(d_units, [&](int c, int x, int y, int) { shared_by(d_shared, c, x, y) += d_units(c, x, y); });
}

/// A value as it is compared with others: NaN counts as infinity.
double comparable(double value) { return std::isnan(value) ? std::numeric_limits<double>::infinity() : value; }

void max_pool2d_fwd(const Shape &s, const Array &input, Array &output) {
    for_each_element(output, [&](int c, int x, int y, int n) {
        double largest = -std::numeric_limits<double>::infinity();
        for_each_tap(s, x, y, [&](int in_x, int in_y, int, int) {
            const double value = input(c, in_x, in_y, n);
            largest = std::isnan(largest) || std::isnan(value) ? not_a_number : std::max(largest, value);
        });
        output(c, x, y, n) = largest;
    });
}

void max_pool2d_bwd(const Shape &s, const Array &d_output, const Array &input, Array &d_input) {
    clear(d_input);
    for_each_element(d_output, [&](int c, int x, int y, int n) {
        double largest = -std::numeric_limits<double>::infinity();
        double *winner = nullptr;
        for_each_tap(s, x, y, [&](int in_x, int in_y, int, int) {
            if (winner && comparable(input(c, in_x, in_y, n)) <= largest) return;
            largest = comparable(input(c, in_x, in_y, n));
            winner = &d_input(c, in_x, in_y, n);
        });
        *winner += d_output(c, x, y, n);
    });
}

/// Calls `visit(in_x, in_y, share)` for every tap inside the input of the window of output (x, y), with its share of a mean.
template<typename Visit>
void for_each_share(const Shape &s, int x, int y, Visit visit) {
    double taps = 0;
    for_each_tap(s, x, y, [&](int, int, int, int) { taps++; });
    for_each_tap(s, x, y, [&](int in_x, int in_y, int, int) { visit(in_x, in_y, 1 / taps); });
}

void average_pool2d_fwd(const Shape &s, const Array &input, Array &output) {
    clear(output);
    for_each_element(output, [&](int c, int x, int y, int n) {
        for_each_share(s, x, y, [&](int in_x, int in_y, double share) { output(c, x, y, n) += share * input(c, in_x, in_y, n); });
    });
}

void average_pool2d_bwd(const Shape &s, const Array &d_output, Array &d_input) {
    clear(d_input);
    for_each_element(d_output, [&](int c, int x, int y, int n) {
        for_each_share(s, x, y, [&](int in_x, int in_y, double share) { d_input(c, in_x, in_y, n) += share * d_output(c, x, y, n); });
    });
}

void window_sum2d_fwd(const Shape &s, const Array &input, Array &output) {
    clear(output);
    for_each_element(output, [&](int c, int x, int y, int n) {
        for_each_tap(s, x, y, [&](int in_x, int in_y, int, int) { output(c, x, y, n) += input(c, in_x, in_y, n); });
    });
}

void window_sum2d_bwd(const Shape &s, const Array &d_output, Array &d_input) {
    clear(d_input);
    for_each_element(d_output, [&](int c, int x, int y, int n) {
        for_each_tap(s, x, y, [&](int in_x, int in_y, int, int) { d_input(c, in_x, in_y, n) += d_output(c, x, y, n); });
    });
}

void concatenate(const Shape &, const Array &first, const Array &second, Array &output) {
    const int channels = first.extent(0);
    for_each_element(
        output, [&](int c, int x, int y, int n) { output(c, x, y, n) = c < channels ? first(c, x, y, n) : second(c - channels, x, y, n); });
}

void first_channels(const Shape &, const Array &d_output, Array &d_input) {
    for_each_element(d_input, [&](int c, int x, int y, int n) { d_input(c, x, y, n) = d_output(c, x, y, n); });
}

void last_channels(const Shape &, const Array &d_output, Array &d_input) {
    const int others = d_output.extent(0) - d_input.extent(0);
    for_each_element(d_input, [&](int c, int x, int y, int n) { d_input(c, x, y, n) = d_output(others + c, x, y, n); });
}

void batch_norm_stats_pool_fwd(const Shape &s, const Call &call, const Array &input, const Array &gamma, const Array &beta, Array &mean,
                               Array &inv_std, Array &scale, Array &shift, Array &moving_mean, Array &moving_variance, Array &output) {
    batch_norm_stats(s, input, gamma, beta, mean, inv_std, scale, shift, moving_mean, moving_variance);
    Array compared = normalised(input, scale, shift);
    call.apply_chain("normalised", compared);
    max_pool2d_fwd(s, compared, output);
}

void conv2d_pool_fwd(const Shape &s, const Call &call, const Array &input, const Array &weights, const Array &bias, Array &output) {
    Array convolution({s.out_c, s.out_w, s.out_h, input.extent(3)});
    conv2d_fwd(s, input, weights, bias, convolution);
    call.apply_chain("convolution", convolution);
    max_pool2d_fwd(s.pool(), convolution, output);
}

/// The gradient of what the pool compares.
Array through_pool(const Shape &s, const Array &d_output, const Array &compared) {
    Array d_compared = compared;
    max_pool2d_bwd(s, d_output, compared, d_compared);
    return d_compared;
}

void batch_norm_pool_bwd_stats(const Shape &s, const Call &call, const Array &d_output, const Array &compared, const Array &mean,
                               const Array &inv_std, Array &d_gamma, Array &d_beta) {
    batch_norm_bwd_stats(s, through_pool(s, d_output, compared), call["input"], mean, inv_std, d_gamma, d_beta);
}

void batch_norm_pool_bwd(const Shape &s, const Call &call, const Array &d_output, const Array &compared, const Array &gamma,
                         const Array &mean, const Array &inv_std, Array &d_gamma, Array &d_beta, Array &d_input) {
    batch_norm_bwd(s, through_pool(s, d_output, compared), call["input"], gamma, mean, inv_std, d_gamma, d_beta, d_input);
}

void conv2d_pool_bwd_weights(const Shape &s, const Call &call, const Array &input, const Array &d_output, const Array &compared,
                             Array &d_weights, Array &d_bias) {
    Array d_convolution = through_pool(s.pool(), d_output, compared);
    call.apply_chain("d_convolution", d_convolution);
    conv2d_bwd_weights(s, input, d_convolution, d_weights, d_bias);
}

void pointwise(const Shape &, const Array &input, Array &output) { output.values = input.values; }

void softmax_fwd(const Shape &, const Array &input, Array &output) {
    for_each_position(input, [&](int x, int y, int n) {
        double largest = -std::numeric_limits<double>::infinity(), sum = 0;
        for (int c = 0; c < input.extent(0); c++) largest = std::max(largest, comparable(input(c, x, y, n)));
        for (int c = 0; c < input.extent(0); c++) sum += std::exp(input(c, x, y, n) - largest);
        for (int c = 0; c < input.extent(0); c++)
            output(c, x, y, n) = std::isfinite(largest) ? std::exp(input(c, x, y, n) - largest) / sum : not_a_number;
    });
}

void softmax_bwd(const Shape &, const Array &d_output, const Array &output, Array &d_input) {
    for_each_position(output, [&](int x, int y, int n) {
        double sum = 0;
        for (int c = 0; c < output.extent(0); c++) sum += output(c, x, y, n) * d_output(c, x, y, n);
        for (int c = 0; c < output.extent(0); c++) d_input(c, x, y, n) = output(c, x, y, n) * (d_output(c, x, y, n) - sum);
    });
}

void softmax_cross_entropy_fwd(const Shape &s, const Array &logits, const Array &labels, const Array &indices, const Array &step,
                               Array &probabilities, Array &loss, Array &correct) {
    const int classes = logits.extent(0);
    const double smoothing = s.label_smoothing;
    for (int n = 0; n < logits.extent(3); n++) {
        int first_largest = 0;
        for (int c = 0; c < logits.extent(0); c++)
            if (comparable(logits(c, 0, 0, n)) > comparable(logits(first_largest, 0, 0, n))) first_largest = c;

        double sum = 0;
        for (int c = 0; c < logits.extent(0); c++) sum += std::exp(logits(c, 0, 0, n) - logits(first_largest, 0, 0, n));
        for (int c = 0; c < logits.extent(0); c++)
            probabilities(c, 0, 0, n) = std::exp(logits(c, 0, 0, n) - logits(first_largest, 0, 0, n)) / sum;

        const int label = int(labels(int(indices(n))));
        const double weight = label < classes ? real(step, class_weight(step.extent(0), classes, label)) : not_a_number;
        const double log_sum = std::log(sum) + logits(first_largest, 0, 0, n);
        loss(n) = (1 - smoothing) * (log_sum - logits(std::min(label, classes - 1), 0, 0, n));
        if (smoothing > 0)
            for (int c = 0; c < classes; c++) loss(n) += smoothing / classes * (log_sum - logits(c, 0, 0, n));
        loss(n) *= weight;
        correct(n) = label == first_largest;
    }
}

void softmax_cross_entropy(const Shape &s, const Array &logits, const Array &labels, const Array &indices, const Array &step,
                           Array &probabilities, Array &loss, Array &correct, Array &d_logits) {
    softmax_cross_entropy_fwd(s, logits, labels, indices, step, probabilities, loss, correct);
    for_each_element(d_logits, [&](int c, int x, int y, int n) {
        d_logits(c, x, y, n) =
            one_hot_gradient(probabilities(c, x, y, n), c, int(labels(int(indices(n)))), d_logits.extent(0), step, s.label_smoothing);
    });
}

void conv2d_softmax_cross_entropy(const Shape &s, const Array &input, const Array &weights, const Array &bias, const Array &labels,
                                  const Array &indices, const Array &step, Array &probabilities, Array &loss, Array &correct,
                                  Array &d_logits) {
    Array logits = probabilities;
    conv2d_fwd(s, input, weights, bias, logits);
    softmax_cross_entropy(s, logits, labels, indices, step, probabilities, loss, correct, d_logits);
}

/// The class of an image's first largest target.
int class_by(const Array &targets, int record) {
    int first_largest = 0;
    for (int c = 0; c < targets.extent(0); c++)
        if (comparable(targets(c, record)) > comparable(targets(first_largest, record))) first_largest = c;
    return first_largest;
}

double smoothed_share(const Shape &s, const Array &targets, int c, int record) {
    const double smoothing = s.label_smoothing;
    return targets(c, record) * (1 - smoothing) + smoothing / s.in_c;
}

void categorical_cross_entropy_fwd(const Shape &s, const Array &logits, const Array &targets, const Array &indices, const Array &step,
                                   Array &probabilities, Array &loss, Array &correct) {
    softmax_fwd(s, logits, probabilities);
    for (int n = 0; n < logits.extent(3); n++) {
        const int record = int(indices(n)), label = class_by(targets, record);
        double largest = -std::numeric_limits<double>::infinity(), sum = 0;
        int predicted = 0;
        for (int c = 0; c < s.in_c; c++)
            if (const double logit = comparable(logits(c, 0, 0, n)); logit > largest) largest = logit, predicted = c;
        for (int c = 0; c < s.in_c; c++) sum += std::exp(logits(c, 0, 0, n) - largest);
        loss(n) = 0;
        for (int c = 0; c < s.in_c; c++) loss(n) += smoothed_share(s, targets, c, record) * (std::log(sum) + largest - logits(c, 0, 0, n));
        loss(n) *= real(step, class_weight(step.extent(0), s.in_c, label));
        correct(n) = label == predicted;
    }
}

void categorical_cross_entropy_bwd(const Shape &s, const Array &probabilities, const Array &targets, const Array &indices,
                                   const Array &step, Array &d_logits) {
    for_each_element(d_logits, [&](int c, int x, int y, int n) {
        const int record = int(indices(n));
        double total = 0;
        for (int other = 0; other < s.in_c; other++) total += smoothed_share(s, targets, other, record);
        const double weight = real(step, class_weight(step.extent(0), s.in_c, class_by(targets, record)));
        d_logits(c, x, y, n) =
            (probabilities(c, x, y, n) * total - smoothed_share(s, targets, c, record)) * weight * real(step, step_inverse_batch);
    });
}

void sigmoid_cross_entropy_fwd(const Shape &s, const Array &logits, const Array &labels, const Array &indices, const Array &step,
                               Array &probabilities, Array &loss, Array &correct) {
    for (int n = 0; n < logits.extent(3); n++) {
        const double logit = logits(0, 0, 0, n);
        const int label = int(labels(int(indices(n))));
        const double weight = label < 2 ? real(step, class_weight(step.extent(0), 2, label)) : not_a_number;
        probabilities(0, 0, 0, n) = sigmoid(-logit), probabilities(1, 0, 0, n) = sigmoid(logit);
        const double off = std::isfinite(logit) ? (label == 1 ? -logit : logit) : not_a_number;
        loss(n) = weight * (std::max(off, 0.0) + std::log1p(std::exp(-std::abs(off))) - s.label_smoothing / 2 * off);
        correct(n) = label == (comparable(logit) > 0);
    }
}

void binary_cross_entropy_fwd(const Shape &s, const Array &logits, const Array &targets, const Array &indices, Array &predicted,
                              Array &loss, Array &metric) {
    const int units = logits.extent(0);
    clear(loss), clear(metric);
    for (int n = 0; n < logits.extent(3); n++)
        for (int c = 0; c < units; c++) {
            const double logit = std::isfinite(logits(c, 0, 0, n)) ? logits(c, 0, 0, n) : not_a_number,
                         target = targets(c, int(indices(n)));
            const double smoothed = target * (1 - s.label_smoothing) + 0.5 * s.label_smoothing;
            predicted(c, 0, 0, n) = sigmoid(logit);
            loss(n) += (std::max(logit, 0.0) - smoothed * logit + std::log1p(std::exp(-std::abs(logit)))) / units;
            metric(n) += double(target == (comparable(logits(c, 0, 0, n)) > 0)) / units;
        }
}

void squared_error_fwd(const Shape &, const Array &values, const Array &targets, const Array &indices, Array &predicted, Array &loss,
                       Array &metric) {
    const int units = values.extent(0);
    predicted.values = values.values;
    clear(loss), clear(metric);
    for (int n = 0; n < values.extent(3); n++)
        for (int c = 0; c < units; c++) {
            const double difference = values(c, 0, 0, n) - targets(c, int(indices(n)));
            loss(n) += difference * difference / units;
            metric(n) += std::abs(difference) / units;
        }
}

using CoreOracle = void (*)(const Call &, std::vector<Array> &arguments);

/// `function` with its arguments as one list: the shape, perhaps the call for its chains between, inputs and outputs.
template<auto function, typename... Arguments>
void call_listed(void (*)(const Shape &, Arguments...), const Call &call, std::vector<Array> &arguments) {
    [&]<std::size_t... i>(std::index_sequence<i...>) { function(call.kernel().shape, arguments.at(i)...); }
    (std::make_index_sequence<sizeof...(Arguments)>());
}
template<auto function, typename... Arguments>
void call_listed(void (*)(const Shape &, const Call &, Arguments...), const Call &call, std::vector<Array> &arguments) {
    [&]<std::size_t... i>(std::index_sequence<i...>) { function(call.kernel().shape, call, arguments.at(i)...); }
    (std::make_index_sequence<sizeof...(Arguments)>());
}
template<auto function>
void listed(const Call &call, std::vector<Array> &arguments) {
    call_listed<function>(function, call, arguments);
}

void optimizer(const Call &call, std::vector<Array> &arguments) { update(find_optimizer(call.kernel().core), arguments); }

CoreOracle find_oracle(std::string_view core) {
    static const std::map<std::string, CoreOracle, std::less<>> oracles = {
        {"augment", listed<augment>},
        {"input_fwd", listed<input_fwd>},
        {"normalization_fold", listed<normalization_fold>},
        {"conv2d_fwd", listed<conv2d_fwd>},
        {"conv2d_pool_fwd", listed<conv2d_pool_fwd>},
        {"conv2d_softmax_cross_entropy", listed<conv2d_softmax_cross_entropy>},
        {"conv2d_fold", listed<conv2d_fold>},
        {"conv2d_fold_output", listed<conv2d_fold_output>},
        {"conv2d_fold_bwd", listed<conv2d_fold_bwd>},
        {"winograd_weights", listed<winograd_weights>},
        {"conv2d_bwd_data", listed<conv2d_bwd_data>},
        {"conv2d_bwd_weights", listed<conv2d_bwd_weights>},
        {"conv2d_pool_bwd_weights", listed<conv2d_pool_bwd_weights>},
        {"pointwise", listed<pointwise>},
        {"pointwise_weights", listed<pointwise>},
        {"batch_norm_stats", listed<batch_norm_stats>},
        {"batch_norm_stats_fwd", listed<batch_norm_stats_fwd>},
        {"batch_norm_stats_pool_fwd", listed<batch_norm_stats_pool_fwd>},
        {"batch_norm_fold", listed<batch_norm_fold>},
        {"batch_norm_bwd_stats", listed<batch_norm_bwd_stats>},
        {"batch_norm_bwd", listed<batch_norm_bwd>},
        {"batch_norm_pool_bwd_stats", listed<batch_norm_pool_bwd_stats>},
        {"batch_norm_pool_bwd", listed<batch_norm_pool_bwd>},
        {"group_norm_stats", listed<group_norm_stats>},
        {"group_norm_fwd", listed<group_norm_fwd>},
        {"group_norm_bwd_weights", listed<group_norm_bwd_weights>},
        {"group_norm_bwd_unit_weights", listed<group_norm_bwd_unit_weights>},
        {"group_norm_bwd_means", listed<group_norm_bwd_means>},
        {"group_norm_bwd_data", listed<group_norm_bwd_data>},
        {"prelu_bwd_alpha", listed<prelu_bwd_alpha>},
        {"prelu_bwd_unit_alpha", listed<prelu_bwd_unit_alpha>},
        {"shared_weights", listed<shared_weights>},
        {"shared_weights_bwd", listed<shared_weights_bwd>},
        {"max_pool2d_fwd", listed<max_pool2d_fwd>},
        {"max_pool2d_bwd", listed<max_pool2d_bwd>},
        {"average_pool2d_fwd", listed<average_pool2d_fwd>},
        {"average_pool2d_bwd", listed<average_pool2d_bwd>},
        {"window_sum2d_fwd", listed<window_sum2d_fwd>},
        {"window_sum2d_bwd", listed<window_sum2d_bwd>},
        {"concatenate", listed<concatenate>},
        {"first_channels", listed<first_channels>},
        {"last_channels", listed<last_channels>},
        {"softmax_fwd", listed<softmax_fwd>},
        {"softmax_bwd", listed<softmax_bwd>},
        {"softmax_cross_entropy_fwd", listed<softmax_cross_entropy_fwd>},
        {"softmax_cross_entropy", listed<softmax_cross_entropy>},
        {"categorical_cross_entropy_fwd", listed<categorical_cross_entropy_fwd>},
        {"categorical_cross_entropy_bwd", listed<categorical_cross_entropy_bwd>},
        {"sigmoid_cross_entropy_fwd", listed<sigmoid_cross_entropy_fwd>},
        {"binary_cross_entropy_fwd", listed<binary_cross_entropy_fwd>},
        {"squared_error_fwd", listed<squared_error_fwd>},
    };
    if (std::ranges::find(all_optimizers(), core, &Optimizer::name) != all_optimizers().end()) return optimizer;
    const auto found = oracles.find(core);
    if (found == oracles.end()) throw std::invalid_argument(fmt::format("the core \"{}\" has no oracle in tests/kernels/oracle.cpp", core));
    return found->second;
}

}  // namespace

Call::Call(const Kernel &kernel, const std::vector<Array> &arguments) : kernel_(kernel) {
    const std::vector<KernelArgument> named = arguments_of(kernel);
    for (std::size_t i = 0; i < named.size(); i++) arrays_.emplace(named[i].name, arguments.at(i));
}

Array Call::chained(const std::string &input) const {
    Array values = arrays_.at(input);
    apply_chain(input, values);
    return values;
}

Call::Operands Call::operands(const std::string &place, int link) const {
    const Chain &chain = kernel_.chain(place);
    Operands operands{chain[link], {}};
    for (const RowOperand &operand : find_row(chain[link].row).operands) {
        const bool is_other = operand.beside == Beside::element && chain[link].same_as >= 0;
        const std::string name = is_other ? arguments_of(kernel_)[chain[link].same_as].name : operand_name(kernel_, place, link, operand);
        operands.arrays.emplace_back(OperandName(operand.name), &arrays_.at(name));
    }
    return operands;
}

void Call::apply_chain(const std::string &place, Array &values) const {
    for (int i = 0; i < int(kernel_.chain(place).size()); i++) apply_row(operands(place, i), values);
}

void Call::run_core() {
    std::vector<Array> of_core;
    for (const Argument &input : kernel_.of().inputs) of_core.push_back(chained(input.name));
    for (const Argument &output : kernel_.of().outputs) of_core.push_back(arrays_.at(output.name));
    find_oracle(kernel_.core)(*this, of_core);
    for (std::size_t i = 0; i < kernel_.of().outputs.size(); i++)
        arrays_.at(kernel_.of().outputs[i].name) = of_core[kernel_.of().inputs.size() + i];
}

void Call::finish() {
    for (const Argument &output : kernel_.of().outputs) apply_chain(output.name, arrays_.at(output.name));
}

std::vector<Array> Call::arguments() const {
    std::vector<Array> arguments;
    for (const KernelArgument &argument : arguments_of(kernel_)) arguments.push_back(arrays_.at(argument.name));
    return arguments;
}

void compute(const Kernel &kernel, std::vector<Array> &arguments) {
    Call call(kernel, arguments);
    call.run_core();
    call.finish();
    arguments = call.arguments();
}

void compute(std::string_view core, const Shape &shape, std::vector<Array> &arguments) {
    compute(Kernel{std::string(core), shape}, arguments);
}

}  // namespace halcyon::oracle
