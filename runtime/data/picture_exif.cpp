#include "runtime/data/picture_exif.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace halcyon {
namespace {

using namespace std::string_view_literals;

/// TIFF's numbers, in the order of bytes that its header names.
class Tiff {
public:
    explicit Tiff(std::string_view bytes) : bytes_(bytes), big_endian_(bytes.starts_with("MM\0*"sv)) {}

    bool is_tiff() const { return big_endian_ || bytes_.starts_with("II*\0"sv); }

    std::optional<std::uint32_t> number(std::size_t at, std::size_t size) const {
        if (at > bytes_.size() || size > bytes_.size() - at) return std::nullopt;
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < size; i++) value = value << 8 | std::uint8_t(bytes_[at + (big_endian_ ? i : size - 1 - i)]);
        return value;
    }

private:
    std::string_view bytes_;
    bool big_endian_;
};

}  // namespace

int exif_orientation(std::span<const std::byte> exif) {
    constexpr std::size_t entry_bytes = 12;  // tag 2, type 2, count 4, value 4
    constexpr std::uint32_t tag = 0x0112, type_short = 3;
    std::string_view bytes(reinterpret_cast<const char *>(exif.data()), exif.size());
    if (bytes.starts_with("Exif\0\0"sv)) bytes.remove_prefix(6);
    const Tiff tiff(bytes);
    if (!tiff.is_tiff()) return 1;
    const std::size_t directory = tiff.number(4, 4).value_or(0);
    const std::size_t entries = tiff.number(directory, 2).value_or(0);
    for (std::size_t i = 0; i < entries; i++) {
        const std::size_t entry = directory + 2 + i * entry_bytes;
        if (tiff.number(entry, 2) != tag || tiff.number(entry + 2, 2) != type_short) continue;
        const std::uint32_t value = tiff.number(entry + 8, 2).value_or(1);
        return value >= 1 && value <= 8 ? int(value) : 1;
    }
    return 1;
}

DecodedPicture upright(DecodedPicture picture) {
    const int orientation = std::exchange(picture.orientation, 1);
    if (orientation == 1) return picture;
    const bool swaps_sides = orientation >= 5;
    // Where the first column and the first row of the upright picture lie in the stored one.
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const int h = swaps_sides ? picture.w : picture.h, w = swaps_sides ? picture.h : picture.w;
    DecodedPicture turned = new_picture(std::uint64_t(h), std::uint64_t(w), picture.channels);
    const auto channels = std::size_t(picture.channels);
    std::uint8_t *to = turned.pixels.data();
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, to += channels) {
            const int along = swaps_sides ? y : x, down = swaps_sides ? x : y;
            const int column = from_right ? picture.w - 1 - along : along, row = from_bottom ? picture.h - 1 - down : down;
            std::copy_n(&picture.pixels[(std::size_t(row) * std::size_t(picture.w) + std::size_t(column)) * channels], channels, to);
        }
    return turned;
}

}  // namespace halcyon
