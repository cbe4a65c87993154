// Batch normalisation and the max pooling behind it: the layers' own algorithms put together. What lies between them is a value within a
// pass, and the pool's choice is made again, from the same expression as forward. Shapes are the pool's.
#pragma once

#include "generators/layers/batch_norm.h"
#include "generators/layers/comparisons.h"
#include "generators/layers/max_pool2d.h"
#include "generators/pointwise.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// What works on the pool's outputs, element by element.
inline Shape pooled_shape(const Shape &s) {
    Shape out;
    out.in_h = s.out_h, out.in_w = s.out_w, out.in_c = s.out_c;
    out.label_smoothing = s.label_smoothing;
    return out;
}

/// The statistics and the largest of what the chain makes of scale * input + shift.
struct BatchNormStatsPoolForward {
    BatchNormStats stats;
    BatchNormForward normalise;
    MaxPool2dForward pool;

    BatchNormStatsPoolForward(const Halide::Func &input, const Halide::Func &gamma, const Halide::Func &beta, const BoundChain &behind,
                              const Halide::Expr &batch, const Shape &s, bool by_rows)
        : stats(input, gamma, beta, batch, s, by_rows), normalise(input, value_of(stats.affine, 0), value_of(stats.affine, 1)),
          pool(chained(normalise.output, behind), s) {}
};

/// Of each window the input that made the first largest of the values that a pool compares.
struct ChosenInput {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom taps;              // dx, dy
    Halide::Func choice{"choice"};  // the largest compared value, and the input it is made of
    Halide::Func output{"output"};

    ChosenInput(const Halide::Func &input, const Halide::Func &compared, const Shape &s) : taps(0, s.kernel_w, 0, s.kernel_h, "taps") {
        const auto tap = [&](const Halide::Expr &dx, const Halide::Expr &dy) {
            const Halide::Expr column = pooled_column(s, x, dx), row = pooled_row(s, y, dy);
            return Halide::Tuple(comparable(compared(c, column, row, n)), input(c, column, row, n));
        };
        choice(c, x, y, n) = tap(0, 0);
        const Halide::Tuple candidate = tap(taps.x, taps.y), best = choice(c, x, y, n);
        choice(c, x, y, n) = select(candidate[0] > best[0], candidate, best);
        output(c, x, y, n) = choice(c, x, y, n)[1];
    }
};

/// The statistics' gradients over the pool's outputs alone: of a window only the pixel that it chose has a gradient.
struct BatchNormPoolBackwardStats {
    ChosenInput chosen;
    BatchNormBackwardStats stats;

    BatchNormPoolBackwardStats(const Halide::Func &d_output, const Halide::Func &input, const Halide::Func &compared,
                               const Halide::Func &mean, const Halide::Func &inv_std, const Halide::Expr &batch, const Shape &s)
        : chosen(input, compared, s), stats(d_output, chosen.output, mean, inv_std, batch, pooled_shape(s)) {}
};

/// All three gradients in one pass.
struct BatchNormPoolBackward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    BatchNormPoolBackwardStats sums;
    MaxPool2dBackward pool;
    NormGradient gradient;
    Halide::Func d_input{"d_input"};

    BatchNormPoolBackward(const Halide::Func &d_output, const Halide::Func &input, const Halide::Func &compared, const Halide::Func &gamma,
                          const Halide::Func &mean, const Halide::Func &inv_std, const Halide::Expr &batch, const Shape &s)
        : sums(d_output, input, compared, mean, inv_std, batch, s), pool(d_output, compared, s),
          gradient(gamma, mean, inv_std, value_of(sums.stats.gradients, 0), value_of(sums.stats.gradients, 1),
                   values_a_channel(batch, s.in_w, s.in_h)) {
        d_input(c, x, y, n) = gradient(pool.d_input(c, x, y, n), input(c, x, y, n), c);
    }
};

}  // namespace halcyon
