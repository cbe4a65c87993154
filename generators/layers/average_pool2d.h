// Average pooling, and plain sums over windows. A mean is over the taps that lie inside the input: padding counts for nothing.
#pragma once

#include "plan/divisors.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// What the window at output (x, y) makes of the sum over it: the mean is over the taps inside the input.
template<bool averages>
Halide::Expr of_window(const Shape &s, const Halide::Expr &sum, const Halide::Expr &x, const Halide::Expr &y) {
    if (!averages) return sum;
    if (!s.padded()) return sum / float(s.kernel_w * s.kernel_h);
    const auto inside = [](const Halide::Expr &first, int kernel, int extent) { return min(first + kernel, extent) - max(first, 0); };
    const Halide::Expr columns = inside(x * s.stride_w - s.pad_left, s.kernel_w, s.in_w);
    const Halide::Expr rows = inside(y * s.stride_h - s.pad_top, s.kernel_h, s.in_h);
    return sum / Halide::cast<float>(columns * rows);
}

/// output(c, x, y, n) = the sum of the window, or its mean.
template<bool averages>
struct WindowSum2dForward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom taps;  // dx, dy
    Halide::Func sum{"sum"}, output{"output"};

    WindowSum2dForward(const Halide::Func &input, const Shape &s) : taps(0, s.kernel_w, 0, s.kernel_h, "taps") {
        const Halide::Expr column = x * s.stride_w + taps.x - s.pad_left, row = y * s.stride_h + taps.y - s.pad_top;
        const Halide::Expr at_column = clamp(column, 0, s.in_w - 1), at_row = clamp(row, 0, s.in_h - 1);
        const Halide::Expr value = input(c, at_column, at_row, n);
        sum(c, x, y, n) = 0.0f;
        sum(c, x, y, n) += s.padded() ? select(column == at_column && row == at_row, value, 0.0f) : value;
        output(c, x, y, n) = of_window<averages>(s, sum(c, x, y, n), x, y);
    }
};

/// The gradient of each output goes to the taps of its window, of a mean in equal shares. Where windows overlap, a pixel adds up theirs.
template<bool averages>
struct WindowSum2dBackward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom windows;  // those that can hold a pixel, by their distance from the last one
    Halide::Func sum{"sum"}, d_input{"d_input"};

    WindowSum2dBackward(const Halide::Func &d_output, const Shape &s)
        : windows(0, divide_up(s.kernel_w, s.stride_w), 0, divide_up(s.kernel_h, s.stride_h), "windows") {
        const Halide::Expr out_x = (x + s.pad_left) / s.stride_w - windows.x, out_y = (y + s.pad_top) / s.stride_h - windows.y;
        const Halide::Expr at_x = clamp(out_x, 0, s.out_w - 1), at_y = clamp(out_y, 0, s.out_h - 1);
        const Halide::Expr dx = x + s.pad_left - out_x * s.stride_w, dy = y + s.pad_top - out_y * s.stride_h;
        const Halide::Expr holds = out_x == at_x && out_y == at_y && dx < s.kernel_w && dy < s.kernel_h;
        sum(c, x, y, n) = 0.0f;
        sum(c, x, y, n) += select(holds, of_window<averages>(s, d_output(c, at_x, at_y, n), at_x, at_y), 0.0f);
        d_input(c, x, y, n) = sum(c, x, y, n);
    }
};

}  // namespace halcyon
