// The sizes a kernel is compiled for. Plain C++: the planner reads it as well as the schedules.
#pragma once

#include "plan/divisors.h"

#include <compare>
#include <vector>

namespace halcyon {

/// One kernel's sizes and compile-time constants. A kernel reads the fields its algorithm names and leaves the
/// others at their defaults.
struct Shape {
    // The activations the layer reads and writes: rows, columns, channels.
    int in_h = 1, in_w = 1, in_c = 1;
    int out_h = 1, out_w = 1, out_c = 1;

    // The window of a convolution or pool. Padding is what lies above and left; below and right follow from the extents.
    int kernel_h = 1, kernel_w = 1;
    int stride_h = 1, stride_w = 1;
    int pad_top = 0, pad_left = 0;

    // The distance between a convolution's taps.
    int dilation_h = 1, dilation_w = 1;

    // A convolution's channels in equal groups: the outputs of each are made of its inputs alone.
    int groups = 1;

    // The max pool fused behind a convolution, over its out_h x out_w outputs: its window, likewise, and its own outputs.
    int pool_h = 1, pool_w = 1;
    int pool_stride_h = 1, pool_stride_w = 1;
    int pool_pad_top = 0, pool_pad_left = 0;
    int pooled_h = 1, pooled_w = 1;

    // The weights are given in the transformed domain of Winograd's F(tile x tile, 3 x 3), tile 2 or 4; 0: as they are.
    int tile = 0;

    // The batch, where a kernel is compiled for that many images alone; 0: a run-time extent, any number from 1 up.
    int batch = 0;

    // Elements of a parameter slab, for the optimizers.
    int elements = 0;

    // 1: the records of the data set are float32, not bytes.
    int floats = 0;

    // What the layers at the beginning of the model make of an image's values x: image_scale x + image_offset. Scale 0: there is none;
    // bytes are then divided by 255, floats stay as they are.
    float image_scale = 0, image_offset = 0;

    // The share of an image's label that a loss spreads over all classes.
    float label_smoothing = 0;

    // Batch normalisation's constants, as Keras defines them.
    float epsilon = 0, momentum = 0;

    // 1: the moving variance takes the batch's unbiased variance, as PyTorch's does; 0: the biased one.
    int unbiased = 0;

    auto operator<=>(const Shape &) const = default;

    /// The max pool fused behind, as a layer of its own.
    Shape pool() const {
        Shape s;
        s.in_h = out_h, s.in_w = out_w, s.in_c = out_c;
        s.out_h = pooled_h, s.out_w = pooled_w, s.out_c = out_c;
        s.kernel_h = pool_h, s.kernel_w = pool_w, s.stride_h = pool_stride_h, s.stride_w = pool_stride_w;
        s.pad_top = pool_pad_top, s.pad_left = pool_pad_left;
        return s;
    }

    /// A convolution's own shape with `pool` fused behind.
    Shape with_pool(const Shape &pool) const {
        Shape s = *this;
        s.pool_h = pool.kernel_h, s.pool_w = pool.kernel_w, s.pool_stride_h = pool.stride_h, s.pool_stride_w = pool.stride_w;
        s.pool_pad_top = pool.pad_top, s.pool_pad_left = pool.pad_left;
        s.pooled_h = pool.out_h, s.pooled_w = pool.out_w;
        return s;
    }

    /// The convolution that makes of the gradient of this one's outputs that of its inputs, where the stride is 1: with the window turned
    /// round, over padding enough that every input meets all outputs it took part in.
    Shape backward_data() const {
        Shape s = *this;
        s.in_h = out_h, s.in_w = out_w, s.in_c = out_c;
        s.out_h = in_h, s.out_w = in_w, s.out_c = in_c;
        s.pad_top = span_h() - 1 - pad_top, s.pad_left = span_w() - 1 - pad_left;
        return s;
    }

    /// What of a convolution's shape its weights have.
    Shape of_weights() const {
        Shape s;
        s.in_c = in_c, s.out_c = out_c, s.groups = groups, s.tile = tile;
        s.in_h = s.kernel_h = kernel_h, s.in_w = s.kernel_w = kernel_w;
        return s;
    }

    /// The rows and columns from a window's first tap to its last.
    int span_h() const { return (kernel_h - 1) * dilation_h + 1; }
    int span_w() const { return (kernel_w - 1) * dilation_w + 1; }

    int pad_bottom() const { return (out_h - 1) * stride_h + span_h() - in_h - pad_top; }
    int pad_right() const { return (out_w - 1) * stride_w + span_w() - in_w - pad_left; }

    /// The channels of one group.
    int group_in() const { return in_c / groups; }
    int group_out() const { return out_c / groups; }

    /// Each channel has a window of its own, and one output.
    bool depthwise() const { return groups > 1 && groups == in_c && groups == out_c; }

    /// The extents of a convolution's weights: output channels, a group's input channels, columns, rows.
    std::vector<int> weights() const {
        if (tile > 0) return {out_c, in_c, tile + 2, tile + 2};
        return {out_c, group_in(), kernel_w, kernel_h};
    }

    /// The inputs that an output is made of, one more for the bias, in whole fours: the columns of the gradients of weights and bias.
    int weight_columns() const { return 4 * divide_up(group_in() * kernel_w * kernel_h + 1, 4); }

    /// Few enough taps to unroll a window's loops.
    bool few_taps() const { return kernel_w * kernel_h <= 16; }

    /// True where a window can reach outside the input.
    bool padded() const { return pad_top > 0 || pad_left > 0 || pad_bottom() > 0 || pad_right() > 0; }
};

}  // namespace halcyon
