// Softmax over the channels of each pixel, and the gradient through it.
#pragma once

#include "generators/layers/comparisons.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// The largest channel is subtracted before every exp, so that none overflows. Where that is infinite or NaN, all channels are NaN.
struct SoftmaxForward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom channels;
    Halide::Func largest{"largest"}, exponential{"exponential"}, sum{"sum"}, output{"output"};

    SoftmaxForward(const Halide::Func &input, const Shape &s) : channels(0, s.in_c, "channels") {
        largest(x, y, n) = comparable(input(0, x, y, n));
        largest(x, y, n) = max(largest(x, y, n), comparable(input(channels, x, y, n)));
        exponential(c, x, y, n) = exp(input(c, x, y, n) - largest(x, y, n));
        sum(x, y, n) = 0.0f;
        sum(x, y, n) += exponential(channels, x, y, n);
        output(c, x, y, n) = or_not_a_number(is_finite_number(largest(x, y, n)), exponential(c, x, y, n) / sum(x, y, n));
    }
};

/// output * (d_output - the sum over channels of output * d_output)
struct SoftmaxBackward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom channels;
    Halide::Func sum{"sum"}, d_input{"d_input"};

    SoftmaxBackward(const Halide::Func &d_output, const Halide::Func &output, const Shape &s) : channels(0, s.in_c, "channels") {
        sum(x, y, n) = 0.0f;
        sum(x, y, n) += output(channels, x, y, n) * d_output(channels, x, y, n);
        d_input(c, x, y, n) = output(c, x, y, n) * (d_output(c, x, y, n) - sum(x, y, n));
    }
};

}  // namespace halcyon
