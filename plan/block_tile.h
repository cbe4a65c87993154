// How a block of a device's threads tiles a convolution. Plain C++: the menu reads it as well as the algorithms and the schedules.
#pragma once

#include "plan/divisors.h"
#include "plan/shape.h"

#include <algorithm>
#include <string_view>

namespace halcyon {

/// The floats that a thread reads at once where `channels` lie side by side.
constexpr int channel_vector(int channels) { return channels % 4 == 0 ? 4 : channels % 2 == 0 ? 2 : 1; }

/// A block makes the sums of `channels` x `columns`, of which a thread keeps `thread_channels` x `thread_columns` in registers. They are
/// made of chunks, `chunk` products a sum for each tap of `rows` rows of the window.
struct BlockTile {
    int channels, columns;
    int thread_channels, thread_columns;
    int chunk, rows = 1;

    int across() const { return channels / thread_channels; }
    int down() const { return columns / thread_columns; }
};

/// Forward and the gradient of the data, where a column is an image of one pixel and a chunk some of the summed channels. The chunks come
/// one after the other, each staged in shared memory: up to 36 products a sum between two barriers. Of a 3x3 window that is a row of 8
/// channels, the 32 bytes that a GPU reads of memory at least.
inline BlockTile shared_tile(int from, int to, const Shape &s) {
    const int vector = channel_vector(to), from_vector = channel_vector(from), products = 36;
    const int chunk = from_vector * divisor_up_to(std::max(products / (s.kernel_w * from_vector), 1), from / from_vector);
    return {.channels = vector * divisor_up_to(16, to / vector),
            .columns = 64,
            .thread_channels = vector,
            .thread_columns = 8,
            .chunk = chunk,
            .rows = divisor_up_to(std::max(products / (s.kernel_w * chunk), 1), s.kernel_h)};
}

/// What that takes of a block's shared memory: the sums, and what is staged of a chunk.
inline int shared_bytes(const BlockTile &tile, const Shape &s) {
    const int staged = tile.chunk * s.kernel_w * tile.rows * (tile.channels + tile.columns);
    return int(sizeof(float)) * (tile.channels * tile.columns + staged);
}

/// The same with up to 8 chunks at the same time, each by threads of its own, for few pixels, or a single image.
inline BlockTile sliced_tile(int from, int to, const Shape &s) {
    const int vector = channel_vector(to), from_vector = channel_vector(from);
    return {.channels = vector * divisor_up_to(8, to / vector),
            .columns = s.batch == 1 ? 1 : 16,
            .thread_channels = vector,
            .thread_columns = s.batch == 1 ? 1 : 4,
            .chunk = from / divisor_up_to(8, from / from_vector),
            .rows = s.kernel_h};
}

/// The tile that a menu entry names.
inline BlockTile block_tile(std::string_view entry, int from, int to, const Shape &s) {
    return entry == "shared_tile" ? shared_tile(from, to, s) : sliced_tile(from, to, s);
}

/// The gradient of the weights, where a column is an input channel of a tap, or the bias, whose input is 1, and a chunk is 32 images of one
/// pixel. The pixels are cut into parts.
struct WeightsTile : BlockTile {
    int pixels;  // of a part
    int parts, columns_of_all;
};

/// Two blocks for each of an H100's 132 processors, whose parts are added up at the end.
inline WeightsTile weights_shared_tile(const Shape &s) {
    const int inputs = s.in_c * s.kernel_w * s.kernel_h + 1, vector = channel_vector(s.out_c), thread_columns = 8;
    const int channels = vector * divisor_up_to(16, s.out_c / vector);
    const int tiles = divide_up(inputs, 64);
    const int columns = thread_columns * divide_up(divide_up(inputs, tiles), thread_columns);
    const int wanted = divide_up(264, tiles * s.out_c / channels);
    const int pixels = divide_up(s.out_w * s.out_h, wanted);
    return {{.channels = channels, .columns = columns, .thread_channels = vector, .thread_columns = thread_columns, .chunk = 32},
            pixels,
            divide_up(s.out_w * s.out_h, pixels),
            tiles * columns};
}

/// A block makes all columns of up to 8 output channels: nothing is left to add up.
inline WeightsTile weights_channels_tile(const Shape &s) {
    const int inputs = s.in_c * s.kernel_w * s.kernel_h + 1, vector = channel_vector(s.out_c), thread_columns = 2;
    const int columns = thread_columns * divide_up(inputs, thread_columns);
    return {{.channels = vector * divisor_up_to(8 / vector, s.out_c / vector),
             .columns = columns,
             .thread_channels = vector,
             .thread_columns = thread_columns,
             .chunk = 32},
            s.out_w * s.out_h,
            1,
            columns};
}

/// The tile that a menu entry names.
inline WeightsTile weights_tile(std::string_view entry, const Shape &s) {
    return entry == "shared_tile" ? weights_shared_tile(s) : weights_channels_tile(s);
}

}  // namespace halcyon
