// Winograd's minimal filtering for 3x3 convolutions of stride 1: what the menu, the algorithms and the tests know of it. Plain C++.
//
// A tile of m x m outputs takes (m + 2)^2 products instead of 9 m^2. With weights w, the (m + 2) x (m + 2) inputs d and outputs y of a
// tile,
//   y = A' [(G w G') * (B' d B)] A
// and, since that is linear in w, d_w = G' [(A dy A') * (B' d B)] G, where ' transposes and * multiplies element by element.
// (Winograd, "Arithmetic complexity of computations", 1980; Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016.)
#pragma once

#include "plan/divisors.h"

#include <string_view>
#include <vector>

namespace halcyon {

struct Set;
struct Shape;

using Matrix = std::vector<std::vector<float>>;

Matrix transposed(const Matrix &matrix);

/// One axis of F(m x m, 3 x 3).
struct WinogradTile {
    int outputs;     // m
    Matrix input;    // B', (m + 2) x (m + 2)
    Matrix weights;  // G, (m + 2) x 3
    Matrix output;   // A', m x (m + 2)

    int inputs() const { return outputs + 2; }

    /// Tiles that cover `extent` outputs.
    int tiles(int extent) const { return divide_up(extent, outputs); }
};

extern const WinogradTile winograd_f2, winograd_f4;

/// Images that a task of the x86 schedules transforms at a time; of backward data at least so many, in multiples of it.
struct WinogradImages {
    static constexpr int forward = 16, backward_data = 4, backward_weights = 32;
};

/// Rows of the transformed domain that a task of the weights' gradient makes at once, so that it reads each input and gradient once for all
/// of them: as many as divide their number, leave six tasks and take, with the planes of both, no more than 160 KiB of the L2 cache; 320
/// KiB with AVX-512, for most CPUs that have it have 1 MiB and more.
int weights_rows(const WinogradTile &tile, const Shape &shape, const Set &set);

/// The tile of 2x2 or 4x4 outputs; null for other sizes.
const WinogradTile *winograd_tile(int outputs);

/// The tile that a menu entry "winograd_f2..." or "winograd_f4..." names; null for other entries.
const WinogradTile *winograd_tile(std::string_view entry);

}  // namespace halcyon
