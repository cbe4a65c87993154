// How far Winograd's convolutions may be from the exact sums. Each result is a sum of products of sums; every rounding on its way is at
// most u of a partial sum, and no partial sum is larger than the same computation makes it of absolute values, matrices included.
#include "plan/winograd.h"
#include "tests/kernels/arguments.h"

#include <cmath>
#include <functional>
#include <vector>

namespace halcyon {
namespace {

using oracle::Array;
using Plane = std::vector<std::vector<double>>;

/// |matrix| * values * |matrix|'
Plane transform(const Matrix &matrix, const Plane &values) {
    const std::size_t rows = matrix.size(), columns = matrix[0].size();
    Plane half(rows, std::vector<double>(columns)), result(rows, std::vector<double>(rows));
    for (std::size_t i = 0; i < rows; i++)
        for (std::size_t j = 0; j < columns; j++)
            for (std::size_t k = 0; k < columns; k++) half[i][j] += std::abs(matrix[i][k]) * values[k][j];
    for (std::size_t i = 0; i < rows; i++)
        for (std::size_t j = 0; j < rows; j++)
            for (std::size_t k = 0; k < columns; k++) result[i][j] += half[i][k] * std::abs(matrix[j][k]);
    return result;
}

/// The absolute values of a square of `extent` pixels whose first is (x, y); 0 outside. Row by row.
Plane square(const Array &activation, int extent, int c, int x, int y, int n) {
    Plane values(extent, std::vector<double>(extent));
    for (int j = 0; j < extent; j++)
        for (int i = 0; i < extent; i++)
            if (x + i >= 0 && x + i < activation.extent(1) && y + j >= 0 && y + j < activation.extent(2))
                values[j][i] = std::abs(activation(c, x + i, y + j, n));
    return values;
}

void add_products(Plane &sum, const Plane &a, const Plane &b) {
    for (std::size_t i = 0; i < sum.size(); i++)
        for (std::size_t j = 0; j < sum.size(); j++) sum[i][j] += a[i][j] * b[i][j];
}

/// Of the transforms of three to six terms, twice each, of both factors and of the result, and of the sum of up to four tiles.
constexpr double transform_roundings = 40;

/// The transformed weights of every pair of channels.
std::vector<std::vector<Plane>> transform_weights(const WinogradTile &tile, const Shape &s, const Array &weights) {
    std::vector<std::vector<Plane>> transformed(s.out_c, std::vector<Plane>(s.in_c));
    for (int k = 0; k < s.out_c; k++)
        for (int c = 0; c < s.in_c; c++) {
            Plane values(3, std::vector<double>(3));
            for (int dy = 0; dy < 3; dy++)
                for (int dx = 0; dx < 3; dx++) values[dy][dx] = std::abs(weights(k, c, dx, dy));
            transformed[k][c] = transform(tile.weights, values);
        }
    return transformed;
}

Plane zeros(const WinogradTile &tile) { return Plane(tile.inputs(), std::vector<double>(tile.inputs())); }

/// Calls visit(x, y, n) for the first output of every tile.
void for_each_tile(const WinogradTile &tile, const Shape &s, int images, const std::function<void(int x, int y, int n)> &visit) {
    for (int n = 0; n < images; n++)
        for (int y = 0; y < s.out_h; y += tile.outputs)
            for (int x = 0; x < s.out_w; x += tile.outputs) visit(x, y, n);
}

void forward(const WinogradTile &tile, const Shape &s, const Array &input, const Array &weights, Array &tolerance) {
    const auto transformed = transform_weights(tile, s, weights);
    for_each_tile(tile, s, input.extent(3), [&](int x, int y, int n) {
        std::vector<Plane> inputs;
        for (int c = 0; c < s.in_c; c++)
            inputs.push_back(transform(tile.input, square(input, tile.inputs(), c, x - s.pad_left, y - s.pad_top, n)));
        for (int k = 0; k < s.out_c; k++) {
            Plane sum = zeros(tile);
            for (int c = 0; c < s.in_c; c++) add_products(sum, transformed[k][c], inputs[c]);
            const Plane magnitudes = transform(tile.output, sum);
            for (int j = 0; j < tile.outputs && y + j < s.out_h; j++)
                for (int i = 0; i < tile.outputs && x + i < s.out_w; i++)
                    tolerance(k, x + i, y + j, n) = sum_error(s.in_c + transform_roundings, magnitudes[j][i]);
        }
    });
}

/// A weight's transform is a sum of up to nine terms of three factors.
void transformed_weights(const WinogradTile &tile, const Shape &s, const Array &weights, Array &tolerance) {
    const auto magnitudes = transform_weights(tile, s, weights);
    for (int k = 0; k < s.out_c; k++)
        for (int c = 0; c < s.in_c; c++)
            for (int b = 0; b < tile.inputs(); b++)
                for (int a = 0; a < tile.inputs(); a++) tolerance(k, c, a, b) = sum_error(9, magnitudes[k][c][b][a]);
}

/// The weights of Shape::backward_data().
Array turned(const Shape &s, const Array &weights) {
    Array turned({s.in_c, s.out_c, 3, 3});
    for (int k = 0; k < s.out_c; k++)
        for (int c = 0; c < s.in_c; c++)
            for (int dy = 0; dy < 3; dy++)
                for (int dx = 0; dx < 3; dx++) turned(c, k, dx, dy) = weights(k, c, 2 - dx, 2 - dy);
    return turned;
}

void backward_data(const WinogradTile &tile, const Shape &s, const Array &d_output, const Array &weights, Array &tolerance) {
    const auto transformed = transform_weights(tile, s, weights);
    const Matrix from_output = transposed(tile.output), from_input = transposed(tile.input);
    for_each_tile(tile, s, d_output.extent(3), [&](int x, int y, int n) {
        std::vector<Plane> gradients;
        for (int k = 0; k < s.out_c; k++) gradients.push_back(transform(from_output, square(d_output, tile.outputs, k, x, y, n)));
        for (int c = 0; c < s.in_c; c++) {
            Plane sum = zeros(tile);
            for (int k = 0; k < s.out_c; k++) add_products(sum, transformed[k][c], gradients[k]);
            const Plane magnitudes = transform(from_input, sum);
            for (int j = 0; j < tile.inputs(); j++)
                for (int i = 0; i < tile.inputs(); i++) {
                    const int in_x = x + i - s.pad_left, in_y = y + j - s.pad_top;
                    if (in_x >= 0 && in_x < s.in_w && in_y >= 0 && in_y < s.in_h)
                        tolerance(c, in_x, in_y, n) += sum_error(s.out_c + transform_roundings, magnitudes[j][i]);
                }
        }
    });
}

void backward_weights(const WinogradTile &tile, const Shape &s, const Array &input, const Array &d_output, Array &tolerance) {
    std::vector<std::vector<Plane>> sums(s.out_c, std::vector<Plane>(s.in_c, zeros(tile)));
    for_each_tile(tile, s, input.extent(3), [&](int x, int y, int n) {
        std::vector<Plane> inputs, gradients;
        for (int c = 0; c < s.in_c; c++)
            inputs.push_back(transform(tile.input, square(input, tile.inputs(), c, x - s.pad_left, y - s.pad_top, n)));
        for (int k = 0; k < s.out_c; k++)
            gradients.push_back(transform(transposed(tile.output), square(d_output, tile.outputs, k, x, y, n)));
        for (int k = 0; k < s.out_c; k++)
            for (int c = 0; c < s.in_c; c++) add_products(sums[k][c], gradients[k], inputs[c]);
    });
    const double terms = double(input.extent(3)) * tile.tiles(s.out_h) * tile.tiles(s.out_w) + transform_roundings;
    for (int k = 0; k < s.out_c; k++)
        for (int c = 0; c < s.in_c; c++) {
            const Plane magnitudes = transform(transposed(tile.weights), sums[k][c]);
            for (int dy = 0; dy < 3; dy++)
                for (int dx = 0; dx < 3; dx++) tolerance(k, c, dx, dy) = sum_error(terms, magnitudes[dy][dx]);
        }
}

}  // namespace

void winograd_tolerances(const WinogradTile &tile, const std::string &entry, const Arguments &before, Arguments &tolerance) {
    const Shape &s = before.kernel.shape;
    const std::string &core = before.kernel.core;
    if (core == "winograd_weights")
        transformed_weights(tile, s, before["weights"], tolerance["transformed_weights"]);
    else if (core == "conv2d_fwd")
        forward(tile, s, before["input"], oracle::plain_weights(s, before["weights"]), tolerance["output"]);
    else if (entry.ends_with("_input_tiles"))
        forward(tile, s.backward_data(), before["d_output"], turned(s, before["weights"]), tolerance["d_input"]);
    else if (core == "conv2d_bwd_data")
        backward_data(tile, s, before["d_output"], before["weights"], tolerance["d_input"]);
    else
        backward_weights(tile, s, before["input"], before["d_output"], tolerance["d_weights"]);
}

}  // namespace halcyon
