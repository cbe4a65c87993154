// Batch normalisation's scale and shift, the max pooling after it and the dropout after that, in one pass, and their gradients: the layers'
// own algorithms put together. The normalised activation and its gradient are values within a pass; the pool's choice is made again, from
// the same scale * input + shift as forward. Shapes are the pool's.
#pragma once

#include "generators/layers/batch_norm.h"
#include "generators/layers/comparisons.h"
#include "generators/layers/dropout.h"
#include "generators/layers/max_pool2d.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// What works on the pool's outputs, element by element.
inline Shape pooled_shape(const Shape &s) {
    Shape out;
    out.in_h = s.out_h, out.in_w = s.out_w, out.in_c = s.out_c;
    out.dropout = s.dropout;
    return out;
}

/// output = the largest scale * input + shift of the window: where the scale is negative, that of the smallest input.
struct BatchNormPoolForward {
    BatchNormForward normalise;
    MaxPool2dForward pool;

    BatchNormPoolForward(const Halide::Func &input, const Halide::Func &scale, const Halide::Func &shift, const Shape &s)
        : normalise(input, scale, shift), pool(normalise.output, s) {}
};

struct BatchNormPoolDropoutForward {
    BatchNormPoolForward pooled;
    Dropout dropout;

    BatchNormPoolDropoutForward(const Halide::Func &input, const Halide::Func &scale, const Halide::Func &shift, const Halide::Func &step,
                                const Shape &s)
        : pooled(input, scale, shift, s), dropout(pooled.pool.output, step, pooled_shape(s)) {}
};

/// With the statistics.
struct BatchNormStatsPoolDropoutForward {
    BatchNormStats stats;
    BatchNormPoolDropoutForward pass;

    BatchNormStatsPoolDropoutForward(const Halide::Func &input, const Halide::Func &gamma, const Halide::Func &beta,
                                     const Halide::Func &step, const Halide::Expr &batch, const Shape &s, bool by_rows)
        : stats(input, gamma, beta, batch, s, by_rows), pass(input, value_of(stats.affine, 0), value_of(stats.affine, 1), step, s) {}
};

/// Of each window the input whose normalised value is the first largest.
struct ChosenInput {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    BatchNormForward normalise;
    Halide::RDom taps;              // dx, dy
    Halide::Func choice{"choice"};  // the largest normalised value, and the input it is made of
    Halide::Func output{"output"};

    ChosenInput(const Halide::Func &input, const Halide::Func &scale, const Halide::Func &shift, const Shape &s)
        : normalise(input, scale, shift), taps(0, s.kernel_w, 0, s.kernel_h, "taps") {
        const auto tap = [&](const Halide::Expr &dx, const Halide::Expr &dy) {
            const Halide::Expr column = pooled_column(s, x, dx), row = pooled_row(s, y, dy);
            return Halide::Tuple(comparable(normalise.output(c, column, row, n)), input(c, column, row, n));
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

    BatchNormPoolBackwardStats(const Halide::Func &d_output, const Halide::Func &input, const Halide::Func &scale,
                               const Halide::Func &shift, const Halide::Func &mean, const Halide::Func &inv_std, const Halide::Expr &batch,
                               const Shape &s)
        : chosen(input, scale, shift, s), stats(d_output, chosen.output, mean, inv_std, batch, pooled_shape(s)) {}
};

/// The gradient of batch normalisation's input, and with shape.relu of the ReLU before it.
struct BatchNormPoolBackwardData {
    BatchNormForward normalise;
    MaxPool2dBackward pool;
    BatchNormBackwardData data;

    BatchNormPoolBackwardData(const Halide::Func &d_output, const Halide::Func &input, const Halide::Func &scale, const Halide::Func &shift,
                              const Halide::Func &gamma, const Halide::Func &mean, const Halide::Func &inv_std, const Halide::Func &d_gamma,
                              const Halide::Func &d_beta, const Halide::Expr &batch, const Shape &s)
        : normalise(input, scale, shift), pool(d_output, normalise.output, s),
          data(pool.d_input, input, gamma, mean, inv_std, d_gamma, d_beta, batch, s) {}
};

/// All three gradients in one pass.
struct BatchNormPoolBackward {
    BatchNormPoolBackwardStats sums;
    BatchNormPoolBackwardData pass;

    BatchNormPoolBackward(const Halide::Func &d_output, const Halide::Func &input, const Halide::Func &scale, const Halide::Func &shift,
                          const Halide::Func &gamma, const Halide::Func &mean, const Halide::Func &inv_std, const Halide::Expr &batch,
                          const Shape &s)
        : sums(d_output, input, scale, shift, mean, inv_std, batch, s),
          pass(d_output, input, scale, shift, gamma, mean, inv_std, value_of(sums.stats.gradients, 0), value_of(sums.stats.gradients, 1),
               batch, s) {}
};

}  // namespace halcyon
