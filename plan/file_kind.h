// What a file is that somebody gave for another.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace halcyon {

// The kinds that are read as pictures, as kind_of() calls them.
inline constexpr std::string_view jpeg_picture = "a JPEG picture", png_picture = "a PNG picture", webp_picture = "a WebP picture",
                                  bmp_picture = "a BMP picture";

/// What a file is by its first bytes, for a message: "a JPEG picture"; "" where they do not tell.
std::string kind_of(std::span<const std::byte> bytes);

/// What to say of a file that is not what was `wanted`: "is a JPEG picture, not a PNG; <advice>".
std::string not_wanted(std::span<const std::byte> bytes, std::string_view wanted, std::string_view advice);

}  // namespace halcyon
