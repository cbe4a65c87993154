// What the direct and Winograd's convolutions share on x86.
#pragma once

#include "generators/layers/conv2d.h"
#include "plan/divisors.h"
#include "plan/menu.h"

#include <Halide.h>

#include <algorithm>
#include <limits>

namespace halcyon {

/// Pixels and vectors of channels of one image that stay in registers over all taps.
struct PixelTile {
    int width = 1, height = 1, vectors = 1;

    /// In half cycles a tap: its multiply-adds or its loads, of which a core does two a cycle, and at least the 4 cycles that a sum takes.
    int cost() const { return std::max({width * height * vectors, width * height + vectors, 8}); }
};

/// The tile that computes width x height pixels of `vectors` vectors of channels at the least cost, where those at the edges compute some
/// pixels twice. Of equal ones that with the most vectors: it loads less.
inline PixelTile cheapest_tile(int width, int height, int vectors, const Set &set) {
    PixelTile best;
    int least = std::numeric_limits<int>::max();
    for (PixelTile tile; tile.vectors <= vectors; tile.vectors++)
        for (tile.height = 1; tile.height <= height; tile.height++)
            for (tile.width = 1; tile.width <= width; tile.width++) {
                // The sums, a vector of weights for each of the channels, and the pixel they are multiplied by.
                if (tile.width * tile.height * tile.vectors + tile.vectors + 1 > set.vector_registers) break;
                const int cost =
                    tile.cost() * divide_up(width, tile.width) * divide_up(height, tile.height) * divide_up(vectors, tile.vectors);
                if (cost <= least) best = tile, least = cost;
            }
    return best;
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
