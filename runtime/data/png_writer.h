// Pictures as PNG files.
#pragma once

#include "runtime/data/picture.h"

#include <cstddef>
#include <vector>

namespace halcyon {

/// The bytes of a PNG file with this picture, 8 bits a channel; the same bytes for the same picture. Throws std::invalid_argument where it
/// has other channels than 1 or 3, or other pixels than its size says.
std::vector<std::byte> encode_png(const Picture &picture);

}  // namespace halcyon
