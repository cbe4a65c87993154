// A font for the captions of pictures: printable ASCII, drawn pixel by pixel.
#pragma once

namespace halcyon {

/// The cell of a character, in pixels; its lowest row is for what hangs below the line.
inline constexpr int glyph_w = 5, glyph_h = 8;

/// Whether the pixel in column x and row y of a character's cell is dark. Other characters than 32 to 126 look like '?'.
bool is_dark(char character, int x, int y);

}  // namespace halcyon
