// Max pooling. A tap outside the input reads the nearest pixel inside, which lies in the same window: padding never wins, and the first
// largest pixel in row-major order stays the first. A window with NaN in it is NaN forward, and chooses as if that were infinity.
#pragma once

#include "generators/layers/comparisons.h"
#include "generators/pointwise.h"
#include "plan/divisors.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// The pixel of the input that the tap (dx, dy) of the window at output (x, y) reads.
inline Halide::Expr pooled_column(const Shape &s, const Halide::Expr &x, const Halide::Expr &dx) {
    return clamp(x * s.stride_w + dx - s.pad_left, 0, s.in_w - 1);
}
inline Halide::Expr pooled_row(const Shape &s, const Halide::Expr &y, const Halide::Expr &dy) {
    return clamp(y * s.stride_h + dy - s.pad_top, 0, s.in_h - 1);
}

/// output(c, x, y, n) = the largest input of the window, NaN where one of them is.
struct MaxPool2dForward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom taps;                // dx, dy
    Halide::Func largest{"largest"};  // the largest input, and the largest magnitude, by its bits: above infinity's where one is NaN
    Halide::Func output{"output"};
    BoundChain chain;  // behind the output

    MaxPool2dForward(const Halide::Func &input, const Shape &s) : taps(0, s.kernel_w, 0, s.kernel_h, "taps") {
        const Halide::Expr first = input(c, pooled_column(s, x, 0), pooled_row(s, y, 0), n);
        const Halide::Expr value = input(c, pooled_column(s, x, taps.x), pooled_row(s, y, taps.y), n);
        largest(c, x, y, n) = Halide::Tuple(first, magnitude_bits(first));
        const Halide::Tuple so_far = largest(c, x, y, n);
        largest(c, x, y, n) = Halide::Tuple(select(value > so_far[0], value, so_far[0]), max(so_far[1], magnitude_bits(value)));
        output(c, x, y, n) = or_not_a_number(so_far[1] <= infinity_bits, so_far[0]);
    }
};

/// The gradient of each output goes to its window's first largest pixel. Where windows overlap, a pixel adds up theirs in row-major order.
struct MaxPool2dBackward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom taps;              // dx, dy
    Halide::RDom windows;           // as many as can hold a pixel, by their distance from the first one
    Halide::Func choice{"choice"};  // of a window: its largest value, and which pixel of the input that is, y * in_w + x
    Halide::Func chosen{"chosen"};  // that pixel; none of a window that is not one of the pool's
    Halide::Func sum{"sum"}, d_input{"d_input"};

    MaxPool2dBackward(const Halide::Func &d_output, const Halide::Func &input, const Shape &s)
        : taps(0, s.kernel_w, 0, s.kernel_h, "taps"),
          windows(0, divide_up(s.kernel_w, s.stride_w), 0, divide_up(s.kernel_h, s.stride_h), "windows") {
        const Halide::Expr first_column = pooled_column(s, x, 0), first_row = pooled_row(s, y, 0);
        choice(c, x, y, n) = Halide::Tuple(comparable(input(c, first_column, first_row, n)), first_row * s.in_w + first_column);
        const Halide::Expr column = pooled_column(s, x, taps.x), row = pooled_row(s, y, taps.y);
        const Halide::Expr value = comparable(input(c, column, row, n));
        const Halide::Expr larger = value > choice(c, x, y, n)[0];
        choice(c, x, y, n) =
            Halide::Tuple(select(larger, value, choice(c, x, y, n)[0]), select(larger, row * s.in_w + column, choice(c, x, y, n)[1]));

        const Halide::Expr out_x = first_window(x, s.kernel_w, s.stride_w, s.pad_left) + windows.x;
        const Halide::Expr out_y = first_window(y, s.kernel_h, s.stride_h, s.pad_top) + windows.y;
        const Halide::Expr at_x = clamp(out_x, 0, s.out_w - 1), at_y = clamp(out_y, 0, s.out_h - 1);
        chosen(c, x, y, n) = select(x >= 0 && x < s.out_w && y >= 0 && y < s.out_h, choice(c, x, y, n)[1], -1);
        sum(c, x, y, n) = 0.0f;
        sum(c, x, y, n) += select(chosen(c, out_x, out_y, n) == y * s.in_w + x, d_output(c, at_x, at_y, n), 0.0f);
        d_input(c, x, y, n) = sum(c, x, y, n);
    }

private:
    /// The first of as many windows as can hold pixel `at`. Where fewer do, they may be the first or the last of them. That is chosen so
    /// that a tile of whole strides of pixels is held by the fewest windows.
    static Halide::Expr first_window(const Halide::Expr &at, int kernel, int stride, int pad) {
        if (pad % stride == 0) return (at + pad) / stride - (divide_up(kernel, stride) - 1);
        return (at + pad + stride - kernel) / stride;
    }
};

}  // namespace halcyon
