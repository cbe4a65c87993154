// ReLU, where it is not fused into the layer before it.
#pragma once

#include "generators/layers/comparisons.h"

#include <Halide.h>

namespace halcyon {

/// output = max(input, 0), NaN where the input is
struct ReluForward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func output{"output"};

    explicit ReluForward(const Halide::Func &input) { output(c, x, y, n) = rectified(input(c, x, y, n)); }
};

/// d_input = d_output where the output was positive, else 0; d_output where it is NaN
struct ReluBackward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func d_input{"d_input"};

    ReluBackward(const Halide::Func &d_output, const Halide::Func &output) {
        d_input(c, x, y, n) = through_relu(output(c, x, y, n), d_output(c, x, y, n));
    }
};

}  // namespace halcyon
