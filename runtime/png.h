// One picture from a PNG file, in a data set's form.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace halcyon {

/// Reads a PNG of exactly h x w pixels as one planar record (c, y, x) of bytes; c is 3 (RGB) or 1 (grey). Grey, palette and 16-bit
/// pictures are converted, transparent ones are laid on white. Throws std::runtime_error, one line that names the file, where it is
/// no PNG or has another size: nothing is resized here.
std::vector<std::uint8_t> read_png(const std::filesystem::path &path, int h, int w, int c);

}  // namespace halcyon
