// The sum of two activations, and of the gradients of a value that is used twice.
#pragma once

#include <Halide.h>

namespace halcyon {

/// output = a + b
struct Add {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func output{"output"};

    Add(const Halide::Func &a, const Halide::Func &b) { output(c, x, y, n) = a(c, x, y, n) + b(c, x, y, n); }
};

}  // namespace halcyon
