// Winograd's algorithms for the three kernels of a 3x3 convolution of stride 1; plan/winograd.h has the formulas and the matrices.
//
// A tile is (tx, ty); in it a counts columns and b rows of the transformed domain.
#pragma once

#include "generators/layers/conv2d.h"
#include "plan/shape.h"
#include "plan/winograd.h"

#include <Halide.h>

#include <functional>
#include <optional>
#include <vector>

namespace halcyon {

/// The sum of row * values, without the zeros. The even columns and the odd ones are added apart: the rows of opposite points have the same
/// even part and opposite odd parts, which the compiler then computes once.
inline Halide::Expr dot(const std::vector<float> &row, const std::function<Halide::Expr(int)> &value) {
    Halide::Expr parts[2];
    for (int i = 0; i < int(row.size()); i++) {
        if (row[i] == 0) continue;
        const Halide::Expr term = row[i] == 1 ? value(i) : value(i) * row[i];
        Halide::Expr &part = parts[i % 2];
        part = part.defined() ? part + term : term;
    }
    if (!parts[0].defined()) return parts[1];
    return parts[1].defined() ? parts[0] + parts[1] : parts[0];
}

/// Row `row` of matrix * values, for a row that is a constant once its loop is unrolled.
inline Halide::Expr transform(const Matrix &matrix, const Halide::Expr &row, const std::function<Halide::Expr(int)> &value) {
    std::vector<Halide::Expr> rows;
    for (const std::vector<float> &coefficients : matrix) rows.push_back(dot(coefficients, value));
    return mux(row, rows);
}

/// An activation of width x height, of which tiles read more: the pixel at the border where it meets only outputs that are not there, else
/// (`padding`) 0. Images beyond the batch repeat the last one, for blocks of images reach beyond it too.
class ExtendedActivation {
public:
    ExtendedActivation(const Halide::Func &activation, int width, int height, const Halide::Expr &images, bool padding)
        : activation_(activation), width_(width), height_(height), images_(images), padding_(padding) {}

    Halide::Expr operator()(const Halide::Expr &c, const Halide::Expr &x, const Halide::Expr &y, const Halide::Expr &n) const {
        const Halide::Expr value = activation_(c, clamp(x, 0, width_ - 1), clamp(y, 0, height_ - 1), min(n, images_ - 1));
        return padding_ ? select(x >= 0 && x < width_ && y >= 0 && y < height_, value, 0.0f) : value;
    }

private:
    Halide::Func activation_;
    int width_, height_;
    Halide::Expr images_;
    bool padding_;
};

/// The gradient of the outputs, 0 in the part of the last tiles that has none.
inline ExtendedActivation extended_gradient(const WinogradTile &tile, const Halide::Func &d_output, const Halide::Expr &images,
                                            const Shape &s) {
    const bool whole_tiles = s.out_w % tile.outputs == 0 && s.out_h % tile.outputs == 0;
    return {d_output, s.out_w, s.out_h, images, !whole_tiles};
}

/// G w G' of every pair of channels.
struct WinogradWeights {
    Halide::Var k{"k"}, c{"c"}, a{"a"}, b{"b"}, i{"i"};
    Halide::Func weight_columns{"weight_columns"}, transformed_weights{"transformed_weights"};

    WinogradWeights(const WinogradTile &tile, const Halide::Func &weights) {
        using Halide::Expr;
        weight_columns(k, c, a, i) = transform(tile.weights, a, [&](int dx) { return Expr(weights(k, c, dx, i)); });
        transformed_weights(k, c, a, b) = transform(tile.weights, b, [&](int dy) { return Expr(weight_columns(k, c, a, dy)); });
    }
};

/// Shape::tile says whether `weights` are transformed already.
struct Conv2dForwardWinograd {
    Halide::Var k{"k"}, c{"c"}, x{"x"}, y{"y"}, n{"n"}, tx{"tx"}, ty{"ty"}, a{"a"}, b{"b"}, i{"i"};
    Halide::RDom channels;  // c
    int outputs;            // of a tile, along either axis
    std::optional<WinogradWeights> own_weights;
    Halide::Func input_columns{"input_columns"}, transformed_input{"transformed_input"};
    Halide::Func sum{"sum"}, products{"products"}, output_columns{"output_columns"}, output{"output"};

