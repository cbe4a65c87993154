// Noise: random numbers of a normal distribution, of the mean 0 and the standard deviation 1.
#pragma once

#include "generators/layers/activations.h"
#include "generators/layers/philox.h"
#include "plan/step.h"

#include <Halide.h>

namespace halcyon {

/// log(u) of 2^-24 to 1, with the relative precision of a float near 1 too: u = 2^exponent m with m from sqrt(1/2) to sqrt(2).
inline Halide::Expr logarithm_of_share(const Halide::Expr &u) {
    constexpr int root_of_half_bits = 0x3f3504f3;
    const Halide::Expr exponent = (bits_of(u) - root_of_half_bits) >> 23;
    const Halide::Expr m = Halide::reinterpret<float>(bits_of(u) - (exponent << 23));
    return Halide::cast<float>(exponent) * 0.693147181f + logarithm_of_one_plus(m - 1.0f);
}

/// sin(x) of -pi/2 to pi/2, by its series, whose rest is below 7e-10.
inline Halide::Expr sine(const Halide::Expr &x) {
    return x * polynomial(x * x, {1.0f, -1.0f / 6, 1.0f / 120, -1.0f / 5040, 1.0f / 362880, -1.0f / 39916800, 1.0f / 6227020800.0f});
}

/// The noise of an element of a layer with so many channels and columns. Each element of an image has a pair of random words of its own, of
/// which Box and Muller's transform makes a number: sqrt(-2 log(u)) cos(2 pi v), with u in (0, 1] and v in [0, 1) of 24 bits. It is at most
/// 5.8.
inline Halide::Expr noise(const Halide::Func &step, int layer, int channels, int width, const Halide::Expr &c, const Halide::Expr &x,
                          const Halide::Expr &y, const Halide::Expr &n) {
    const Halide::Expr element = Halide::cast<uint32_t>((y * width + x) * channels + c);
    const auto words = philox2x32({place_in_epoch(step, n), element}, stream_key(step, stream_first_noise + layer));
    const Halide::Expr k = Halide::cast<int>(words[0] >> 8), l = Halide::cast<int>(words[1] >> 8);
    const Halide::Expr u = Halide::cast<float>(k + 1) * 0x1p-24f;
    // cos(2 pi v) = -cos(2 pi (v - 1/2)) = sin(2 pi (|v - 1/2| - 1/4)), whose differences are those of integers: the compiler would
    // multiply out those of floats, which rounds.
    const Halide::Expr turn = Halide::cast<float>(Halide::cast<int>(abs(l - (1 << 23))) - (1 << 22));
    return sqrt(-2.0f * logarithm_of_share(u)) * sine(turn * (6.28318531f * 0x1p-24f));
}

}  // namespace halcyon
