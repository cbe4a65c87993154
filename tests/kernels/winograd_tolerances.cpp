// How far Winograd's convolutions may be from the exact sums. Each result is a sum of products of sums; every rounding on its way is at
// most u of a partial sum, and no partial sum is larger than the same computation makes it of absolute values, matrices included.
#include "schedules/winograd.h"
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

Matrix transposed(const Matrix &matrix) {
    Matrix result(matrix[0].size(), std::vector<float>(matrix.size()));
    for (std::size_t i = 0; i < matrix.size(); i++)
        for (std::size_t j = 0; j < matrix[i].size(); j++) result[j][i] = matrix[i][j];
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

/// Transforms of three or six terms, twice each, of the weights, the input and the output; the products of a result's rows.
constexpr double transform_roundings = 40;

/// Of convolution(k, x, y, n) = sum over c, dx, dy of weights(k, c, dx, dy) * input(c, x + dx - pad, y + dy - pad, n).
void convolution(const WinogradTile &tile, const Array &input, int pad_left, int pad_top,
                 const std::function<double(int k, int c, int dx, int dy)> &weights, Array &tolerance) {
    const int in_c = input.extent(0), out_c = tolerance.extent(0), m = tile.outputs;
    std::vector<std::vector<Plane>> transformed(out_c, std::vector<Plane>(in_c));
    for (int k = 0; k < out_c; k++)
        for (int c = 0; c < in_c; c++) {
            Plane values(3, std::vector<double>(3));
            for (int dy = 0; dy < 3; dy++)
                for (int dx = 0; dx < 3; dx++) values[dy][dx] = std::abs(weights(k, c, dx, dy));
            transformed[k][c] = transform(tile.weights, values);
        }
    for (int n = 0; n < tolerance.extent(3); n++)
        for (int y = 0; y < tolerance.extent(2); y += m)
            for (int x = 0; x < tolerance.extent(1); x += m) {
                std::vector<Plane> inputs;
                for (int c = 0; c < in_c; c++)
                    inputs.push_back(transform(tile.input, square(input, tile.inputs(), c, x - pad_left, y - pad_top, n)));
                for (int k = 0; k < out_c; k++) {
                    Plane sum(tile.inputs(), std::vector<double>(tile.inputs()));
                    for (int c = 0; c < in_c; c++) add_products(sum, transformed[k][c], inputs[c]);
                    const Plane magnitudes = transform(tile.output, sum);
                    for (int j = 0; j < m && y + j < tolerance.extent(2); j++)
                        for (int i = 0; i < m && x + i < tolerance.extent(1); i++)
                            tolerance(k, x + i, y + j, n) = sum_error(in_c + transform_roundings, magnitudes[j][i]);
                }
            }
}

void backward_weights(const WinogradTile &tile, const Shape &s, const Array &input, const Array &d_output, Array &tolerance) {
    const int m = tile.outputs, images = input.extent(3);
    const Plane none(tile.inputs(), std::vector<double>(tile.inputs()));
    std::vector<std::vector<Plane>> sums(s.out_c, std::vector<Plane>(s.in_c, none));
    for (int n = 0; n < images; n++)
        for (int y = 0; y < s.out_h; y += m)
            for (int x = 0; x < s.out_w; x += m) {
                std::vector<Plane> inputs, gradients;
                for (int c = 0; c < s.in_c; c++)
                    inputs.push_back(transform(tile.input, square(input, tile.inputs(), c, x - s.pad_left, y - s.pad_top, n)));
                for (int k = 0; k < s.out_c; k++) gradients.push_back(transform(transposed(tile.output), square(d_output, m, k, x, y, n)));
                for (int k = 0; k < s.out_c; k++)
                    for (int c = 0; c < s.in_c; c++) add_products(sums[k][c], gradients[k], inputs[c]);
            }
    const double terms = double(images) * tile.tiles(s.out_h) * tile.tiles(s.out_w) + transform_roundings;
    for (int k = 0; k < s.out_c; k++)
        for (int c = 0; c < s.in_c; c++) {
            const Plane magnitudes = transform(transposed(tile.weights), sums[k][c]);
            for (int dy = 0; dy < 3; dy++)
                for (int dx = 0; dx < 3; dx++) tolerance(k, c, dx, dy) = sum_error(terms, magnitudes[dy][dx]);
        }
}

}  // namespace

void winograd_tolerances(const WinogradTile &tile, const Shape &s, const Arguments &before, Arguments &tolerance) {
    if (before.kernel->name == "conv2d_fwd") {
        const Array &weights = before["weights"];
        convolution(tile, before["input"], s.pad_left, s.pad_top, weights, tolerance["output"]);
    } else if (before.kernel->name == "conv2d_bwd_data") {
        const auto turned = [&weights = before["weights"]](int c, int k, int dx, int dy) { return weights(k, c, 2 - dx, 2 - dy); };
        convolution(tile, before["d_output"], 2 - s.pad_left, 2 - s.pad_top, turned, tolerance["d_input"]);
    } else {
        backward_weights(tile, s, before["input"], before["d_output"], tolerance["d_weights"]);
    }
}

}  // namespace halcyon
