// The convolution that makes the logits, usually a dense layer, and their loss with its gradient: the layers' own algorithms put together.
#pragma once

#include "generators/layers/batch_norm_pool.h"
#include "generators/layers/softmax_cross_entropy.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// `Convolution` is one of the algorithms of conv2d_fwd, and `arguments` what it takes before the shape.
template<typename Convolution>
struct Conv2dSoftmaxCrossEntropy {
    Convolution convolution;
    SoftmaxCrossEntropy loss;

    template<typename... Arguments>
    Conv2dSoftmaxCrossEntropy(const Halide::Func &labels, const Halide::Func &indices, const Halide::Func &step,
                              const Halide::Expr &records, const Halide::Expr &words, const Shape &s, const Arguments &...arguments)
        : convolution(arguments..., s), loss(convolution.output, labels, indices, step, records, words, pooled_shape(s)) {}
};

}  // namespace halcyon
