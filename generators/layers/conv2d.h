// Convolution: what its three kernels compute. How they are computed on a target is in schedules/.
//
// Activations are (channel, column, row, image). Weights are (k, c, dx, dy): k counts output channels, c input channels, which in memory is
// Keras's (height, width, in, out). A dense layer is the convolution whose window covers its whole input. Of channels in groups, c counts
// those of one group.
#pragma once

#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// The input channel that is channel `c` of the group of output channel `k`.
inline Halide::Expr input_channel(const Halide::Expr &k, const Halide::Expr &c, const Shape &s) {
    return s.groups == 1 ? c : k / s.group_out() * s.group_in() + c;
}

/// The output channel that is channel `k` of the group of input channel `c`.
inline Halide::Expr output_channel(const Halide::Expr &c, const Halide::Expr &k, const Shape &s) {
    return s.groups == 1 ? k : c / s.group_in() * s.group_out() + k;
}

/// Which of its group's input channels `c` is.
inline Halide::Expr channel_in_group(const Halide::Expr &c, const Shape &s) { return s.groups == 1 ? c : c % s.group_in(); }

/// output(k, x, y, n) = bias(k) + sum over c, dx, dy of weights(k, c, dx, dy) * input(c, x * stride + dx * dilation - pad, ..., n).
/// Taps outside the input are left out.
struct Conv2dForward {
    Halide::Var k{"k"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom taps;  // c, dx, dy
    Halide::Func sum{"sum"}, output{"output"};

    Conv2dForward(const Halide::Func &input, const Halide::Func &weights, const Halide::Func &bias, const Shape &s)
        : taps(0, s.group_in(), 0, s.kernel_w, 0, s.kernel_h, "taps") {
        Halide::Expr in_x = x * s.stride_w + taps.y * s.dilation_w - s.pad_left;
        Halide::Expr in_y = y * s.stride_h + taps.z * s.dilation_h - s.pad_top;
        if (s.padded()) {
            taps.where(in_x >= 0 && in_x < s.in_w && in_y >= 0 && in_y < s.in_h);
            in_x = clamp(in_x, 0, s.in_w - 1);
            in_y = clamp(in_y, 0, s.in_h - 1);
        }
        sum(k, x, y, n) = bias(k);
        sum(k, x, y, n) += weights(k, taps.x, taps.y, taps.z) * input(input_channel(k, taps.x, s), in_x, in_y, n);
        output(k, x, y, n) = sum(k, x, y, n);
    }
};

/// The weights and bias with which a convolution of `input`, without padding, is that of scale * input + shift.
struct Conv2dFold {
    Halide::Var k{"k"}, c{"c"}, dx{"dx"}, dy{"dy"};
    Halide::RDom taps;                // c, dx, dy
    Halide::Func shifted{"shifted"};  // the bias with what the shift adds
    Halide::Func folded_weights{"folded_weights"}, folded_bias{"folded_bias"};

    Conv2dFold(const Halide::Func &weights, const Halide::Func &bias, const Halide::Func &scale, const Halide::Func &shift, const Shape &s)
        : taps(0, s.group_in(), 0, s.kernel_w, 0, s.kernel_h, "taps") {
        folded_weights(k, c, dx, dy) = weights(k, c, dx, dy) * scale(input_channel(k, c, s));
        shifted(k) = bias(k);
        shifted(k) += weights(k, taps.x, taps.y, taps.z) * shift(input_channel(k, taps.x, s));
        folded_bias(k) = shifted(k);
    }
};

/// The weights and bias with which a convolution is scale * its output + shift.
struct Conv2dFoldOutput {
    Halide::Var k{"k"}, c{"c"}, dx{"dx"}, dy{"dy"};
    Halide::Func folded_weights{"folded_weights"}, folded_bias{"folded_bias"};

