// A convolution with the dropout behind it, and the gradients of what lies in front of one: the layers' own algorithms put together.
// `Convolution` is one of the algorithms of conv2d_fwd or conv2d_bwd_data, and `arguments` what it takes before the shape.
#pragma once

#include "generators/layers/batch_norm_pool.h"
#include "generators/layers/comparisons.h"
#include "generators/layers/dropout.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

template<typename Convolution>
struct Conv2dDropoutForward {
    Convolution convolution;
    Dropout dropout;

    template<typename... Arguments>
    Conv2dDropoutForward(const Halide::Func &step, const Shape &s, const Arguments &...arguments)
        : convolution(arguments..., s), dropout(convolution.output, step, pooled_shape(s)) {}
};

/// The gradient of the input of a dropout that the convolution reads.
template<typename Convolution>
struct Conv2dDropoutBackwardData {
    Convolution convolution;
    Dropout dropout;

    template<typename... Arguments>
    Conv2dDropoutBackwardData(const Halide::Func &step, const Shape &s, const Arguments &...arguments)
        : convolution(arguments..., s), dropout(convolution.d_input, step, s) {}
};

/// The same through the ReLU before the dropout. What the convolution reads is positive where the one was and the other kept it.
template<typename Convolution>
struct Conv2dReluDropoutBackwardData {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Convolution convolution;
    Halide::Func d_input{"d_input"};

    template<typename... Arguments>
    Conv2dReluDropoutBackwardData(const Halide::Func &input, const Halide::Func &step, const Shape &s, const Arguments &...arguments)
        : convolution(arguments..., s) {
        const Halide::Expr kept = convolution.d_input(c, x, y, n) * step_float(step, dropout_scale(s.dropout));
        d_input(c, x, y, n) = through_relu(input(c, x, y, n), kept);
    }
};

}  // namespace halcyon