    Conv2dForwardWinograd(const WinogradTile &tile, const Halide::Func &input, const Halide::Func &weights, const Halide::Func &bias,
                          const Halide::Expr &images, const Shape &s)
        : channels(0, s.in_c, "channels"), outputs(tile.outputs) {
        using Halide::Expr;
        const int m = outputs;
        const ExtendedActivation extended_input(input, s.in_w, s.in_h, images, s.padded());
        if (s.tile == 0) own_weights.emplace(tile, weights);
        const Halide::Func transformed_weights = own_weights ? own_weights->transformed_weights : weights;

        input_columns(c, n, tx, ty, a, i) = transform(
            tile.input, a, [&](int column) { return extended_input(c, tx * m + column - s.pad_left, ty * m + i - s.pad_top, n); });
        transformed_input(c, n, tx, ty, a, b) =
            transform(tile.input, b, [&](int row) { return Expr(input_columns(c, n, tx, ty, a, row)); });

        sum(k, n, tx, ty, a, b) = 0.0f;
        sum(k, n, tx, ty, a, b) += transformed_weights(k, channels, a, b) * transformed_input(channels, n, tx, ty, a, b);
        products(k, n, tx, ty, a, b) = sum(k, n, tx, ty, a, b);

        output_columns(k, n, tx, ty, i, b) = transform(tile.output, i, [&](int of) { return Expr(products(k, n, tx, ty, of, b)); });
        const Expr convolution = transform(tile.output, y % m, [&](int of) { return Expr(output_columns(k, n, x / m, y / m, x % m, of)); });
        output(k, x, y, n) = convolution + bias(k);
    }
};

/// The gradient of the input as the convolution Shape::backward_data(), whose weights are those of the other one turned round.
struct Conv2dBackwardDataInputTiles {
    Halide::Var k{"k"}, c{"c"}, dx{"dx"}, dy{"dy"};
    Halide::Func turned_weights{"turned_weights"}, no_bias{"no_bias"};
    Conv2dForwardWinograd convolution;

    Conv2dBackwardDataInputTiles(const WinogradTile &tile, const Halide::Func &d_output, const Halide::Func &weights,
                                 const Halide::Expr &images, const Shape &s)
        : convolution(tile, d_output, turned(weights), without_bias(), images, s.backward_data()) {}

private:
    Halide::Func turned(const Halide::Func &weights) {
        turned_weights(c, k, dx, dy) = weights(k, c, 2 - dx, 2 - dy);
        return turned_weights;
    }
    Halide::Func without_bias() {
        no_bias(c) = 0.0f;
        return no_bias;
    }
};

/// The transpose of the forward transforms: a tile of gradients gives a gradient to each of its (m + 2) x (m + 2) inputs, and neighbouring
/// tiles add up where they share two columns or rows. No more products than forward, where a convolution of the padded gradient would take
/// more tiles.
struct Conv2dBackwardDataWinograd {
    Halide::Var c{"c"}, k{"k"}, x{"x"}, y{"y"}, n{"n"}, tx{"tx"}, ty{"ty"}, a{"a"}, b{"b"}, i{"i"};
    Halide::RDom channels;  // k
    Halide::Func weight_columns{"weight_columns"}, transformed_weights{"transformed_weights"};
    Halide::Func gradient_columns{"gradient_columns"}, transformed_gradient{"transformed_gradient"};
    Halide::Func sum{"sum"}, products{"products"}, input_columns{"input_columns"}, d_input{"d_input"};

