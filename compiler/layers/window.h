// The window of a convolution or a pool, and what lies around the input that it slides over.
#pragma once

#include "compiler/layers/feature_map.h"
#include "compiler/options.h"
#include "plan/shape.h"

#include <algorithm>
#include <array>
#include <string>

namespace halcyon {

/// Rows above and below, columns left and right of a layer's input, or as many as "same" asks for.
struct Padding {
    bool same = false;
    int top = 0, bottom = 0, left = 0, right = 0;

    static Padding of(const std::array<int, 4> &margins) { return {false, margins[0], margins[1], margins[2], margins[3]}; }
    int largest_of_rows() const { return std::max(top, bottom); }
    int largest_of_columns() const { return std::max(left, right); }
};

/// The window of a convolution or a pool, as a model file names it.
struct Window {
    std::string what;  // "kernel" or "pool", for messages
    std::array<int, 2> size;
    std::array<int, 2> strides;
    Padding padding = {};
    bool ceil_mode = false;  // PyTorch's: a last window may reach beyond the padding, but does not begin there
    std::array<int, 2> dilation = {1, 1};

    /// The sizes and padding of a kernel, by Keras's rules. Throws std::invalid_argument where the window does not fit.
    Shape over(const FeatureMap &in, int out_c) const;

    /// "pool 2", "kernel 1x3", "kernel 3 dilated by 2".
    std::string name() const;

private:
    /// How many windows fit in so much; of those that reach beyond, the last begins before `end`.
    int windows(int extent, int size, int stride, int end) const;

    /// The rows (axis 0) or columns from the first tap to the last.
    int span(int axis) const;
};

/// "padding": "valid", "same" or [top, bottom, left, right].
Padding read_padding(Options &options);

}  // namespace halcyon
