// Pictures from files: decoded, converted and resized as Pillow does it.
#pragma once

#include "runtime/data/picture_options.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

// Larger files are no pictures that anyone trains on: 256 MiB.
constexpr std::size_t largest_picture_file = std::size_t{256} << 20;

/// Interleaved bytes: (h, w, c), the channel innermost; c is 1 (grey) or 3 (RGB).
struct Picture {
    int h = 0, w = 0, c = 0;
    std::vector<std::uint8_t> pixels;
    bool turned = false;  // its EXIF orientation is another than the pixels', and was not applied
};

/// Decodes a file's bytes (JPEG, PNG, WebP or BMP, by their first bytes) to `c` channels, 1 or 3. The coded values are Pillow's, as
/// convert("RGB") and convert("L") of that give them; profiles and gamma change nothing. Throws std::runtime_error, without the file's
/// name: "is a truncated PNG; save it anew", and so on where it is no such picture, is damaged or cut off, is of a rare kind, or has more
/// than 178,956,970 pixels.
Picture decode_picture(std::span<const std::byte> file, int c, const PictureOptions &options);

/// Brings a picture to h x w pixels as options.resize and options.fit say: resize.h has the definitions, crop is Pillow's ImageOps.fit(),
/// pad its ImageOps.pad().
Picture fit_picture(const Picture &picture, int h, int w, const PictureOptions &options);

/// Reads, decodes and fits a file of at most 256 MiB. Throws std::runtime_error, one line that names it.
Picture read_picture(const std::filesystem::path &path, int h, int w, int c, const PictureOptions &options);

/// The libraries that decode, with their versions: others may give other pixels.
std::string picture_decoders();

/// Whether a file's name ends as a picture's does: .jpg .jpeg .png .webp .bmp, in either case.
bool is_picture_name(std::string_view name);

}  // namespace halcyon
