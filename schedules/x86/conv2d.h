// What the direct and Winograd's convolutions share on x86.
#pragma once

#include "generators/layers/conv2d.h"

#include <Halide.h>

namespace halcyon {

/// The largest divisor of `n` that is at most `limit`.
inline int divisor_up_to(int limit, int n) {
    while (n % limit) limit--;
    return limit;
}

/// The largest power of two that divides `n` and is at most `limit`, itself a power of two.
inline int power_of_two_divisor(int limit, int n) {
    while (n % limit) limit /= 2;
    return limit;
}

/// The sums over `images` of a tile of output channels `k` x input channels `c`, made in registers where `loop` of `consumer` takes them.
inline void sum_in_registers(Halide::Func sums, Halide::Func consumer, const Halide::Var &loop, const Halide::Var &k, const Halide::Var &c,
                             const Halide::RVar &images, int vector) {
    sums.compute_at(consumer, loop)
        .vectorize(k, vector)
        .unroll(k)
        .unroll(c)
        .update()
        .reorder(k, c, images)
        .vectorize(k, vector)
        .unroll(k)
        .unroll(c);
}

/// The rows in parallel, all channels of a pixel at a time.
inline void bias_rows(BiasGradient &f, int vector) {
    f.bias_rows.compute_root()
        .vectorize(f.k, vector)
        .parallel(f.y)
        .update()
        .reorder(f.k, f.row_pixels.x, f.row_pixels.y)
        .vectorize(f.k, vector)
        .unroll(f.k)
        .parallel(f.y);
    f.d_bias.vectorize(f.k, vector).update().reorder(f.k, f.rows).vectorize(f.k, vector);
}

}  // namespace halcyon