    Conv2dBackwardDataWinograd(const WinogradTile &tile, const Halide::Func &d_output, const Halide::Func &weights,
                               const Halide::Expr &images, const Shape &s)
        : channels(0, s.out_c, "channels") {
        using Halide::Expr;
        const int m = tile.outputs;
        const Matrix from_output = transposed(tile.output), from_input = transposed(tile.input);
        const ExtendedActivation gradient = extended_gradient(tile, d_output, images, s);

        weight_columns(c, k, a, i) = transform(tile.weights, a, [&](int dx) { return Expr(weights(k, c, dx, i)); });
        transformed_weights(c, k, a, b) = transform(tile.weights, b, [&](int dy) { return Expr(weight_columns(c, k, a, dy)); });
        gradient_columns(k, n, tx, ty, a, i) =
            transform(from_output, a, [&](int column) { return gradient(k, tx * m + column, ty * m + i, n); });
        transformed_gradient(k, n, tx, ty, a, b) =
            transform(from_output, b, [&](int row) { return Expr(gradient_columns(k, n, tx, ty, a, row)); });

        sum(c, n, tx, ty, a, b) = 0.0f;
        sum(c, n, tx, ty, a, b) += transformed_weights(c, channels, a, b) * transformed_gradient(channels, n, tx, ty, a, b);
        products(c, n, tx, ty, a, b) = sum(c, n, tx, ty, a, b);

        // Along each axis pixel p, counted with the padding, is number p % m of tile p / m and number p % m + m of the tile before.
        const auto gather = [&](const Expr &pixel, int tiles, const std::function<Expr(const Expr &tile, int of)> &transformed) {
            const auto from = [&](const Expr &at, const Expr &number) {
                const Expr inside = clamp(at, 0, tiles - 1);
                const Expr value = transform(from_input, number, [&](int of) { return transformed(inside, of); });
                return select(at == inside, value, 0.0f);
            };
            return from(pixel / m, pixel % m) + select(pixel % m < 2, from(pixel / m - 1, pixel % m + m), 0.0f);
        };
        input_columns(c, n, x, ty, b) =
            gather(x + s.pad_left, tile.tiles(s.out_w), [&](const Expr &at, int of) { return Expr(products(c, n, at, ty, of, b)); });
        d_input(c, x, y, n) =
            gather(y + s.pad_top, tile.tiles(s.out_h), [&](const Expr &at, int of) { return Expr(input_columns(c, n, x, at, of)); });
    }
};

/// d_weights from the sums, over all tiles and images, of products in the transformed domain: over a row of tiles first, then over the rows
/// in order. A task makes one row b of the transformed domain, for which b is no constant: its first transform takes the coefficients from
/// a table.
struct Conv2dBackwardWeightsWinograd : BiasGradient {
    Halide::Var c{"c"}, dx{"dx"}, dy{"dy"}, n{"n"}, tx{"tx"}, ty{"ty"}, a{"a"}, b{"b"}, i{"i"};
    Halide::RDom tiles;  // n, tx
    Halide::RDom tile_rows;
    Halide::Func input_coefficients{"input_coefficients"}, input_rows{"input_rows"}, transformed_input{"transformed_input"};
    Halide::Func output_coefficients{"output_coefficients"}, gradient_rows{"gradient_rows"}, transformed_gradient{"transformed_gradient"};
    Halide::Func row_products{"row_products"}, products{"products"}, weight_rows{"weight_rows"}, d_weights{"d_weights"};

    Conv2dBackwardWeightsWinograd(const WinogradTile &tile, const Halide::Func &input, const Halide::Func &d_output,
                                  const Halide::Expr &images, const Shape &s)
        : BiasGradient(d_output, images, s), tiles(0, images, 0, tile.tiles(s.out_w), "tiles"),
          tile_rows(0, tile.tiles(s.out_h), "tile_rows") {
        using Halide::Expr;
        const int m = tile.outputs;
        const ExtendedActivation extended_input(input, s.in_w, s.in_h, images, s.padded());
        const ExtendedActivation gradient = extended_gradient(tile, d_output, images, s);
        const Matrix from_output = transposed(tile.output), from_weights = transposed(tile.weights);

        input_coefficients(i, b) = table(tile.input);
        Expr row = 0.0f;
        for (int y = 0; y < tile.inputs(); y++)
            row += input_coefficients(y, b) * extended_input(c, tx * m + i - s.pad_left, ty * m + y - s.pad_top, n);
        input_rows(c, n, tx, ty, i, b) = row;
        transformed_input(c, n, tx, ty, a, b) = transform(tile.input, a, [&](int x) { return Expr(input_rows(c, n, tx, ty, x, b)); });

        output_coefficients(i, b) = table(from_output);
        row = 0.0f;
        for (int y = 0; y < m; y++) row += output_coefficients(y, b) * gradient(k, tx * m + i, ty * m + y, n);
        gradient_rows(k, n, tx, ty, i, b) = row;
        transformed_gradient(k, n, tx, ty, a, b) =
            transform(from_output, a, [&](int x) { return Expr(gradient_rows(k, n, tx, ty, x, b)); });

        row_products(k, c, a, b, ty) = 0.0f;
        row_products(k, c, a, b, ty) +=
            transformed_gradient(k, tiles.x, tiles.y, ty, a, b) * transformed_input(c, tiles.x, tiles.y, ty, a, b);
        products(k, c, a, b) = 0.0f;
        products(k, c, a, b) += row_products(k, c, a, b, tile_rows);
        weight_rows(k, c, a, dy) = transform(from_weights, dy, [&](int of) { return Expr(products(k, c, a, of)); });
        d_weights(k, c, dx, dy) = transform(from_weights, dx, [&](int of) { return Expr(weight_rows(k, c, of, dy)); });
    }

private:
    /// Element i of row b.
    Halide::Expr table(const Matrix &matrix) const {
        std::vector<Halide::Expr> rows;
        for (const std::vector<float> &coefficients : matrix)
            rows.push_back(mux(i, std::vector<Halide::Expr>(coefficients.begin(), coefficients.end())));
        return mux(b, rows);
    }
};

}  // namespace halcyon
