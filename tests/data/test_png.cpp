#include "runtime/png.h"

#include "tests/catch.h"
#include "tests/data/files.h"

#include <png.h>

using namespace halcyon;

namespace {

/// Writes interleaved pixels of one of libpng's formats.
void write_png(const std::filesystem::path &path, png_uint_32 format, int h, int w, const void *pixels, const void *colour_map = nullptr,
               int colours = 0) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = png_uint_32(w);
    image.height = png_uint_32(h);
    image.format = format;
    image.colormap_entries = png_uint_32(colours);
    REQUIRE(png_image_write_to_file(&image, path.c_str(), 0, pixels, 0, colour_map));
}

}  // namespace

TEST_CASE("A picture becomes planar bytes") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> interleaved = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
    write_png(folder / "a.png", PNG_FORMAT_RGB, 2, 3, interleaved.data());
    CHECK(read_png(folder / "a.png", 2, 3, 3) == std::vector<std::uint8_t>{1, 4, 7, 10, 13, 16, 2, 5, 8, 11, 14, 17, 3, 6, 9, 12, 15, 18});
}

TEST_CASE("Grey pictures are grey in every channel, and one channel for a grey network") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> grey = {10, 200};
    write_png(folder / "a.png", PNG_FORMAT_GRAY, 1, 2, grey.data());
    CHECK(read_png(folder / "a.png", 1, 2, 3) == std::vector<std::uint8_t>{10, 200, 10, 200, 10, 200});
    CHECK(read_png(folder / "a.png", 1, 2, 1) == grey);
}

TEST_CASE("Palettes are looked up") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> colours = {255, 0, 0, 0, 255, 0, 0, 0, 255}, indices = {2, 0, 1};
    write_png(folder / "a.png", PNG_FORMAT_RGB_COLORMAP, 1, 3, indices.data(), colours.data(), 3);
    CHECK(read_png(folder / "a.png", 1, 3, 3) == std::vector<std::uint8_t>{0, 255, 0, 0, 0, 255, 255, 0, 0});
}

TEST_CASE("Transparent pictures are laid on white") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> rgba = {9, 8, 7, 255, 9, 8, 7, 0};  // one opaque pixel, one that is not there
    write_png(folder / "a.png", PNG_FORMAT_RGBA, 1, 2, rgba.data());
    CHECK(read_png(folder / "a.png", 1, 2, 3) == std::vector<std::uint8_t>{9, 255, 8, 255, 7, 255});
}

TEST_CASE("16-bit pictures lose their lower bits only") {
    const TemporaryFolder folder;
    const std::vector<png_uint_16> linear = {0, 65535, 0};
    write_png(folder / "a.png", PNG_FORMAT_LINEAR_RGB, 1, 1, linear.data());
    CHECK(read_png(folder / "a.png", 1, 1, 3) == std::vector<std::uint8_t>{0, 255, 0});
}

TEST_CASE("Pictures that cannot be used are refused in one line") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> black(2 * 3 * 3);
    write_png(folder / "a.png", PNG_FORMAT_RGB, 2, 3, black.data());
    const auto refusal = [&](const char *name, int h, int w, int c = 3) { return message_of([&] { read_png(folder / name, h, w, c); }); };
    CHECK(one_line_with(refusal("a.png", 32, 32), {"a.png: the picture is 3x2 pixels, the network needs 32x32"}));
    CHECK(one_line_with(refusal("a.png", 3, 2), {"a.png: the picture is 3x2 pixels, the network needs 2x3"}));
    CHECK(one_line_with(refusal("a.png", 2, 3, 4), {"a.png: ", "the network needs 4"}));
    CHECK(one_line_with(refusal("none.png", 2, 3), {"none.png: cannot be read as PNG", "No such file"}));

    write_bytes(folder / "b.png", "no picture");
    CHECK(one_line_with(refusal("b.png", 2, 3), {"b.png: cannot be read as PNG"}));
    const std::string whole = read_bytes(folder / "a.png");
    write_bytes(folder / "c.png", whole.substr(0, whole.size() - 20));
    CHECK(one_line_with(refusal("c.png", 2, 3), {"c.png: damaged PNG"}));
}
