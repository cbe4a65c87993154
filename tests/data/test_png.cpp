#include "runtime/data/png.h"

#include "runtime/weights/safetensors.h"
#include "tests/catch.h"
#include "tests/data/files.h"

#include <cstdio>
#include <png.h>
#include <zlib.h>

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

/// Writes samples of 16 bits.
void write_png16(const std::filesystem::path &path, int colour_type, int h, int w, std::vector<std::uint16_t> samples) {
    std::FILE *file = std::fopen(path.c_str(), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, png_uint_32(w), png_uint_32(h), 16, colour_type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    png_set_swap(png);
    for (int y = 0; y < h; y++) png_write_row(png, reinterpret_cast<png_bytep>(&samples[samples.size() / h * y]));
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    std::fclose(file);
}

std::string big_endian(std::size_t number) { return {char(number >> 24), char(number >> 16), char(number >> 8), char(number)}; }

/// A file of these chunks: name and data.
std::string png_of(const std::vector<std::pair<std::string, std::string>> &chunks) {
    std::string file = "\x89PNG\r\n\x1a\n";
    for (const auto &[name, data] : chunks) {
        const std::string body = name + data;
        file += big_endian(data.size()) + body + big_endian(crc32_z(0, reinterpret_cast<const Bytef *>(body.data()), body.size()));
    }
    return file;
}

std::string deflated(const std::string &text) {
    std::string bytes(compressBound(text.size()), 0);
    uLongf size = bytes.size();
    compress(reinterpret_cast<Bytef *>(bytes.data()), &size, reinterpret_cast<const Bytef *>(text.data()), text.size());
    return bytes.substr(0, size);
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

TEST_CASE("Half transparent pictures are laid on white by their coded values") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> rgba = {0, 100, 255, 128};
    write_png(folder / "a.png", PNG_FORMAT_RGBA, 1, 1, rgba.data());
    CHECK(read_png(folder / "a.png", 1, 1, 3) == std::vector<std::uint8_t>{127, 177, 255});
}

TEST_CASE("Every 16-bit value becomes its high byte") {
    const TemporaryFolder folder;
    constexpr int side = 256, levels = side * side;
    const bool grey = GENERATE(true, false);
    std::vector<std::uint16_t> samples;
    std::vector<std::uint8_t> expected;
    for (int level = 0; level < levels; level++) {
        samples.insert(samples.end(), grey ? 1 : 3, std::uint16_t(level));
        expected.push_back(std::uint8_t(level >> 8));
    }
    write_png16(folder / "a.png", grey ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, side, side, samples);
    CHECK((read_png(folder / "a.png", side, side, 1) == expected));
    for (int channel = 1; channel < 3; channel++) expected.insert(expected.end(), expected.begin(), expected.begin() + levels);
    CHECK((read_png(folder / "a.png", side, side, 3) == expected));
}

TEST_CASE("Pictures of every kind are read as Pillow reads them") {
    const TemporaryFolder folder;
    const TensorFile golden = read_safetensors(PICTURES);
    const auto bytes = [&](const std::string &name) {
        const std::span<const std::byte> tensor = golden.tensors.at(name).bytes;
        return std::string(reinterpret_cast<const char *>(tensor.data()), tensor.size());
    };
    int pictures = 0;
    for (const auto &[tensor, view] : golden.tensors) {
        if (!tensor.ends_with("/png")) continue;
        const std::string name = tensor.substr(0, tensor.size() - 4);
        CAPTURE(name);
        write_bytes(folder / "a.png", bytes(tensor));
        const int h = int(golden.tensors.at(name + "/rgb").shape[1]), w = int(golden.tensors.at(name + "/rgb").shape[2]);
        const std::vector<std::uint8_t> rgb = read_png(folder / "a.png", h, w, 3), grey = read_png(folder / "a.png", h, w, 1);
        CHECK((std::string(rgb.begin(), rgb.end()) == bytes(name + "/rgb")));
        CHECK((std::string(grey.begin(), grey.end()) == bytes(name + "/grey")));
        pictures++;
    }
    CHECK(pictures == 38);
}

TEST_CASE("A grey that a file calls transparent is white") {
    const TemporaryFolder folder;
    // Two bits a pixel: 0, 1, 2, 3. The level 1 is transparent.
    const std::string header("\0\0\0\4\0\0\0\1\2\0\0\0\0", 13), transparent("\0\1", 2), row("\0\x1b", 2);
    write_bytes(folder / "a.png", png_of({{"IHDR", header}, {"tRNS", transparent}, {"IDAT", deflated(row)}, {"IEND", ""}}));
    CHECK(read_png(folder / "a.png", 1, 4, 1) == std::vector<std::uint8_t>{0, 255, 170, 255});
}

TEST_CASE("Every truncation and every flipped byte of a picture is found, or changes nothing") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> pixels = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
    write_png(folder / "a.png", PNG_FORMAT_RGB, 2, 3, pixels.data());
    const std::string whole = read_bytes(folder / "a.png");
    const std::vector<std::uint8_t> right = read_png(folder / "a.png", 2, 3, 3);
    const auto wrong = [&](const std::string &bytes) {
        write_bytes(folder / "b.png", bytes);
        std::vector<std::uint8_t> found = right;
        const std::string message = message_of([&] { found = read_png(folder / "b.png", 2, 3, 3); });
        return found != right || (!message.empty() && !one_line_with(message, {"b.png: "}));
    };
    std::vector<std::size_t> accepted;
    for (std::size_t i = 0; i < whole.size(); i++) {
        std::string damaged = whole;
        damaged[i] = char(damaged[i] ^ 0x21);
        if (wrong(damaged) || wrong(whole.substr(0, i))) accepted.push_back(i);
        CHECK(!message_of([&] { read_png(folder / "b.png", 2, 3, 3); }).empty());
    }
    CHECK(accepted == std::vector<std::size_t>{});
}

