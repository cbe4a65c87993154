// Batch normalisation over (x, y, n), as Keras defines it: the biased variance also in the moving statistics.
//
// In training: normalised = (input - mean) * inv_std, output = gamma * normalised + beta = scale * input + shift.
#pragma once

#include "generators/layers/comparisons.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// The batch's statistics, the scale and shift they make, and the moving statistics, updated in place.
///
/// Variances are merged tile by tile (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983), never as
/// E[x^2] - E[x]^2: sums of squares about a tile's own mean neither cancel nor fall below zero. A tile is one pixel of all images. They are
/// merged one after the other, or (`by_rows`) each row's first and then the rows.
struct BatchNormStats {
    Halide::Var c{"c"}, moment{"moment"}, x{"x"}, y{"y"};
    Halide::RDom images, tiles;    // n; x, y
    Halide::RDom row_tiles, rows;  // x; y
    Halide::Func tile_sum{"tile_sum"}, tile_mean{"tile_mean"}, tile_squares{"tile_squares"};
    Halide::Func tile{"tile"};      // moment 0: the tile's mean, 1: the sum of squares about it
    Halide::Func row{"row"};        // the same of the row's tiles so far
    Halide::Func merged{"merged"};  // the same of all tiles so far
    Halide::Func affine{"affine"};  // scale and shift
    Halide::Func mean{"mean"}, inv_std{"inv_std"}, scale{"scale"}, shift{"shift"};
    Halide::Func moving_mean{"moving_mean"}, moving_variance{"moving_variance"};

    BatchNormStats(const Halide::Func &input, const Halide::Func &gamma, const Halide::Func &beta, const Halide::Expr &batch,
                   const Shape &s, bool by_rows = false)
        : images(0, batch, "images"), tiles(0, s.in_w, 0, s.in_h, "tiles"), row_tiles(0, s.in_w, "row_tiles"), rows(0, s.in_h, "rows") {
        const Halide::Expr tile_size = Halide::cast<float>(batch);
        tile_sum(c, x, y) = 0.0f;
        tile_sum(c, x, y) += input(c, x, y, images);
        tile_mean(c, x, y) = tile_sum(c, x, y) / tile_size;
        const Halide::Expr deviation = input(c, x, y, images) - tile_mean(c, x, y);
        tile_squares(c, x, y) = 0.0f;
        tile_squares(c, x, y) += deviation * deviation;
        tile(c, moment, x, y) = select(moment == 0, tile_mean(c, x, y), tile_squares(c, x, y));

        merged(c) = Halide::Tuple(0.0f, 0.0f);
        if (by_rows) {
            row(c, y) = Halide::Tuple(0.0f, 0.0f);
            row(c, y) = merge(row(c, y), Halide::Tuple(tile(c, 0, row_tiles, y), tile(c, 1, row_tiles, y)), row_tiles, tile_size);
            merged(c) = merge(merged(c), row(c, rows), rows, tile_size * float(s.in_w));
        } else {
            const Halide::Tuple next(tile(c, 0, tiles.x, tiles.y), tile(c, 1, tiles.x, tiles.y));
            merged(c) = merge(merged(c), next, tiles.y * s.in_w + tiles.x, tile_size);
        }

        const Halide::Expr variance = merged(c)[1] / (tile_size * float(s.in_w * s.in_h)), inverse = 1.0f / sqrt(variance + s.epsilon);
        affine(c) = Halide::Tuple(gamma(c) * inverse, beta(c) - merged(c)[0] * (gamma(c) * inverse));
        mean(c) = merged(c)[0];
        inv_std(c) = inverse;
        scale(c) = affine(c)[0];
        shift(c) = affine(c)[1];

        moving_mean(c) = Halide::undef<float>();
        moving_mean(c) = moving_mean(c) * s.momentum + merged(c)[0] * (1 - s.momentum);
        moving_variance(c) = Halide::undef<float>();
        const Halide::Expr values = tile_size * float(s.in_w * s.in_h);
        const Halide::Expr moved_by = s.unbiased ? merged(c)[1] / max(values - 1.0f, 1.0f) : variance;
        moving_variance(c) = moving_variance(c) * s.momentum + moved_by * (1 - s.momentum);
    }

private:
    /// The mean and the sum of squares about it of `before` tiles so far and one more, each of `size` values.
    static Halide::Tuple merge(const Halide::Tuple &so_far, const Halide::Tuple &next, const Halide::Expr &before,
                               const Halide::Expr &size) {
        const Halide::Expr count = Halide::cast<float>(before), delta = next[0] - so_far[0];
        return Halide::Tuple(so_far[0] + delta / (count + 1.0f), so_far[1] + (next[1] + delta * delta * (size * count / (count + 1.0f))));
    }
};

/// Scale and shift from the moving statistics, for inference.
struct BatchNormFold {
    Halide::Var c{"c"};
    Halide::Func scale{"scale"}, shift{"shift"};

    BatchNormFold(const Halide::Func &gamma, const Halide::Func &beta, const Halide::Func &moving_mean, const Halide::Func &moving_variance,
                  const Shape &s) {
        scale(c) = gamma(c) / sqrt(moving_variance(c) + s.epsilon);
        shift(c) = beta(c) - moving_mean(c) * scale(c);
    }
};

