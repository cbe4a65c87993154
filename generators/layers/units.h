// Weights of units: one for each element of an image, the same for all images.
#pragma once

#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// d_scale = sum of d_output * factor, and d_shift = sum of d_output, over the images.
struct UnitSums {
    Halide::Var c{"c"}, x{"x"}, y{"y"};
    Halide::RDom images;
    Halide::Func sums{"sums"};  // both
    Halide::Func d_scale{"d_scale"}, d_shift{"d_shift"};

    UnitSums(const Halide::Func &d_output, const Halide::Func &factor, const Halide::Expr &batch) : images(0, batch, "images") {
        const Halide::Expr gradient = d_output(c, x, y, images);
        sums(c, x, y) = Halide::Tuple(0.0f, 0.0f);
        sums(c, x, y) = Halide::Tuple(sums(c, x, y)[0] + gradient * factor(c, x, y, images), sums(c, x, y)[1] + gradient);
        d_scale(c, x, y) = sums(c, x, y)[0];
        d_shift(c, x, y) = sums(c, x, y)[1];
    }
};

/// A weight for each unit of the input, of those that rows, columns or channels share: of these the output has one.
struct SharedWeights {
    Halide::Var c{"c"}, x{"x"}, y{"y"};
    Halide::Func units{"units"};

    SharedWeights(const Halide::Func &shared, const Shape &s) {
        const auto of = [](int weights, const Halide::Var &i) { return weights == 1 ? Halide::Expr(0) : Halide::Expr(i); };
        units(c, x, y) = shared(of(s.out_c, c), of(s.out_w, x), of(s.out_h, y));
    }
};

/// The sum of the gradients of those that share a weight.
struct SharedWeightsBackward {
    Halide::Var c{"c"}, x{"x"}, y{"y"};
    Halide::RDom sharing;  // dc, dx, dy
    Halide::Func sum{"sum"}, d_shared{"d_shared"};

    SharedWeightsBackward(const Halide::Func &d_units, const Shape &s)
        : sharing(0, s.in_c / s.out_c, 0, s.kernel_w, 0, s.kernel_h, "sharing") {
        sum(c, x, y) = 0.0f;
        sum(c, x, y) += d_units(c + sharing.x, x + sharing.y, y + sharing.z);
        d_shared(c, x, y) = sum(c, x, y);
    }
};

}  // namespace halcyon
