// A pass over an activation that only applies a chain to it.
#pragma once

#include "generators/pointwise.h"

#include <Halide.h>

namespace halcyon {

struct PointwisePass {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    BoundChain chain;
    Halide::Func output{"output"};

    PointwisePass(const Halide::Func &input, const BoundChain &chain) : chain(chain) {
        output(c, x, y, n) = chain(input(c, x, y, n), {c, x, y, n});
    }
};

}  // namespace halcyon
