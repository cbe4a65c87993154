// A convolution with the batch normalisation and the max pooling behind it: the layers' own algorithms put together.
#pragma once

#include "generators/layers/batch_norm_pool.h"
#include "generators/layers/conv2d.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// In inference: output = the largest scale * convolution + shift of the pool's window, where `Convolution` is one of the algorithms of
/// conv2d_fwd and `arguments` what it takes before the shape.
template<typename Convolution>
struct Conv2dPoolForward {
    Convolution convolution;
    BatchNormPoolForward pooled;

    template<typename... Arguments>
    Conv2dPoolForward(const Halide::Func &scale, const Halide::Func &shift, const Shape &s, const Arguments &...arguments)
        : convolution(arguments..., s), pooled(convolution.output, scale, shift, s.pool()) {}
};

/// In training, where nothing before the convolution wants a gradient: those of its weights and bias from that of the pool's outputs. What
/// comes back to the convolution's outputs is a value within the pass. A row is one of windows.
struct Conv2dPoolBackwardWeights {
    BatchNormPoolBackwardData gradient;
    Conv2dBackwardWeightsByRows weights;

    Conv2dPoolBackwardWeights(const Halide::Func &input, const Halide::Func &d_output, const Halide::Func &convolution,
                              const Halide::Func &scale, const Halide::Func &shift, const Halide::Func &gamma, const Halide::Func &mean,
                              const Halide::Func &inv_std, const Halide::Func &d_gamma, const Halide::Func &d_beta,
                              const Halide::Expr &images, const Shape &s)
        : gradient(d_output, convolution, scale, shift, gamma, mean, inv_std, d_gamma, d_beta, images, s.masked_pool()),
          weights(input, gradient.data.d_input, images, s, s.pool_stride_h) {}
};

}  // namespace halcyon
