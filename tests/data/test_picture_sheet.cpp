#include "runtime/data/png_writer.h"
#include "runtime/training/font.h"
#include "runtime/training/picture_sheet.h"
#include "tests/catch.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <png.h>
#include <set>

using namespace halcyon;

namespace {

using Bytes = std::vector<std::uint8_t>;

std::string glyph(char character) {
    std::string pixels;
    for (int y = 0; y < glyph_h; ++y)
        for (int x = 0; x < glyph_w; ++x) pixels += is_dark(character, x, y) ? '#' : '.';
    return pixels;
}

Bytes pixel(const Picture &picture, int y, int x) {
    const auto begin = picture.pixels.begin() + (std::ptrdiff_t(y) * picture.w + x) * picture.c;
    return {begin, begin + picture.c};
}

/// Whether the text stands with its upper left corner there, black on white.
bool reads(const Picture &picture, int top, int left, const std::string &text) {
    for (std::size_t i = 0; i < text.size(); ++i)
        for (int y = 0; y < glyph_h; ++y)
            for (int x = 0; x < glyph_w; ++x) {
                const bool dark = is_dark(text[i], x, y);
                if (pixel(picture, top + y, left + int(i) * (glyph_w + 1) + x) != Bytes(std::size_t(picture.c), dark ? 0 : 255))
                    return false;
            }
    return true;
}

Picture sheet_of(int h, int w, int c, const std::vector<std::string> &captions, const Bytes &pixels) {
    return draw_sheet(h, w, c, captions, [&](std::size_t i) {
        const auto begin = pixels.begin() + std::ptrdiff_t(i) * h * w * c;
        return Bytes(begin, begin + h * w * c);
    });
}

constexpr int caption = sheet_gap / 2, line = glyph_h + 2;  // below a picture, and from one line of it to the next

/// A PNG as libpng's simplified reader has it.
Picture decode(const std::vector<std::byte> &file, int c) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    REQUIRE(png_image_begin_read_from_memory(&image, file.data(), file.size()));
    CHECK(image.format == (c == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB));
    Picture picture{int(image.height), int(image.width), c, Bytes(PNG_IMAGE_SIZE(image))};
    REQUIRE(png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr));
    return picture;
}

}  // namespace

TEST_CASE("Every printable character has a glyph of its own, and all others are question marks") {
    std::set<std::string> glyphs;
    for (int character = 32; character < 127; ++character) glyphs.insert(glyph(char(character)));
    CHECK(glyphs.size() == 95);
    CHECK(glyph(' ') == std::string(glyph_w * glyph_h, '.'));
    CHECK(glyph('T') == "#####"
                        "..#.."
                        "..#.."
                        "..#.."
                        "..#.."
                        "..#.."
                        "..#.."
                        ".....");
    CHECK(glyph('g').substr(std::size_t(glyph_w) * 7) == ".###.");
    for (const int character : {0, 10, 31, 127, 128, 255}) CHECK(glyph(char(character)) == glyph('?'));
}

