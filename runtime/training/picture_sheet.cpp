#include "runtime/training/picture_sheet.h"

#include "runtime/training/font.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string_view>

namespace halcyon {
namespace {

constexpr std::uint8_t white = 255, black = 0;
constexpr int advance = glyph_w + 1, line_height = glyph_h + 2;
constexpr std::size_t line_characters = sheet_tile / advance, most_lines = 3;

/// One byte a character: of UTF-8, those that begin one.
std::string characters_of(std::string_view text) {
    std::string characters;
    for (const char byte : text)
        if ((static_cast<unsigned char>(byte) & 0xC0) != 0x80) characters += byte;
    return characters;
}

/// The lines of a caption, each broken at its last space, or where it is full.
std::vector<std::string> lines_of(const std::string &caption) {
    std::vector<std::string> lines;
    std::string rest = characters_of(caption);
    while (rest.size() > line_characters && lines.size() + 1 < most_lines) {
        const std::size_t space = rest.rfind(' ', line_characters);
        const bool breaks = space != std::string::npos && space > 0;
        lines.push_back(rest.substr(0, breaks ? space : line_characters));
        rest.erase(0, breaks ? space + 1 : line_characters);
    }
    if (rest.size() > line_characters) rest = rest.substr(0, line_characters - 3) + "...";
    lines.push_back(rest);
    return lines;
}

struct Size {
    int h = 0, w = 0;
};

/// Of a picture on the sheet.
Size size_on_sheet(int h, int w) {
    const int longer = std::max(h, w);
    if (longer <= sheet_tile) return {h * (sheet_tile / longer), w * (sheet_tile / longer)};
    const auto part = [longer](int side) { return std::max(1, static_cast<int>(std::int64_t{side} * sheet_tile / longer)); };
    return {part(h), part(w)};
}

/// The pixels from .. to - 1 of a side of `from_side` that pixel i of one of `to_side` stands for: at least one.
struct Range {
    int from, to;

    Range(int i, int to_side, int from_side) : from(at(i, to_side, from_side)), to(std::max(from + 1, at(i + 1, to_side, from_side))) {}

    bool operator==(const Range &) const = default;

private:
    static int at(int i, int to_side, int from_side) { return static_cast<int>(std::int64_t{i} * from_side / to_side); }
};

class Sheet {
public:
    Sheet(int h, int w, int c, const std::vector<std::string> &captions) : h_(h), w_(w), c_(c), size_(size_on_sheet(h, w)) {
        std::size_t lines = 0;
        for (const std::string &caption : captions) {
            captions_.push_back(lines_of(caption));
            lines = std::max(lines, captions_.back().size());
        }
        const int count = static_cast<int>(captions.size()), rows = (count + sheet_columns - 1) / sheet_columns;
        cell_h_ = size_.h + sheet_gap / 2 + static_cast<int>(lines) * line_height + sheet_gap;
        picture_.h = sheet_gap + rows * cell_h_;
        picture_.w = sheet_gap + std::min(count, sheet_columns) * (sheet_tile + sheet_gap);
        picture_.c = c;
        picture_.pixels.assign(offset(picture_.h, 0), white);
    }

    void draw(std::size_t number, std::span<const std::uint8_t> pixels) {
        if (pixels.size() != static_cast<std::size_t>(h_) * static_cast<std::size_t>(w_) * static_cast<std::size_t>(c_))
            throw std::invalid_argument("a picture of a sheet has another number of pixels");
        const int place = static_cast<int>(number);
        const int top = sheet_gap + place / sheet_columns * cell_h_, left = sheet_gap + place % sheet_columns * (sheet_tile + sheet_gap);
        for (int y = 0; y < size_.h; ++y) draw_row(pixels, y, top, left);
        int line_top = top + size_.h + sheet_gap / 2;
        for (const std::string &line : captions_[number]) {
            write(line, line_top, left);
            line_top += line_height;
        }
    }

