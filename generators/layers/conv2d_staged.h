// The convolutions of devices: the sums of conv2d.h in the steps in which a block of threads makes them. The summed channels are cut into
// chunks. What a block reads of a chunk is staged in its shared memory, the padding as zeros and images beyond the batch as the last one
// once more, so that the loops over it ask nothing.
#pragma once

#include "plan/block_tile.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// sum(to, x, y, n) = initial(to) + sum over from, dx, dy of weights(to, from, dx, dy) * pixels(from, column, row, n). Forward goes from c
/// to k, the gradient of the data from k to c; where a tap finds its pixel is theirs to say.
struct StagedSum {
    Halide::Var to{"to"}, from{"from"}, x{"x"}, y{"y"}, n{"n"}, dx{"dx"}, dy{"dy"}, chunk{"chunk"}, chunk_row{"chunk_row"};
    BlockTile tile;
    Halide::RDom taps;    // of a chunk: its channels, dx, its rows dy
    Halide::RDom chunks;  // channels, rows; added up in order
    Halide::Func weights{"staged_weights"}, pixels{"staged_pixels"}, part{"part"}, sum{"sum"};

    StagedSum(const BlockTile &tile, int from_channels, const Shape &s)
        : tile(tile), taps(0, tile.chunk, 0, s.kernel_w, 0, tile.rows, "taps"),
          chunks(0, from_channels / tile.chunk, 0, s.kernel_h / tile.rows, "chunks") {}

protected:
    /// The row of the window that a tap of a chunk lies in.
    Halide::Expr tap_row() const { return chunk_row * tile.rows + taps.z; }

    void add_up(const Halide::Expr &initial, const Halide::Expr &column, const Halide::Expr &row) {
        const Halide::Expr channel = chunk * tile.chunk + taps.x;
        part(to, x, y, n, chunk, chunk_row) = 0.0f;
        part(to, x, y, n, chunk, chunk_row) += weights(to, channel, taps.y, tap_row()) * pixels(channel, column, row, n);
        sum(to, x, y, n) = initial;
        sum(to, x, y, n) += part(to, x, y, n, chunks.x, chunks.y);
    }

    static Halide::Expr within(const Halide::Expr &at, int extent) { return at >= 0 && at < extent; }
};

struct Conv2dForwardStaged : StagedSum {
    Halide::Func output{"output"};

    Conv2dForwardStaged(const BlockTile &tile, const Halide::Func &input, const Halide::Func &tap_weights, const Halide::Func &bias,
                        const Halide::Expr &images, const Shape &s)
        : StagedSum(tile, s.in_c, s) {
        weights(to, from, dx, dy) = tap_weights(to, from, dx, dy);
        const Halide::Expr pixel = input(from, clamp(x, 0, s.in_w - 1), clamp(y, 0, s.in_h - 1), min(n, images - 1));
        pixels(from, x, y, n) = s.padded() ? select(within(x, s.in_w) && within(y, s.in_h), pixel, 0.0f) : pixel;
        add_up(bias(to), x * s.stride_w + taps.y - s.pad_left, y * s.stride_h + tap_row() - s.pad_top);
        output(to, x, y, n) = sum(to, x, y, n);
    }
};

/// `pixels` lie as far apart as the input's, with zeros between where the convolution strides.
struct Conv2dBackwardDataStaged : StagedSum {
    Halide::Func d_input{"d_input"};

    Conv2dBackwardDataStaged(const BlockTile &tile, const Halide::Func &d_output, const Halide::Func &tap_weights,
                             const Halide::Expr &images, const Shape &s)
        : StagedSum(tile, s.out_c, s) {
        weights(to, from, dx, dy) = tap_weights(from, to, dx, dy);
        const Halide::Expr out_x = x / s.stride_w, out_y = y / s.stride_h;
        const Halide::Expr inside = x % s.stride_w == 0 && within(out_x, s.out_w) && y % s.stride_h == 0 && within(out_y, s.out_h);
        pixels(from, x, y, n) =
            select(inside, d_output(from, clamp(out_x, 0, s.out_w - 1), clamp(out_y, 0, s.out_h - 1), min(n, images - 1)), 0.0f);
        add_up(0.0f, x + s.pad_left - taps.y, y + s.pad_top - tap_row());
        d_input(to, x, y, n) = sum(to, x, y, n);
    }
};

/// The gradients of the weights and of the bias, which is the weight of one more input that is always 1. The sums over pixels are made in
/// parts, which are added up in order.
struct Conv2dBackwardWeightsStaged {
    Halide::Var k{"k"}, c{"c"}, dx{"dx"}, dy{"dy"};
    Halide::Var column{"column"}, n{"n"}, pixel{"pixel"}, part{"part"}, chunk{"chunk"};  // column: c of a tap, in the order of the weights
    WeightsTile tile;
    Halide::RDom images;  // of a chunk
    Halide::RDom chunks;  // images, pixel
    Halide::Func gradients{"staged_gradients"}, inputs{"staged_inputs"}, chunk_sum{"chunk_sum"}, sum{"sum"}, parts{"parts"};
    Halide::Func d_weights{"d_weights"}, d_bias{"d_bias"};

    Conv2dBackwardWeightsStaged(const WeightsTile &tile, const Halide::Func &input, const Halide::Func &d_output, const Halide::Expr &batch,
                                const Shape &s)
        : tile(tile), images(0, tile.chunk, "images"), chunks(0, (batch + tile.chunk - 1) / tile.chunk, 0, tile.pixels, "chunks") {
        const Halide::Expr x = pixel % s.out_w, y = min(pixel / s.out_w, s.out_h - 1), image = min(n, batch - 1);
        gradients(k, n, pixel) = select(n < batch && pixel < s.out_w * s.out_h, d_output(k, x, y, image), 0.0f);
        const int bias = s.in_c * s.kernel_w * s.kernel_h;
        const Halide::Expr tap = column / s.in_c;
        const Halide::Expr in_x = x * s.stride_w + tap % s.kernel_w - s.pad_left, in_y = y * s.stride_h + tap / s.kernel_w - s.pad_top;
        const Halide::Expr inside = in_x >= 0 && in_x < s.in_w && in_y >= 0 && in_y < s.in_h;
        const Halide::Expr value = input(column % s.in_c, clamp(in_x, 0, s.in_w - 1), clamp(in_y, 0, s.in_h - 1), image);
        inputs(column, n, pixel) = select(column == bias, 1.0f, inside, value, 0.0f);

        const Halide::Expr at_image = chunk * tile.chunk + images;
        chunk_sum(k, column, pixel, chunk) = 0.0f;
        chunk_sum(k, column, pixel, chunk) += gradients(k, at_image, pixel) * inputs(column, at_image, pixel);
        sum(k, column, part) = 0.0f;
        sum(k, column, part) += chunk_sum(k, column, part * tile.pixels + chunks.y, chunks.x);
        parts(k, column, part) = sum(k, column, part);
        d_weights(k, c, dx, dy) = add_parts(c + s.in_c * (dx + s.kernel_w * dy));
        d_bias(k) = add_parts(bias);
    }

private:
    Halide::Expr add_parts(const Halide::Expr &at) {
        Halide::Expr total = parts(k, at, 0);
        for (int i = 1; i < tile.parts; i++) total += parts(k, at, i);
        return total;
    }
};

}  // namespace halcyon
