// What turns the bytes of a file into pixels: one function a format, each in a file of its own. picture.cpp lists them by first bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace halcyon {

/// Interleaved bytes (h, w, channels), the coded values that the file holds: no chunk or profile that tells of colour changes one.
struct DecodedPicture {
    int h = 0, w = 0;
    int channels = 0;  // 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
    std::vector<std::uint8_t> pixels;
    int orientation = 1;  // EXIF's, 1 to 8; 1 where the file tells none
};

/// All throw std::runtime_error, what is wrong with the file without its name.
DecodedPicture decode_bmp(std::span<const std::byte> file);
DecodedPicture decode_jpeg(std::span<const std::byte> file);
DecodedPicture decode_png(std::span<const std::byte> file);
DecodedPicture decode_webp(std::span<const std::byte> file);

/// Throws where a side is 0 or the picture has more pixels than 178,956,970, Pillow's limit against files that grow too large when they are
/// unpacked.
void check_size(std::uint64_t h, std::uint64_t w);

/// A black picture whose size is checked before it is allocated.
DecodedPicture new_picture(std::uint64_t h, std::uint64_t w, int channels);

[[noreturn]] void throw_truncated(std::string_view format);
[[noreturn]] void throw_damaged(std::string_view format);

/// A file that may be sound, but is of a kind that nobody met: "is a BMP with compression RLE8, which is not read; save it anew".
[[noreturn]] void throw_not_read(std::string_view format, std::string_view kind);

}  // namespace halcyon
