// Comparisons that hand NaN on, as Keras's and PyTorch's layers do: a weight or an activation that is no number must reach the loss.
//
// Halide's own max(), and LLVM's behind it, take it that no value is NaN: max(x, 0) is 0 for NaN, and so is exp(). LLVM folds tests for NaN
// of what arithmetic made, because that "is never NaN". So the tests below look at the bits, and choose between bits. strict_float() would
// not do: it takes the fused multiply-adds with it, and OpenCL has no vectors of its comparisons. tests/kernels hands every compiled kernel
// NaN and the infinities.
#pragma once

#include <Halide.h>

#include <limits>

namespace halcyon {

inline Halide::Expr bits_of(const Halide::Expr &x) { return Halide::reinterpret<int32_t>(x); }

constexpr int infinity_bits = 0x7f800000;

/// The bits of |x|: they are ordered as the values are, and every NaN lies above infinity.
inline Halide::Expr magnitude_bits(const Halide::Expr &x) { return bits_of(x) & 0x7fffffff; }

inline Halide::Expr is_not_a_number(const Halide::Expr &x) { return magnitude_bits(x) > infinity_bits; }
inline Halide::Expr is_finite_number(const Halide::Expr &x) { return magnitude_bits(x) < infinity_bits; }

/// `value` where `holds`, else NaN.
inline Halide::Expr or_not_a_number(const Halide::Expr &holds, const Halide::Expr &value) {
    return Halide::reinterpret<float>(select(holds, bits_of(value), 0x7fc00000));
}

/// max(x, 0), and NaN where x is. As an integer with a sign, -infinity is the largest of the negative numbers, and below every NaN.
inline Halide::Expr rectified(const Halide::Expr &x) {
    constexpr int sign_bit = std::numeric_limits<int>::min();
    return Halide::reinterpret<float>(select(bits_of(x) <= (sign_bit | infinity_bits), 0, bits_of(x)));
}

/// min(x, 0), and NaN where x is.
inline Halide::Expr below_zero(const Halide::Expr &x) {
    return Halide::reinterpret<float>(select(bits_of(x) >= 0 && bits_of(x) <= infinity_bits, 0, bits_of(x)));
}

/// The gradient of a ReLU's input. Its `output` is 0, positive or NaN: where it is 0, nothing passes.
inline Halide::Expr through_relu(const Halide::Expr &output, const Halide::Expr &gradient) {
    return Halide::reinterpret<float>(select(bits_of(output) == 0, 0, bits_of(gradient)));
}

/// `x` for a comparison with others: infinity where it is NaN. A comparison that met NaN itself might go either way.
inline Halide::Expr comparable(const Halide::Expr &x) {
    return Halide::reinterpret<float>(select(is_not_a_number(x), infinity_bits, bits_of(x)));
}

}  // namespace halcyon
