// The functions that activations are made of, as expressions of single floats that run in vectors everywhere, for Halide's tanh() calls the
// C library for each lane and its exp() makes a number of NaN. Comparisons look at bits (generators/layers/comparisons.h): what has to hand
// NaN on does so at its end. tests/kernels/activations.cpp holds all of them to double precision over the floats.
#pragma once

#include "generators/layers/comparisons.h"

#include <Halide.h>

#include <vector>

namespace halcyon {

/// The sum of coefficients[i] * x^i.
inline Halide::Expr polynomial(const Halide::Expr &x, const std::vector<float> &coefficients) {
    Halide::Expr sum = coefficients.back();
    for (std::size_t i = coefficients.size() - 1; i-- > 0;) sum = sum * x + coefficients[i];
    return sum;
}

inline Halide::Expr magnitude(const Halide::Expr &x) { return Halide::reinterpret<float>(magnitude_bits(x)); }

/// select() of floats that may be NaN.
inline Halide::Expr chosen(const Halide::Expr &condition, const Halide::Expr &a, const Halide::Expr &b) {
    return Halide::reinterpret<float>(select(condition, bits_of(a), bits_of(b)));
}

/// `result`, but NaN where x is.
inline Halide::Expr unless_not_a_number(const Halide::Expr &x, const Halide::Expr &result) { return chosen(is_not_a_number(x), x, result); }

/// Whether x is above `bound`, which is 0 or positive; and above 0. NaN may be either.
inline Halide::Expr is_above(const Halide::Expr &x, float bound) {
    return bound == 0 ? bits_of(x) > 0 : bits_of(x) > bits_of(Halide::Expr(bound));
}

/// 2^exponent, of -126 to 127.
inline Halide::Expr power_of_two(const Halide::Expr &exponent) { return Halide::reinterpret<float>((exponent + 127) << 23); }

/// exp(x) = 2^exponent * (1 + rest), with x between what makes 0 and what makes infinity. Cephes's polynomial (Moshier, expf.c) has an
/// error of 2e-9 of exp(x).
struct SplitExponential {
    Halide::Expr exponent, rest;

    explicit SplitExponential(const Halide::Expr &x) {
        const Halide::Expr bounded = clamp(x, -104.0f, 89.0f), whole = floor(bounded * 1.44269504f + 0.5f);
        const Halide::Expr r = (bounded - whole * 0.693359375f) - whole * -2.12194440e-4f;
        exponent = Halide::cast<int>(whole);
        rest = r + r * r *
                       polynomial(
                           r, {5.0000001201e-1f, 1.6666665459e-1f, 4.1665795894e-2f, 8.3334519073e-3f, 1.3981999507e-3f, 1.9875691500e-4f});
    }
};

/// In two factors, for 2^exponent alone may be no float where the product is one. The first is added to the bits: the compiler multiplies
/// the factors of a product in any order.
inline Halide::Expr exponential(const Halide::Expr &x) {
    const SplitExponential split(x);
    const Halide::Expr half = split.exponent >> 1;
    const Halide::Expr first = Halide::reinterpret<float>(bits_of(1.0f + split.rest) + (half << 23));
    return unless_not_a_number(x, first * power_of_two(split.exponent - half));
}

/// exp(x) - 1 of what is not positive.
inline Halide::Expr exponential_minus_one(const Halide::Expr &x) {
    const SplitExponential split(max(x, -30.0f));
    const Halide::Expr power = power_of_two(split.exponent);
    return unless_not_a_number(x, select(split.exponent == 0, split.rest, power * split.rest + (power - 1.0f)));
}

/// exp(-|x|), which overflows nowhere.
inline Halide::Expr decayed(const Halide::Expr &x) { return exponential(-magnitude(x)); }

inline Halide::Expr sigmoid(const Halide::Expr &x) {
    const Halide::Expr e = decayed(x);
    return chosen(is_above(x, 0), 1.0f, e) / (1.0f + e);
}

inline Halide::Expr hyperbolic_tangent(const Halide::Expr &x) {
    const Halide::Expr e = exponential_minus_one(-2.0f * magnitude(x));
    const Halide::Expr below_zero = e / (e + 2.0f);
    return unless_not_a_number(x, chosen(bits_of(x) < 0, below_zero, -below_zero));
}

/// log(1 + e) of -1/2 to 1: twice the series of artanh(s) at s = e / (2 + e), of a magnitude of 1 / 3 at most, whose rest is below 2e-10 of
/// it.
inline Halide::Expr logarithm_of_one_plus(const Halide::Expr &e) {
    const Halide::Expr s = e / (2.0f + e);
    std::vector<float> coefficients;
    for (int i = 0; i < 9; i++) coefficients.push_back(2.0f / float(2 * i + 1));
    return s * polynomial(s * s, coefficients);
}

inline Halide::Expr soft_plus(const Halide::Expr &x) { return rectified(x) + logarithm_of_one_plus(decayed(x)); }

/// The share of a normal distribution below x: erfc(-x / sqrt(2)) / 2. Chebyshev's approximation of Numerical Recipes (Press et al., erfcc)
/// has an error of 1.2e-7 of erfc.
inline Halide::Expr normal_share(const Halide::Expr &x) {
    const Halide::Expr z = magnitude(x) * 0.70710678f, t = 1.0f / (1.0f + 0.5f * z);
    const Halide::Expr power = polynomial(t, {-1.26551223f, 1.00002368f, 0.37409196f, 0.09678418f, -0.18628806f, 0.27886807f, -1.13520398f,
                                              1.48851587f, -0.82215223f, 0.17087277f});
    const Halide::Expr tail = 0.5f * t * exponential(power - z * z);
    return unless_not_a_number(x, select(is_above(x, 0), 1.0f - tail, tail));
}

/// 0 below -3, 1 above 3.
inline Halide::Expr hard_sigmoid(const Halide::Expr &x) { return unless_not_a_number(x, clamp(x / 6.0f + 0.5f, 0.0f, 1.0f)); }

}  // namespace halcyon