    Picture take_picture() { return std::move(picture_); }

private:
    std::size_t offset(int y, int x) const {
        return (static_cast<std::size_t>(y) * static_cast<std::size_t>(picture_.w) + static_cast<std::size_t>(x)) *
               static_cast<std::size_t>(c_);
    }

    /// Row y of a picture whose corner is there. Of enlarged pictures most rows are those above once more.
    void draw_row(std::span<const std::uint8_t> pixels, int y, int top, int left) {
        const auto row = picture_.pixels.begin() + std::ptrdiff_t(offset(top + y, left));
        const Range rows(y, size_.h, h_);
        if (y > 0 && rows == Range(y - 1, size_.h, h_)) {
            std::copy_n(row - std::ptrdiff_t(offset(1, 0)), size_.w * c_, row);
            return;
        }
        for (int x = 0; x < size_.w; ++x)
            for (int channel = 0; channel < c_; ++channel) row[x * c_ + channel] = mean(pixels, rows, Range(x, size_.w, w_), channel);
    }

    /// Of the pixels that one of the sheet stands for.
    std::uint8_t mean(std::span<const std::uint8_t> pixels, const Range &rows, const Range &columns, int channel) const {
        std::uint64_t sum = 0;
        for (int y = rows.from; y < rows.to; ++y)
            for (int x = columns.from; x < columns.to; ++x)
                sum += pixels[(static_cast<std::size_t>(y) * static_cast<std::size_t>(w_) + static_cast<std::size_t>(x)) *
                                  static_cast<std::size_t>(c_) +
                              static_cast<std::size_t>(channel)];
        const std::uint64_t count = static_cast<std::uint64_t>(rows.to - rows.from) * static_cast<std::uint64_t>(columns.to - columns.from);
        return static_cast<std::uint8_t>((sum + count / 2) / count);
    }

    void write(const std::string &line, int top, int left) {
        for (const char character : line) {
            for (int y = 0; y < glyph_h; ++y)
                for (int x = 0; x < glyph_w; ++x)
                    if (is_dark(character, x, y))
                        std::fill_n(picture_.pixels.begin() + std::ptrdiff_t(offset(top + y, left + x)), c_, black);
            left += advance;
        }
    }

    int h_, w_, c_;
    Size size_;
    std::vector<std::vector<std::string>> captions_;  // in lines
    int cell_h_ = 0;
    Picture picture_;
};

}  // namespace

Picture draw_sheet(int h, int w, int c, const std::vector<std::string> &captions, const SheetPixels &pixels) {
    if (captions.empty() || h < 1 || w < 1 || (c != 1 && c != 3))
        throw std::invalid_argument("a sheet has pictures of 1 or 3 channels, at least one");
    Sheet sheet(h, w, c, captions);
    for (std::size_t picture = 0; picture < captions.size(); ++picture) sheet.draw(picture, pixels(picture));
    return sheet.take_picture();
}

FloatRange range_of(std::span<const std::span<const float>> pictures) {
    FloatRange range{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
    for (const std::span<const float> picture : pictures)
        for (const float value : picture) {
            if (!std::isfinite(value)) continue;
            range.black = std::min(range.black, value);
            range.white = std::max(range.white, value);
        }
    const bool usual = range.black >= 0 && range.white <= 1;  // also where nothing is finite
    return usual ? FloatRange{} : range;
}

std::vector<std::uint8_t> to_bytes(std::span<const float> values, const FloatRange &range) {
    const double width = double(range.white) - range.black;
    std::vector<std::uint8_t> bytes;
    bytes.reserve(values.size());
    for (const float value : values) {
        const double part = width > 0 && std::isfinite(value) ? (double(value) - range.black) / width : 0;
        bytes.push_back(static_cast<std::uint8_t>(std::lround(255 * std::clamp(part, 0.0, 1.0))));
    }
    return bytes;
}

}  // namespace halcyon