    Conv2dFoldOutput(const Halide::Func &weights, const Halide::Func &bias, const Halide::Func &scale, const Halide::Func &shift) {
        folded_weights(k, c, dx, dy) = weights(k, c, dx, dy) * scale(k);
        folded_bias(k) = bias(k) * scale(k) + shift(k);
    }
};

/// The gradients of what Conv2dFold made its weights and bias of, in training, where the scale and shift come from a batch norm's gamma,
/// beta and statistics: with d_scale = sum of weights * d_folded_weights and d_shift = sum of weights * d_bias, of an input channel,
///   d_weights = scale * d_folded_weights + shift * d_bias, d_gamma = (d_scale - mean * d_shift) * inv_std, d_beta = d_shift.
/// They are sums over weights of what would be sums over pixels: every tap meets every output, so that a channel's normalised values enter
/// the batch norm's own sums through the same products.
struct Conv2dFoldBackward {
    Halide::Var k{"k"}, c{"c"}, dx{"dx"}, dy{"dy"};
    Halide::RDom taps;          // k of the group, dx, dy
    Halide::Func sums{"sums"};  // d_scale, d_shift
    Halide::Func d_weights{"d_weights"}, d_gamma{"d_gamma"}, d_beta{"d_beta"};

    Conv2dFoldBackward(const Halide::Func &weights, const Halide::Func &scale, const Halide::Func &shift, const Halide::Func &mean,
                       const Halide::Func &inv_std, const Halide::Func &d_folded_weights, const Halide::Func &d_bias, const Shape &s)
        : taps(0, s.group_out(), 0, s.kernel_w, 0, s.kernel_h, "taps") {
        const Halide::Expr channel = input_channel(k, c, s);
        d_weights(k, c, dx, dy) = scale(channel) * d_folded_weights(k, c, dx, dy) + shift(channel) * d_bias(k);
        const Halide::Expr from = output_channel(c, taps.x, s), in_group = channel_in_group(c, s);
        const Halide::Expr weight = weights(from, in_group, taps.y, taps.z);
        sums(c) = Halide::Tuple(0.0f, 0.0f);
        sums(c) = Halide::Tuple(sums(c)[0] + weight * d_folded_weights(from, in_group, taps.y, taps.z), sums(c)[1] + weight * d_bias(from));
        d_gamma(c) = (sums(c)[0] - mean(c) * sums(c)[1]) * inv_std(c);
        d_beta(c) = sums(c)[1];
    }
};

/// The gradient of the input: every output that a pixel took part in gives its gradient back through the same weight.
/// d_input(c, x, y, n) = sum over k, dx, dy of weights(k, c, dx, dy) * d_output(k, out_x, out_y, n) where out_x * stride + dx * dilation -
/// pad = x.
struct Conv2dBackwardData {
    Halide::Var c{"c"}, k{"k"}, x{"x"}, y{"y"}, n{"n"}, dx{"dx"}, dy{"dy"};
    Halide::RDom taps;                      // k of the group, dx, dy
    Halide::Func transposed{"transposed"};  // the weights with c, of all groups, innermost: what a vector of c reads
    Halide::Func sum{"sum"}, d_input{"d_input"};

    Conv2dBackwardData(const Halide::Func &d_output, const Halide::Func &weights, const Shape &s)
        : taps(0, s.group_out(), 0, s.kernel_w, 0, s.kernel_h, "taps") {
        const Halide::Expr from_x = x + s.pad_left - taps.y * s.dilation_w, from_y = y + s.pad_top - taps.z * s.dilation_h;
        const Halide::Expr out_x = from_x / s.stride_w, out_y = from_y / s.stride_h;
        taps.where(from_x % s.stride_w == 0 && out_x >= 0 && out_x < s.out_w);
        taps.where(from_y % s.stride_h == 0 && out_y >= 0 && out_y < s.out_h);
        transposed(c, k, dx, dy) = weights(output_channel(c, k, s), channel_in_group(c, s), dx, dy);
        sum(c, x, y, n) = 0.0f;
        sum(c, x, y, n) += transposed(c, taps.x, taps.y, taps.z) *
                           d_output(output_channel(c, taps.x, s), clamp(out_x, 0, s.out_w - 1), clamp(out_y, 0, s.out_h - 1), n);
        d_input(c, x, y, n) = sum(c, x, y, n);
    }
};

/// d_bias(k) = sum over x, y, n of d_output(k, x, y, n): first within each row, then over the rows in order.
struct BiasGradient {
    Halide::Var k{"k"}, y{"y"};
    Halide::RDom row_pixels;  // n, x
    Halide::RDom rows;        // y
    Halide::Func bias_rows{"bias_rows"}, d_bias{"d_bias"};