TEST_CASE("A sheet shows small pictures enlarged, each above its caption") {
    const Picture sheet = sheet_of(1, 2, 3, {"a cat", "Dog"}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
    const int factor = sheet_tile / 2, second = sheet_gap + sheet_tile + sheet_gap;
    CHECK(sheet.c == 3);
    CHECK(sheet.w == sheet_gap + 2 * (sheet_tile + sheet_gap));
    CHECK(sheet.h == sheet_gap + factor + caption + line + sheet_gap);
    for (const int y : {sheet_gap, sheet_gap + factor - 1}) {
        CHECK(pixel(sheet, y, sheet_gap) == Bytes{1, 2, 3});
        CHECK(pixel(sheet, y, sheet_gap + factor - 1) == Bytes{1, 2, 3});
        CHECK(pixel(sheet, y, sheet_gap + factor) == Bytes{4, 5, 6});
        CHECK(pixel(sheet, y, sheet_gap + sheet_tile) == Bytes{255, 255, 255});
        CHECK(pixel(sheet, y, second) == Bytes{7, 8, 9});
        CHECK(pixel(sheet, y, second + sheet_tile - 1) == Bytes{10, 11, 12});
    }
    CHECK(pixel(sheet, sheet_gap - 1, sheet_gap) == Bytes{255, 255, 255});
    CHECK(reads(sheet, sheet_gap + factor + caption, sheet_gap, "a cat"));
    CHECK(reads(sheet, sheet_gap + factor + caption, second, "Dog"));
}

TEST_CASE("A sheet has rows of eight, and is at most 1600 pixels wide") {
    Bytes pixels(64 * 28 * 28);
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = std::uint8_t(i / (28 * 28));
    const Picture sheet = sheet_of(28, 28, 1, std::vector<std::string>(64, "7"), pixels);
    const int side = 6 * 28, row = side + caption + line + sheet_gap;
    CHECK(sheet.w == 1590);
    CHECK(sheet.h == sheet_gap + 8 * row);
    for (int i = 0; i < 64; ++i) {
        const int y = sheet_gap + i / 8 * row, x = sheet_gap + i % 8 * (sheet_tile + sheet_gap);
        CHECK(pixel(sheet, y, x) == Bytes{std::uint8_t(i)});
        CHECK(pixel(sheet, y + side - 1, x + side - 1) == Bytes{std::uint8_t(i)});
        CHECK(reads(sheet, y + side + caption, x, "7"));
    }
    CHECK(sheet_of(28, 28, 1, std::vector<std::string>(9, "7"), pixels).h == sheet_gap + 2 * row);
}

TEST_CASE("A pixel of a large picture on a sheet is the mean of those that it stands for") {
    const int h = 2 * sheet_tile, w = 3;  // to half the height, and to the one column that half the width is
    Bytes pixels(std::size_t(h) * w, 0);
    for (int x = 0; x < w; ++x) pixels[std::size_t(x)] = 10, pixels[std::size_t(w + x)] = std::uint8_t(11 + x);  // 66 / 6
    pixels[std::size_t(2 * w)] = 255;                                                                            // 255 / 6 = 42.5
    const Picture sheet = sheet_of(h, w, 1, {""}, pixels);
    CHECK(sheet.h == sheet_gap + sheet_tile + caption + line + sheet_gap);
    CHECK(pixel(sheet, sheet_gap, sheet_gap) == Bytes{11});
    CHECK(pixel(sheet, sheet_gap + 1, sheet_gap) == Bytes{43});
    CHECK(pixel(sheet, sheet_gap + 2, sheet_gap) == Bytes{0});
    CHECK(pixel(sheet, sheet_gap, sheet_gap + 1) == Bytes{255});
}

TEST_CASE("Pictures that do not divide by the tile keep all their pixels") {
    const int side = sheet_tile + 1;
    Bytes pixels(std::size_t(side) * side, 100);
    pixels.back() = 0;
    const Picture sheet = sheet_of(side, side, 1, {""}, pixels);
    CHECK(pixel(sheet, sheet_gap, sheet_gap) == Bytes{100});
    CHECK(pixel(sheet, sheet_gap + sheet_tile - 1, sheet_gap + sheet_tile - 1) == Bytes{75});
    CHECK(pixel(sheet, sheet_gap + sheet_tile - 1, sheet_gap + sheet_tile) == Bytes{255});
}

TEST_CASE("Long captions are broken into lines, and cut behind the third") {
    const std::string word(20, 'w'), endless(200, 'e');
    const Picture sheet = sheet_of(1, 1, 1, {word + " > " + word + " 98 %", endless, "f\xc3\xbc\nr"}, {1, 2, 3});
    const int top = sheet_gap + sheet_tile + caption;
    const auto left = [](int place) { return sheet_gap + place * (sheet_tile + sheet_gap); };
    CHECK(sheet.h == top + 3 * line + sheet_gap);
    CHECK(reads(sheet, top, left(0), word + " >"));
    CHECK(reads(sheet, top + line, left(0), word + " 98 %"));
    CHECK(reads(sheet, top + line, left(1), std::string(32, 'e')));
    CHECK(reads(sheet, top + 2 * line, left(1), std::string(29, 'e') + "..."));
    CHECK(reads(sheet, top, left(2), "f??r"));
}

TEST_CASE("A sheet without pictures, or of pictures that are none, is refused") {
    CHECK_THROWS_AS(sheet_of(1, 1, 1, {}, {}), std::invalid_argument);
    CHECK_THROWS_AS(sheet_of(1, 1, 2, {"a"}, {1, 2}), std::invalid_argument);
    CHECK_THROWS_AS(sheet_of(0, 1, 1, {"a"}, {}), std::invalid_argument);
    CHECK_THROWS_AS(draw_sheet(1, 1, 1, {"a"}, [](std::size_t) { return Bytes{1, 2}; }), std::invalid_argument);
}

TEST_CASE("Floats are shown from 0 to 1, or from the smallest to the largest") {
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    using Floats = std::vector<float>;
    const auto range = [](const std::vector<Floats> &pictures) {
        const std::vector<std::span<const float>> spans(pictures.begin(), pictures.end());
        return range_of(spans);
    };
    const Floats usual = {0.25F, 0.5F, nan}, wide = {-1, 3, infinity, 1}, none = {nan}, same = {7, 7};
    CHECK(to_bytes(usual, range({usual})) == Bytes{64, 128, 0});
    CHECK(to_bytes(wide, range({wide})) == Bytes{0, 255, 0, 128});
    CHECK(to_bytes(usual, range({usual, {-0.5F}})) == Bytes{191, 255, 0});
    CHECK(to_bytes(none, range({none})) == Bytes{0});
    CHECK(to_bytes(same, range({same})) == Bytes{0, 0});
    CHECK(to_bytes(wide, {0, 1}) == Bytes{0, 255, 0, 255});
}

TEST_CASE("A picture written as PNG is read back equal, and has the same bytes again") {
    const int c = GENERATE(1, 3);
    CAPTURE(c);
    Picture picture{37, 101, c, Bytes(std::size_t(37 * 101 * c))};
    for (std::size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = std::uint8_t(i * i / 7);
    const std::vector<std::byte> file = encode_png(picture);
    CHECK(file == encode_png(picture));
    const Picture again = decode(file, c);
    CHECK(again.h == 37);
    CHECK(again.w == 101);
    CHECK(again.pixels == picture.pixels);

    picture.pixels.pop_back();
    CHECK_THROWS_AS(encode_png(picture), std::invalid_argument);
    CHECK_THROWS_AS(encode_png({1, 1, 2, {1, 2}}), std::invalid_argument);
}
