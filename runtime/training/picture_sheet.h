// Sheets of small pictures with a caption each, for people to look at.
#pragma once

#include "runtime/data/picture.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

/// The sheet's pictures stand in rows of 8, in cells of `sheet_tile` pixels' width: a full row has 1590.
inline constexpr int sheet_columns = 8, sheet_tile = 192, sheet_gap = 6;

/// The pixels of a picture, by its number.
using SheetPixels = std::function<std::vector<std::uint8_t>(std::size_t picture)>;

/// Draws a picture of h x w x c interleaved bytes, c 1 or 3, above each of the captions, black on white. Small pictures are enlarged by the
/// largest whole factor with which they fit a tile; a pixel of larger ones becomes the mean of those that it stands for. A caption is
/// broken at its spaces into lines of 32 characters, as many as it takes up to 3. Throws std::invalid_argument where there is no caption,
/// c is neither, or `pixels` gives other than h * w * c of them.
Picture draw_sheet(int h, int w, int c, const std::vector<std::string> &captions, const SheetPixels &pixels);

/// The floats that black and white stand for.
struct FloatRange {
    float black = 0, white = 1;
};

/// Of pictures that are shown side by side: 0..1 where all of their values are in there, else the smallest and the largest. What is not
/// finite does not count.
FloatRange range_of(std::span<const std::span<const float>> pictures);

/// The values in 1/255 of the range, rounded to the nearest; what is not finite is black.
std::vector<std::uint8_t> to_bytes(std::span<const float> values, const FloatRange &range);

}  // namespace halcyon
