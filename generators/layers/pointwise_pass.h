// Passes that only apply a chain to what they read.
#pragma once

#include "generators/pointwise.h"

#include <Halide.h>

namespace halcyon {

/// Over an activation.
struct PointwisePass {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    BoundChain chain;
    Halide::Func output{"output"};

    PointwisePass(const Halide::Func &input, const BoundChain &chain) : chain(chain) {
        output(c, x, y, n) = chain(input(c, x, y, n), {c, x, y, n});
    }
};

/// Over a convolution's weights: c is the output channel, x the input channel, y and n are the column and the row.
struct PointwiseWeights : PointwisePass {
    using PointwisePass::PointwisePass;
};

}  // namespace halcyon