/// output = scale * input + shift, with the statistics in one launch
struct BatchNormForward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func output{"output"};

    BatchNormForward(const Halide::Func &input, const Halide::Func &scale, const Halide::Func &shift) {
        output(c, x, y, n) = scale(c) * input(c, x, y, n) + shift(c);
    }
};

/// A value of a channel's tuple, as a function of its own.
inline Halide::Func value_of(const Halide::Func &tuple, int value) {
    Halide::Var c{"c"};
    Halide::Func of_channel;
    of_channel(c) = tuple(c)[value];
    return of_channel;
}

/// The statistics and what is normalised by them, in one pass.
struct BatchNormStatsForward {
    BatchNormStats stats;
    BatchNormForward normalise;

    BatchNormStatsForward(const Halide::Func &input, const Halide::Func &gamma, const Halide::Func &beta, const Halide::Expr &batch,
                          const Shape &s, bool by_rows)
        : stats(input, gamma, beta, batch, s, by_rows), normalise(input, value_of(stats.affine, 0), value_of(stats.affine, 1)) {}
};

/// d_gamma = sum of d_output * normalised and d_beta = sum of d_output over (x, y, n): within each pixel, then over the pixels in row-major
/// order.
struct BatchNormBackwardStats {
    Halide::Var c{"c"}, which{"which"}, x{"x"}, y{"y"};
    Halide::RDom images, tiles;           // n; x, y
    Halide::Func tile_sums{"tile_sums"};  // of d_output * (input - mean), and of d_output
    Halide::Func tile{"tile"};            // the same side by side: `which` is 0 or 1
    Halide::Func sums{"sums"};
    Halide::Func gradients{"gradients"};  // of gamma and beta
    Halide::Func d_gamma{"d_gamma"}, d_beta{"d_beta"};

    BatchNormBackwardStats(const Halide::Func &d_output, const Halide::Func &input, const Halide::Func &mean, const Halide::Func &inv_std,
                           const Halide::Expr &batch, const Shape &s)
        : images(0, batch, "images"), tiles(0, s.in_w, 0, s.in_h, "tiles") {
        const Halide::Expr gradient = d_output(c, x, y, images), deviation = input(c, x, y, images) - mean(c);
        tile_sums(c, x, y) = Halide::Tuple(0.0f, 0.0f);
        tile_sums(c, x, y) = Halide::Tuple(tile_sums(c, x, y)[0] + gradient * deviation, tile_sums(c, x, y)[1] + gradient);
        tile(c, which, x, y) = select(which == 0, tile_sums(c, x, y)[0], tile_sums(c, x, y)[1]);

        sums(c) = Halide::Tuple(0.0f, 0.0f);
        sums(c) = Halide::Tuple(sums(c)[0] + tile(c, 0, tiles.x, tiles.y), sums(c)[1] + tile(c, 1, tiles.x, tiles.y));
        gradients(c) = Halide::Tuple(sums(c)[0] * inv_std(c), sums(c)[1]);
        d_gamma(c) = gradients(c)[0];
        d_beta(c) = gradients(c)[1];
    }
};

/// How many values made each statistic, as a float.
inline Halide::Expr values_a_channel(const Halide::Expr &images, int width, int height) {
    return Halide::cast<float>(images) * float(width * height);
}

/// The gradient of the input for that of the output: gamma * inv_std * (d_output - (d_beta + normalised * d_gamma) / M), where M values
/// made each statistic.
struct NormGradient {
    Halide::Func factors{"factors"};  // of a channel: gamma * inv_std, d_beta / M, inv_std * d_gamma / M

    NormGradient(const Halide::Func &gamma, const Halide::Func &mean, const Halide::Func &inv_std, const Halide::Func &d_gamma,
                 const Halide::Func &d_beta, const Halide::Expr &values)
        : mean_(mean) {
        const Halide::Var c{"c"};
        const Halide::Expr each = 1.0f / values;
        factors(c) = Halide::Tuple(gamma(c) * inv_std(c), d_beta(c) * each, inv_std(c) * d_gamma(c) * each);
    }

    Halide::Expr operator()(const Halide::Expr &d_output, const Halide::Expr &input, const Halide::Expr &c) const {
        const Halide::Expr through_statistics = factors(c)[1] + (input - mean_(c)) * factors(c)[2];
        return factors(c)[0] * (d_output - through_statistics);
    }

private:
    Halide::Func mean_;
};

/// All three gradients in one pass.
struct BatchNormBackward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    BatchNormBackwardStats stats;
    NormGradient gradient;
    Halide::Func d_input{"d_input"};

    BatchNormBackward(const Halide::Func &d_output, const Halide::Func &input, const Halide::Func &gamma, const Halide::Func &mean,
                      const Halide::Func &inv_std, const Halide::Expr &batch, const Shape &s)
        : stats(d_output, input, mean, inv_std, batch, s), gradient(gamma, mean, inv_std, value_of(stats.gradients, 0),
                                                                    value_of(stats.gradients, 1), values_a_channel(batch, s.in_w, s.in_h)) {
        d_input(c, x, y, n) = gradient(d_output(c, x, y, n), input(c, x, y, n), c);
    }
};

}  // namespace halcyon
