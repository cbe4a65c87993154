// ReLU, where it is not fused into the layer before it.
#pragma once

#include <Halide.h>

namespace halcyon {

/// output = max(input, 0)
struct ReluForward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func output{"output"};

    explicit ReluForward(const Halide::Func &input) { output(c, x, y, n) = max(input(c, x, y, n), 0.0f); }
};

/// d_input = d_output where the output was positive, else 0
struct ReluBackward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func d_input{"d_input"};

    ReluBackward(const Halide::Func &d_output, const Halide::Func &output) {
        d_input(c, x, y, n) = select(output(c, x, y, n) > 0.0f, d_output(c, x, y, n), 0.0f);
    }
};

}  // namespace halcyon
