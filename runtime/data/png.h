// One picture from a PNG file, in a data set's form.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace halcyon {

/// Reads a PNG of exactly h x w pixels as one planar record (c, y, x) of bytes; c is 3 (RGB) or 1 (grey). All arithmetic is on the values
/// as the file has them, like Pillow's: chunks that tell of colour (gAMA, sRGB, iCCP) change nothing. Of 16 bits the high byte is taken,
/// which brings back an 8-bit picture that was multiplied by 257; RGB becomes grey as Rec. 601's luma; transparent pixels are laid on
/// white. Throws std::runtime_error, one line that names the file, where it is no PNG, is damaged or cut off anywhere, or has another size:
/// nothing is resized here.
std::vector<std::uint8_t> read_png(const std::filesystem::path &path, int h, int w, int c);

}  // namespace halcyon
