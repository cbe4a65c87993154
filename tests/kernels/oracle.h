// The oracles: every kernel of plan/kernels.cpp once more, as naive loops written from Keras's definitions. The gradient checks hold
// the oracles to finite differences, and the kernels' tests hold the kernels to the oracles.
#pragma once

#include "plan/shape.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace halcyon::oracle {

/// An argument of a kernel: up to four extents, innermost first and dense, in the order of plan/plan.h: activations (c, x, y, n),
/// weights (k, c, x, y). All elements are doubles, which hold every value of the kernels' types (float32, int32, uint32, uint16, uint8)
/// exactly.
class Array {
public:
    explicit Array(const std::vector<int> &extents, double value = 0);

    int extent(int dimension) const { return extents_[dimension]; }
    double &operator()(int i, int j = 0, int k = 0, int l = 0) { return values[at(i, j, k, l)]; }
    double operator()(int i, int j = 0, int k = 0, int l = 0) const { return values[at(i, j, k, l)]; }

    std::vector<double> values;

private:
    std::size_t at(int i, int j, int k, int l) const { return i + extents_[0] * (j + extents_[1] * (k + extents_[2] * std::size_t(l))); }

    std::array<std::size_t, 4> extents_{1, 1, 1, 1};
};

/// Computes a kernel's outputs. The arguments stand in the order of plan/kernels.cpp, inputs before outputs, without workspaces;
/// outputs have their extents, and their values where they are updated in place.
using Oracle = void (*)(const Shape &, std::vector<Array> &arguments);

/// The oracle of a kernel; throws std::invalid_argument where there is none.
Oracle find_oracle(std::string_view kernel);

/// A convolution's weights as they were before winograd_weights transformed them, where the shape says that they are.
Array plain_weights(const Shape &shape, const Array &weights);

/// Philox2x32-10 (Salmon, Moraes, Dror and Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011).
std::array<std::uint32_t, 2> philox2x32(std::array<std::uint32_t, 2> counter, std::uint32_t key);

/// The key of a random stream in one epoch.
std::uint32_t stream_key(std::uint32_t seed, std::uint32_t epoch, std::uint32_t stream);

}  // namespace halcyon::oracle
