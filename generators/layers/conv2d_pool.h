// A convolution with the batch normalisation and the max pooling behind it, in inference: the layers' own algorithms put together.
#pragma once

#include "generators/layers/batch_norm_pool.h"
#include "schedules/shape.h"

#include <Halide.h>

namespace halcyon {

/// output = the largest scale * convolution + shift of the pool's window, where `Convolution` is one of the algorithms of conv2d_fwd and
/// `arguments` what it takes before the shape.
template<typename Convolution>
struct Conv2dPoolForward {
    Convolution convolution;
    BatchNormPoolForward pooled;

    template<typename... Arguments>
    Conv2dPoolForward(const Halide::Func &scale, const Halide::Func &shift, const Shape &s, const Arguments &...arguments)
        : convolution(arguments..., s), pooled(convolution.output, scale, shift, s.pool()) {}
};

}  // namespace halcyon
