#include "plan/winograd.h"

#include "plan/menu.h"

#include <algorithm>
#include <cstddef>

namespace halcyon {

Matrix transposed(const Matrix &matrix) {
    Matrix result(matrix[0].size(), std::vector<float>(matrix.size()));
    for (std::size_t i = 0; i < matrix.size(); i++)
        for (std::size_t j = 0; j < matrix[i].size(); j++) result[j][i] = matrix[i][j];
    return result;
}

// Interpolation at 0, 1, -1 and infinity: the fractions are halves, so that sums of small integers stay exact.
const WinogradTile winograd_f2{2,
                               {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
                               {{1, 0, 0}, {1 / 2.f, 1 / 2.f, 1 / 2.f}, {1 / 2.f, -1 / 2.f, 1 / 2.f}, {0, 0, 1}},
                               {{1, 1, 1, 0}, {0, 1, -1, -1}}};

// At 0, 1, -1, 2, -2 and infinity.
const WinogradTile winograd_f4{
    4,
    {{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}},
    {{1 / 4.f, 0, 0},
     {-1 / 6.f, -1 / 6.f, -1 / 6.f},
     {-1 / 6.f, 1 / 6.f, -1 / 6.f},
     {1 / 24.f, 1 / 12.f, 1 / 6.f},
     {1 / 24.f, -1 / 12.f, 1 / 6.f},
     {0, 0, 1}},
    {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}};

int weights_rows(const WinogradTile &tile, const Shape &s, const Set &set) {
    const int row_bytes = tile.inputs() * (s.in_c + s.out_c) * WinogradImages::backward_weights * int(sizeof(float));
    const int cache_bytes = (set.vector_registers == 32 ? 320 : 160) * 1024;
    const int leave_six_tasks = tile.inputs() * tile.tiles(s.out_h) / 6;
    return divisor_up_to(std::max(std::min(cache_bytes / row_bytes, leave_six_tasks), 1), tile.inputs());
}

const WinogradTile *winograd_tile(int outputs) { return outputs == 2 ? &winograd_f2 : outputs == 4 ? &winograd_f4 : nullptr; }

const WinogradTile *winograd_tile(std::string_view entry) {
    constexpr std::string_view prefix = "winograd_f";
    return entry.starts_with(prefix) ? winograd_tile(entry.at(prefix.size()) - '0') : nullptr;
}

}  // namespace halcyon
