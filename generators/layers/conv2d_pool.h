// A convolution with the max pooling behind it: the layers' own algorithms put together, with what a chain does between them.
#pragma once

#include "generators/layers/conv2d.h"
#include "generators/layers/max_pool2d.h"
#include "generators/pointwise.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// output = the largest of the pool's window of what the chain makes of the convolution, where `Convolution` is one of the algorithms of
/// conv2d_fwd and `arguments` what it takes before the shape.
template<typename Convolution>
struct Conv2dPoolForward {
    Convolution convolution;
    MaxPool2dForward pool;

    template<typename... Arguments>
    Conv2dPoolForward(const BoundChain &behind, const Shape &s, const Arguments &...arguments)
        : convolution(arguments..., s), pool(convolution.output = chained(convolution.output, behind), s.pool()) {}
};

/// In training, where nothing before the convolution wants a gradient: those of its weights and bias from that of the pool's outputs. What
/// comes back to the convolution's outputs, through the pool and the chain, is a value within the pass. `compared` is what the pool
/// compares. A row is one of windows.
struct Conv2dPoolBackwardWeights {
    MaxPool2dBackward pool;
    Halide::Func d_convolution;
    Conv2dBackwardWeightsByRows weights;

    Conv2dPoolBackwardWeights(const Halide::Func &input, const Halide::Func &d_output, const Halide::Func &compared,
                              const BoundChain &behind, const Halide::Expr &images, const Shape &s)
        : pool(d_output, compared, s.pool()), d_convolution(chained(pool.d_input, behind)),
          weights(input, d_convolution, images, s, s.pool_stride_h) {}
};

}  // namespace halcyon
