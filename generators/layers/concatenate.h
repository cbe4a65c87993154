// Channels of two activations side by side, and the way back.
#pragma once

#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// output(c, x, y, n) = the channels of `first`, which are in_c, and behind them those of `second`.
struct Concatenate {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func output{"output"};

    Concatenate(const Halide::Func &first, const Halide::Func &second, const Shape &s) {
        const Halide::Expr in_first = clamp(c, 0, s.in_c - 1), in_second = clamp(c - s.in_c, 0, s.out_c - s.in_c - 1);
        output(c, x, y, n) = select(c < s.in_c, first(in_first, x, y, n), second(in_second, x, y, n));
    }
};

/// The gradient of `first`, or of an input of as many channels that is the last: in_c channels of d_output, from `begin` on.
struct SomeChannels {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func d_input{"d_input"};

    SomeChannels(const Halide::Func &d_output, int begin) { d_input(c, x, y, n) = d_output(c + begin, x, y, n); }
};

}  // namespace halcyon
