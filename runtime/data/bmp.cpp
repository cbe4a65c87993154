// BMP, by our own code: pixels without compression, as nearly all files have them.
#include "runtime/data/picture_decoders.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

namespace halcyon {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view format = "BMP";
constexpr std::size_t file_header = 14, core_header = 12, info_header = 40;

/// A little-endian number of up to 4 bytes.
std::uint32_t number(Bytes file, std::size_t at, std::size_t size) {
    if (at > file.size() || size > file.size() - at) throw_truncated(format);
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; i++) value |= std::to_integer<std::uint32_t>(file[at + i]) << 8 * i;
    return value;
}

/// Where a channel lies in a pixel of 16, 24 or 32 bits. A value of n bits v becomes v * 255 / (2^n - 1), rounded down as by Pillow.
class Channel {
public:
    explicit Channel(std::uint32_t mask) : mask_(mask), shift_(mask ? std::countr_zero(mask) : 0) {
        if (std::popcount(mask) > 8 || (most() & (most() + 1))) throw_not_read(format, fmt::format("with the bit mask {:#x}", mask));
    }

    std::uint8_t of(std::uint32_t pixel) const { return mask_ ? std::uint8_t(((pixel & mask_) >> shift_) * 255 / most()) : 0; }
    bool exists() const { return mask_ != 0; }

private:
    std::uint32_t most() const { return mask_ >> shift_; }

    std::uint32_t mask_;
    int shift_;
};

struct Header {
    std::size_t size;  // without the file's own
    std::uint32_t w, h, bits, compression = 0, colours = 0;
    bool top_down = false;

    explicit Header(Bytes file) : size(number(file, file_header, 4)) {
        const bool core = size == core_header;
        if (!core && size < info_header) throw_damaged(format);
        const std::size_t side = core ? 2 : 4;
        w = number(file, file_header + 4, side);
        h = number(file, file_header + 4 + side, side);
        bits = number(file, file_header + 6 + 2 * side, 2);
        if (core) return;
        top_down = h >> 31;  // a negative number
        if (top_down) h = -h;
        compression = number(file, file_header + 16, 4);
        colours = number(file, file_header + 32, 4);
    }

    std::size_t palette_entry() const { return size == core_header ? 3 : 4; }
};

/// The masks stand in the header where it is long enough, else behind it. Without them 16 bits are 5, 5 and 5, and the fourth byte of 32
/// means nothing.
std::array<std::uint32_t, 4> masks_of(Bytes file, const Header &header) {
    constexpr std::uint32_t none = 0, bitfields = 3;
    constexpr std::array names = {"RLE8", "RLE4", "", "JPEG", "PNG"};
    constexpr std::size_t at = file_header + info_header;
    if (header.compression == none) {
        if (header.bits == 16) return {0x7C00, 0x3E0, 0x1F, 0};
        return {0xFF0000, 0xFF00, 0xFF, 0};
    }
    if (header.compression != bitfields || header.bits < 16) {
        const std::uint32_t index = header.compression - 1;
        throw_not_read(format, index < names.size() && index != 2 ? fmt::format("with compression {}", names[index])
                                                                  : fmt::format("with compression {}", header.compression));
    }
    const bool has_alpha = header.size >= info_header + 16 && header.bits == 32;
    return {number(file, at, 4), number(file, at + 4, 4), number(file, at + 8, 4), has_alpha ? number(file, at + 12, 4) : 0};
}

/// A palette's colours; those that an index names beyond it are black.
std::array<std::array<std::uint8_t, 3>, 256> palette_of(Bytes file, const Header &header) {
    std::array<std::array<std::uint8_t, 3>, 256> palette{};
    const std::size_t most = std::size_t{1} << header.bits, count = header.colours ? std::min<std::size_t>(header.colours, most) : most;
    for (std::size_t i = 0; i < count; i++)
        for (std::size_t channel = 0; channel < 3; channel++)
            palette[i][2 - channel] = std::uint8_t(number(file, file_header + header.size + i * header.palette_entry() + channel, 1));
    return palette;
}

}  // namespace

DecodedPicture decode_bmp(Bytes file) {
    const Header header(file);
    constexpr std::array depths = {1, 4, 8, 16, 24, 32};
    if (std::ranges::find(depths, int(header.bits)) == depths.end()) throw_not_read(format, fmt::format("of {} bits a pixel", header.bits));
    const std::array<std::uint32_t, 4> masks = masks_of(file, header);
    const std::array channels = {Channel(masks[0]), Channel(masks[1]), Channel(masks[2]), Channel(masks[3])};

    // Rows are filled up to four bytes; the last one may lack the filling.
    check_size(header.h, header.w);
    const std::uint64_t row_bits = std::uint64_t{header.w} * header.bits, row_bytes = (row_bits + 31) / 32 * 4;
    const std::size_t first = number(file, 10, 4);
    if (first > file.size() || (header.h - 1) * row_bytes + (row_bits + 7) / 8 > file.size() - first) throw_truncated(format);
    DecodedPicture picture = new_picture(header.h, header.w, channels[3].exists() ? 4 : 3);
    const auto palette = header.bits <= 8 ? palette_of(file, header) : decltype(palette_of(file, header)){};
    std::uint8_t *to = picture.pixels.data();
    for (std::uint32_t y = 0; y < header.h; y++) {
        const Bytes row = file.subspan(first + (header.top_down ? y : header.h - 1 - y) * row_bytes);
        for (std::uint32_t x = 0; x < header.w; x++) {
            if (header.bits <= 8) {
                const std::size_t bit = std::size_t{x} * header.bits;
                const std::uint32_t value = std::to_integer<std::uint32_t>(row[bit / 8]) >> (8 - header.bits - bit % 8);
                to = std::ranges::copy(palette[value & ((1U << header.bits) - 1)], to).out;
            } else {
                const std::uint32_t pixel = number(row, std::size_t{x} * header.bits / 8, header.bits / 8);
                for (int channel = 0; channel < picture.channels; channel++) *to++ = channels[std::size_t(channel)].of(pixel);
            }
        }
    }
    return picture;
}

}  // namespace halcyon