    BiasGradient(const Halide::Func &d_output, const Halide::Expr &images, const Shape &s)
        : row_pixels(0, images, 0, s.out_w, "row_pixels"), rows(0, s.out_h, "rows") {
        bias_rows(k, y) = 0.0f;
        bias_rows(k, y) += d_output(k, row_pixels.y, y, row_pixels.x);
        d_bias(k) = 0.0f;
        d_bias(k) += bias_rows(k, rows);
    }
};

/// The gradients of the weights and of the bias:
/// d_weights(k, c, dx, dy) = sum over x, y, n of d_output(k, x, y, n) * input(c, x * stride + dx * dilation - pad, ..., n).
struct Conv2dBackwardWeights : BiasGradient {
    Halide::Var c{"c"}, dx{"dx"}, dy{"dy"};
    Halide::RDom pixels;  // n, x, y
    Halide::Func d_weights{"d_weights"};

    Conv2dBackwardWeights(const Halide::Func &input, const Halide::Func &d_output, const Halide::Expr &images, const Shape &s)
        : BiasGradient(d_output, images, s), pixels(0, images, 0, s.out_w, 0, s.out_h, "pixels") {
        Halide::Expr in_x = pixels.y * s.stride_w + dx * s.dilation_w - s.pad_left;
        Halide::Expr in_y = pixels.z * s.stride_h + dy * s.dilation_h - s.pad_top;
        if (s.padded()) {
            pixels.where(in_x >= 0 && in_x < s.in_w && in_y >= 0 && in_y < s.in_h);
            in_x = clamp(in_x, 0, s.in_w - 1);
            in_y = clamp(in_y, 0, s.in_h - 1);
        }
        d_weights(k, c, dx, dy) = 0.0f;
        d_weights(k, c, dx, dy) += d_output(k, pixels.y, pixels.z, pixels.x) * input(input_channel(k, c, s), in_x, in_y, pixels.x);
    }
};

/// The same sums, first within each row of outputs, or `height` of them, then over those in order: where weights are few and pixels many, a
/// row's weights are small change and its pixels are read once. A column is a weight of each output channel, c innermost, or the bias,
/// whose input is 1.
struct Conv2dBackwardWeightsByRows {
    Halide::Var k{"k"}, c{"c"}, dx{"dx"}, dy{"dy"}, y{"y"}, column{"column"};
    Halide::RDom pixels;  // n, x, y within the row
    Halide::RDom rows;    // y
    Halide::Func row_sums{"row_sums"}, d_weights{"d_weights"}, d_bias{"d_bias"};

    Conv2dBackwardWeightsByRows(const Halide::Func &input, const Halide::Func &d_output, const Halide::Expr &images, const Shape &s,
                                int height = 1)
        : pixels(0, images, 0, s.out_w, 0, height, "pixels"), rows(0, divide_up(s.out_h, height), "rows") {
        Halide::Expr out_y = y * height + pixels.z;
        if (s.out_h % height) {
            pixels.where(out_y < s.out_h);
            out_y = min(out_y, s.out_h - 1);
        }
        const int channels = s.group_in(), bias = channels * s.kernel_w * s.kernel_h;
        const Halide::Expr tap = min(column, bias - 1) / channels;
        const Halide::Expr in_x = pixels.y * s.stride_w + tap % s.kernel_w * s.dilation_w - s.pad_left,
                           in_y = out_y * s.stride_h + tap / s.kernel_w * s.dilation_h - s.pad_top;
        Halide::Expr value =
            input(input_channel(k, column % channels, s), clamp(in_x, 0, s.in_w - 1), clamp(in_y, 0, s.in_h - 1), pixels.x);
        if (s.padded()) value = select(in_x >= 0 && in_x < s.in_w && in_y >= 0 && in_y < s.in_h, value, 0.0f);

        row_sums(k, column, y) = 0.0f;
        row_sums(k, column, y) += d_output(k, pixels.y, out_y, pixels.x) * select(column < bias, value, column == bias, 1.0f, 0.0f);
        d_weights(k, c, dx, dy) = 0.0f;
        d_weights(k, c, dx, dy) += row_sums(k, c + channels * (dx + s.kernel_w * dy), rows);
        d_bias(k) = 0.0f;
        d_bias(k) += row_sums(k, bias, rows);
    }
};

}  // namespace halcyon
