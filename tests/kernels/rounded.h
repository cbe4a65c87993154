// Arithmetic that knows how far a float32 kernel may be off, so that an oracle written once gives its own tolerance.
#pragma once

#include <cfloat>
#include <cmath>

namespace halcyon::oracle {

/// A number in double, and to first order how far float32 may be from it. An operation rounds its result by u = 2^-24 of it; a sum by that
/// of its terms, for the compiler may add them in another order. A quotient may be a product with a reciprocal, which rounds twice. All of
/// it counts double, because the compiler may multiply out a product of sums, in which every term is then rounded on its own. What is below
/// FLT_MIN may become 0.
struct Rounded {
    double value = 0, error = 0;

    Rounded() = default;
    Rounded(double exact, double off = 0) : value(exact), error(off) {}

    friend Rounded operator+(const Rounded &a, const Rounded &b) {
        return {a.value + b.value, a.error + b.error + rounding(std::abs(a.value) + std::abs(b.value))};
    }
    friend Rounded operator-(const Rounded &a, const Rounded &b) { return a + Rounded(-b.value, b.error); }
    friend Rounded operator*(const Rounded &a, const Rounded &b) {
        const double product = a.value * b.value;
        return {product, std::abs(a.value) * b.error + std::abs(b.value) * a.error + rounding(std::abs(product))};
    }
    friend Rounded operator/(const Rounded &a, const Rounded &b) {
        const double quotient = a.value / b.value;
        return {quotient, (a.error + std::abs(quotient) * b.error) / std::abs(b.value) + 2 * rounding(std::abs(quotient))};
    }
    friend Rounded sqrt(const Rounded &a) {
        const double root = std::sqrt(a.value);
        return {root, (a.value > 0 ? a.error / (2 * root) : std::sqrt(a.error)) + rounding(root)};
    }

private:
    static double rounding(double magnitude) { return 2 * 0x1p-24 * magnitude + FLT_MIN; }
};

}  // namespace halcyon::oracle