TEST_CASE("Pictures that cannot be used are refused in one line") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> black(2 * 3 * 3);
    write_png(folder / "a.png", PNG_FORMAT_RGB, 2, 3, black.data());
    const auto refusal = [&](const char *name, int h, int w, int c = 3) { return message_of([&] { read_png(folder / name, h, w, c); }); };
    CHECK(one_line_with(refusal("a.png", 32, 32), {"a.png: the picture is 3x2 pixels, the network needs 32x32"}));
    CHECK(one_line_with(refusal("a.png", 3, 2), {"a.png: the picture is 3x2 pixels, the network needs 2x3"}));
    CHECK(one_line_with(refusal("a.png", 2, 3, 4), {"a.png: ", "the network needs 4"}));
    CHECK(one_line_with(refusal("none.png", 2, 3), {"none.png: cannot be read: No such file"}));
    CHECK(one_line_with(refusal(".", 2, 3), {"is a folder, not a file"}));

    std::string whole = read_bytes(folder / "a.png");
    write_bytes(folder / "b.png", whole.substr(0, whole.size() - 20));
    CHECK(one_line_with(refusal("b.png", 2, 3), {"b.png: is a truncated PNG"}));
    whole[whole.size() - 20] ^= 1;
    write_bytes(folder / "b.png", whole);
    CHECK(one_line_with(refusal("b.png", 2, 3), {"b.png: is a damaged PNG"}));
    // An enormous picture is known by its header alone.
    const std::string header("\x7f\xff\xff\xff\x7f\xff\xff\xff\10\2\0\0\0", 13);
    write_bytes(folder / "b.png", png_of({{"IHDR", header}, {"IDAT", ""}}));
    CHECK(one_line_with(refusal("b.png", 2, 3), {"b.png: the picture is 2147483647x2147483647 pixels"}));
}

TEST_CASE("What is no PNG is called what it is") {
    const TemporaryFolder folder;
    const auto [bytes, kind] = GENERATE(table<std::string, std::string>({
        {"", "is an empty file, not a PNG"},
        {"no picture\n", "is a text file, not a PNG"},
        {"\xff\xd8\xff\xe0..JFIF", "is a JPEG picture, not a PNG"},
        {std::string("RIFF\x10\0\0\0WEBPVP8 ", 16), "is a WebP picture, not a PNG"},
        {std::string("BM\x36\x0c\0\0", 6), "is a BMP picture, not a PNG"},
        {"GIF89a\x01", "is a GIF picture, not a PNG"},
        {std::string("II*\0\x08", 5), "is a TIFF picture, not a PNG"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer, not a PNG picture; fetch the file itself"},
        {"\x01\x02\x03", "is not a PNG picture"},
    }));
    write_bytes(folder / "a.png", bytes);
    const std::string message = message_of([&] { read_png(folder / "a.png", 2, 3, 3); });
    INFO(message);
    CHECK(one_line_with(message, {"a.png: ", kind}));
}
