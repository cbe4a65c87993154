// Test data: reproducible numbers, step buffers, and the shapes that Keras's padding rules give.
#pragma once

#include "plan/shape.h"
#include "plan/step.h"
#include "tests/kernels/oracle.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <random>
#include <vector>

namespace halcyon {

/// Numbers that are the same on every machine (the standard's distributions are not).
class Random {
public:
    explicit Random(std::uint32_t seed) : engine_(seed) {}

    /// An integer in [least, most].
    int integer(int least, int most) { return least + int(engine_() % unsigned(most - least + 1)); }

    /// A float in [least, most).
    float real(double least, double most) { return float(least + (most - least) * (engine_() * 0x1p-32)); }

    oracle::Array integers(const std::vector<int> &extents, int least, int most) {
        oracle::Array tensor(extents);
        for (double &value : tensor.values) value = integer(least, most);
        return tensor;
    }

    oracle::Array reals(const std::vector<int> &extents, double least, double most) {
        oracle::Array tensor(extents);
        for (double &value : tensor.values) value = real(least, most);
        return tensor;
    }

private:
    std::mt19937 engine_;
};

/// A convolution or pool by Keras's rules: 'valid', or 'same', where the odd column or row of padding lies right or below.
inline Shape window_shape(int in_h, int in_w, int in_c, int out_c, int kernel_h, int kernel_w, int stride_h, int stride_w, bool same) {
    Shape s{.in_h = in_h, .in_w = in_w, .in_c = in_c, .out_c = out_c};
    s.kernel_h = kernel_h, s.kernel_w = kernel_w, s.stride_h = stride_h, s.stride_w = stride_w;
    s.out_h = same ? (in_h + stride_h - 1) / stride_h : (in_h - kernel_h) / stride_h + 1;
    s.out_w = same ? (in_w + stride_w - 1) / stride_w : (in_w - kernel_w) / stride_w + 1;
    if (same) {
        s.pad_top = std::max((s.out_h - 1) * stride_h + kernel_h - in_h, 0) / 2;
        s.pad_left = std::max((s.out_w - 1) * stride_w + kernel_w - in_w, 0) / 2;
    }
    return s;
}

/// The same convolution with its channels in groups.
inline Shape in_groups(Shape s, int groups) {
    s.groups = groups;
    return s;
}

/// A convolution whose taps lie apart: its window has the size that spreads them over kernel_h x kernel_w pixels.
inline Shape dilated(Shape s, int dilation_h, int dilation_w) {
    s.kernel_h = (s.kernel_h - 1) / dilation_h + 1, s.kernel_w = (s.kernel_w - 1) / dilation_w + 1;
    s.dilation_h = dilation_h, s.dilation_w = dilation_w;
    return s;
}

inline void set_real(oracle::Array &step, int field, float value) { step(field) = std::bit_cast<std::uint32_t>(value); }

/// A step buffer in the middle of an epoch, with dropout `rate` in every layer, whose last words weight the classes by 1.5, 2.5, 0.5 in
/// turn.
inline oracle::Array make_step(int words, double rate, int images, int classes = 0) {
    oracle::Array step({words});
    step(step_seed) = 0xFEDCBA98;
    step(step_epoch) = 3;
    step(step_position) = std::uint32_t(50 * images);  // other random numbers for every batch size
    set_real(step, step_inverse_batch, 1.0f / images);
    set_real(step, step_learning_rate, 0.25f);  // a power of two: sgd's products are exact on integers
    step(step_flip_threshold) = 32768;
    for (int label = 0; label < classes; label++) set_real(step, class_weight(words, classes, label), 0.5f + float((label + 1) % 3));
    for (int layer = 0; dropout_scale(layer) < words - classes; layer++) {
        step(dropout_threshold(layer)) = std::uint32_t(rate * 65536 + 0.5);
        set_real(step, dropout_scale(layer), float(1 / (1 - rate)));
    }
    return step;
}

}  // namespace halcyon
