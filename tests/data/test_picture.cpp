#include "runtime/data/picture.h"

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

constexpr PictureOptions as_usual;
constexpr PictureOptions on_white = {.alpha = Alpha::white};

Picture decode(const std::string &file, int c, const PictureOptions &options = as_usual) {
    return decode_picture(std::as_bytes(std::span(file)), c, options);
}

std::vector<std::uint8_t> pixels_of(const std::filesystem::path &path, int c, const PictureOptions &options = as_usual) {
    return decode(read_bytes(path), c, options).pixels;
}

/// What is wrong with a file.
std::string refusal(const std::string &file, int c = 3) {
    return message_of([&] { decode(file, c); });
}

/// The tensors of the golden file (make_pictures.py made it).
class Golden {
public:
    bool has(const std::string &name) const { return file_.tensors.contains(name); }
    std::string bytes(const std::string &name) const {
        const std::span<const std::byte> tensor = file_.tensors.at(name).bytes;
        return {reinterpret_cast<const char *>(tensor.data()), tensor.size()};
    }
    std::vector<std::uint8_t> pixels(const std::string &name) const {
        const std::string values = bytes(name);
        return {values.begin(), values.end()};
    }
    /// Of every NAME/file, in the order of the names.
    std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const auto &[tensor, view] : file_.tensors)
            if (tensor.ends_with("/file")) names.push_back(tensor.substr(0, tensor.size() - 5));
        return names;
    }

private:
    TensorFile file_ = read_safetensors(PICTURES);
};

}  // namespace

TEST_CASE("A picture becomes interleaved bytes") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> interleaved = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
    write_png(folder / "a.png", PNG_FORMAT_RGB, 2, 3, interleaved.data());
    const Picture picture = decode(read_bytes(folder / "a.png"), 3);
    CHECK((picture.h == 2 && picture.w == 3 && picture.c == 3 && !picture.turned));
    CHECK(picture.pixels == interleaved);
}

TEST_CASE("Grey pictures are grey in every channel, and one channel for a grey network") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> grey = {10, 200};
    write_png(folder / "a.png", PNG_FORMAT_GRAY, 1, 2, grey.data());
    CHECK(pixels_of(folder / "a.png", 3) == std::vector<std::uint8_t>{10, 10, 10, 200, 200, 200});
    CHECK(pixels_of(folder / "a.png", 1) == grey);
}

TEST_CASE("Palettes are looked up") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> colours = {255, 0, 0, 0, 255, 0, 0, 0, 255}, indices = {2, 0, 1};
    write_png(folder / "a.png", PNG_FORMAT_RGB_COLORMAP, 1, 3, indices.data(), colours.data(), 3);
    CHECK(pixels_of(folder / "a.png", 3) == std::vector<std::uint8_t>{0, 0, 255, 255, 0, 0, 0, 255, 0});
}

TEST_CASE("Transparent pictures are laid on white where that is asked for") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> rgba = {9, 8, 7, 255, 9, 8, 7, 0};  // one opaque pixel, one that is not there
    write_png(folder / "a.png", PNG_FORMAT_RGBA, 1, 2, rgba.data());
    CHECK(pixels_of(folder / "a.png", 3, on_white) == std::vector<std::uint8_t>{9, 8, 7, 255, 255, 255});
    CHECK(pixels_of(folder / "a.png", 3) == std::vector<std::uint8_t>{9, 8, 7, 9, 8, 7});
}

TEST_CASE("Half transparent pictures are laid on white by their coded values") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> rgba = {0, 100, 255, 128};
    write_png(folder / "a.png", PNG_FORMAT_RGBA, 1, 1, rgba.data());
    CHECK(pixels_of(folder / "a.png", 3, on_white) == std::vector<std::uint8_t>{127, 177, 255});
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
    CHECK((pixels_of(folder / "a.png", 1) == expected));
    std::vector<std::uint8_t> rgb;
    for (const std::uint8_t level : expected) rgb.insert(rgb.end(), 3, level);
    CHECK((pixels_of(folder / "a.png", 3) == rgb));
}

TEST_CASE("Pictures of every kind are read as Pillow reads them") {
    const Golden golden;
    int on_white_too = 0, upright_too = 0;
    for (const std::string &name : golden.names()) {
        CAPTURE(name);
        const std::string file = golden.bytes(name + "/file");
        CHECK((decode(file, 3).pixels == golden.pixels(name + "/rgb")));
        CHECK((decode(file, 1).pixels == golden.pixels(name + "/grey")));
        if (golden.has(name + "/rgb_on_white")) {
            CHECK((decode(file, 3, on_white).pixels == golden.pixels(name + "/rgb_on_white")));
            on_white_too++;
        }
        const bool turned = golden.has(name + "/upright");
        CHECK(decode(file, 3).turned == turned);
        if (!turned) continue;
        const Picture upright = decode(file, 3, {.apply_exif = true});
        CHECK(!upright.turned);
        CHECK((upright.pixels == golden.pixels(name + "/upright")));
        upright_too++;
    }
    CHECK(golden.names().size() == 85);
    CHECK(on_white_too == 18);
    CHECK(upright_too == 9);
}

TEST_CASE("A grey that a file calls transparent is white") {
    // Two bits a pixel: 0, 1, 2, 3. The level 1 is transparent.
    const std::string header("\0\0\0\4\0\0\0\1\2\0\0\0\0", 13), transparent("\0\1", 2), row("\0\x1b", 2);
    const std::string file = png_of({{"IHDR", header}, {"tRNS", transparent}, {"IDAT", deflated(row)}, {"IEND", ""}});
    CHECK(decode(file, 1, on_white).pixels == std::vector<std::uint8_t>{0, 255, 170, 255});
    CHECK(decode(file, 1).pixels == std::vector<std::uint8_t>{0, 85, 170, 255});
}

TEST_CASE("Every truncation and every flipped byte of a PNG is found, or changes nothing") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> pixels = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
    write_png(folder / "a.png", PNG_FORMAT_RGB, 2, 3, pixels.data());
    const std::string whole = read_bytes(folder / "a.png");
    const auto wrong = [&](const std::string &bytes) {
        std::vector<std::uint8_t> found = pixels;
        const std::string message = message_of([&] { found = decode(bytes, 3).pixels; });
        return found != pixels || (!message.empty() && !one_line_with(message, {"PNG"}));
    };
    std::vector<std::size_t> accepted;
    for (std::size_t i = 0; i < whole.size(); i++) {
        std::string damaged = whole;
        damaged[i] = char(damaged[i] ^ 0x21);
        if (wrong(damaged) || wrong(whole.substr(0, i))) accepted.push_back(i);
        CHECK(!refusal(whole.substr(0, i)).empty());
    }
    CHECK(accepted == std::vector<std::size_t>{});
}

TEST_CASE("Every truncation of a picture is found") {
    const Golden golden;
    const auto [name, format] = GENERATE(table<std::string, std::string>({{"jpeg_4:2:0", "JPEG"},
                                                                          {"jpeg_progressive", "JPEG"},
                                                                          {"jpeg_cmyk", "JPEG"},
                                                                          {"rgb8_interlaced", "PNG"},
                                                                          {"webp", "WebP"},
                                                                          {"webp_lossless_transparent", "WebP"},
                                                                          {"webp_animated", "WebP"},
                                                                          {"bmp8", "BMP"},
                                                                          {"bmp24_core", "BMP"}}));
    const std::string whole = golden.bytes(name + "/file");
    std::vector<std::size_t> wrong;
    const std::size_t filling = format == "BMP" ? 3 : 0;  // behind the last row's pixels
    for (std::size_t size = 16; size < whole.size() - filling; size++)
        if (refusal(whole.substr(0, size)) != "is a truncated " + format + "; save it anew") wrong.push_back(size);
    CAPTURE(name);
    CHECK(wrong == std::vector<std::size_t>{});
}

TEST_CASE("Flipped bytes never do more than change a picture") {
    const Golden golden;
    for (const std::string &name : golden.names()) {
        const std::string whole = golden.bytes(name + "/file");
        for (std::size_t i = 0; i < whole.size(); i += 3) {
            std::string damaged = whole;
            damaged[i] = char(damaged[i] ^ (1 << i % 8));
            const std::string message = refusal(damaged);
            if (!message.empty() && !one_line_with(message, {})) FAIL(name << ", byte " << i << ": " << message);
        }
    }
}

TEST_CASE("Pictures that cannot be used are refused in one line") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> black(2 * 3 * 3);
    write_png(folder / "a.png", PNG_FORMAT_RGB, 2, 3, black.data());
    const auto refusal_of = [&](const char *name, int c = 3) {
        return message_of([&] { read_picture(folder / name, 2, 3, c, as_usual); });
    };
    CHECK(refusal_of("a.png").empty());
    CHECK(one_line_with(refusal_of("a.png", 4), {"a.png: a picture gives 1 or 3 channels, the network needs 4"}));
    CHECK(one_line_with(refusal_of("none.png"), {"none.png: cannot be read: No such file"}));
    CHECK(one_line_with(refusal_of("."), {"is a folder, not a file"}));

    std::string whole = read_bytes(folder / "a.png");
    write_bytes(folder / "b.png", whole.substr(0, whole.size() - 20));
    CHECK(one_line_with(refusal_of("b.png"), {"b.png: is a truncated PNG; save it anew"}));
    whole[whole.size() - 20] ^= 1;
    write_bytes(folder / "b.png", whole);
    CHECK(one_line_with(refusal_of("b.png"), {"b.png: is a damaged PNG; save it anew"}));
}

TEST_CASE("Enormous pictures are known by their headers alone") {
    const Golden golden;
    const std::string header("\x7f\xff\xff\xff\x7f\xff\xff\xff\10\2\0\0\0", 13);
    CHECK(refusal(png_of({{"IHDR", header}, {"IDAT", ""}})) ==
          "the picture is 2147483647x2147483647 pixels, more than the 178956970 that are read; scale it down");

    std::string jpeg = golden.bytes("jpeg_4:2:0/file");
    jpeg.replace(jpeg.find("\xff\xc0") + 5, 4, "\xff\xdc\xff\xdc");
    CHECK(refusal(jpeg) == "the picture is 65500x65500 pixels, more than the 178956970 that are read; scale it down");

    std::string bmp = golden.bytes("bmp24/file");
    bmp.replace(18, 8, "\xff\xff\xff\x7f\xff\xff\xff\x7f");
    CHECK(refusal(bmp) == "the picture is 2147483647x2147483647 pixels, more than the 178956970 that are read; scale it down");
    bmp.replace(18, 8, std::string(8, 0));
    CHECK(refusal(bmp) == "the picture is 0x0 pixels; save it anew");
    bmp.replace(18, 8, std::string("\0\0\1\0\0\4\0\0", 8));
    CHECK(refusal(bmp) == "is a truncated BMP; save it anew");
}

TEST_CASE("Pictures larger than so few bytes can hold are truncated") {
    const Golden golden;
    std::string jpeg = golden.bytes("jpeg_4:2:0/file");
    jpeg.replace(jpeg.find("\xff\xc0") + 5, 4, "\x20\x20\x20\x20");
    CHECK(refusal(jpeg) == "is a truncated JPEG; save it anew");
    const std::string header("\0\0\x20\x20\0\0\x20\x20\10\2\0\0\0", 13);
    CHECK(refusal(png_of({{"IHDR", header}, {"IDAT", deflated("")}, {"IEND", ""}})) == "is a truncated PNG; save it anew");
    // A flat picture holds nearly as many as there can be.
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> flat(1000 * 1000);
    write_png(folder / "a.png", PNG_FORMAT_GRAY, 1000, 1000, flat.data());
    CHECK((pixels_of(folder / "a.png", 1) == flat));
}

TEST_CASE("A JPEG whose pixels would be made up is damaged") {
    const Golden golden;
    const std::string whole = golden.bytes("jpeg_4:2:0/file");
    CHECK(refusal(whole.substr(0, whole.size() - 60) + "\xff\xd9") == "is a damaged JPEG; save it anew");
    std::string twelve_bits = whole;
    twelve_bits[whole.find("\xff\xc0") + 4] = 12;
    CHECK(one_line_with(refusal(twelve_bits), {"is a JPEG of a rare kind", "which is not read; save it anew"}));
}

TEST_CASE("A JPEG of very many scans is not gone through") {
    const Golden golden;
    std::string whole = golden.bytes("jpeg_progressive_grey/file");
    const std::size_t first = whole.find("\xff\xda"), second = whole.find("\xff\xc4", first);  // the next scan's table
    REQUIRE(second != std::string::npos);
    whole[first + 9] = 0;  // all bits at once, so that the scan may be repeated
    const auto of_scans = [&](int count) {
        std::string file = whole.substr(0, first);
        for (int i = 0; i < count; i++) file += whole.substr(first, second - first);
        return file + "\xff\xd9";
    };
    CHECK(refusal(of_scans(100)).empty());
    CHECK(refusal(of_scans(101)) == "is a JPEG of more than 100 scans, which is not read; save it anew");
}

TEST_CASE("Kinds of BMP that nobody meets are named") {
    const Golden golden;
    const auto changed = [&](const char *name, std::size_t at, char value) {
        std::string file = golden.bytes(std::string(name) + "/file");
        file[at] = value;
        return refusal(file);
    };
    CHECK(changed("bmp8", 30, 1) == "is a BMP with compression RLE8, which is not read; save it anew");
    CHECK(changed("bmp4", 30, 2) == "is a BMP with compression RLE4, which is not read; save it anew");
    CHECK(changed("bmp24", 30, 9) == "is a BMP with compression 9, which is not read; save it anew");
    CHECK(changed("bmp8", 28, 2) == "is a BMP of 2 bits a pixel, which is not read; save it anew");
    CHECK(changed("bmp16_565", 54, '\x3d') == "is a BMP with the bit mask 0xf83d, which is not read; save it anew");
    CHECK(changed("bmp8", 14, 13) == "is a damaged BMP; save it anew");
}

TEST_CASE("EXIF data that tell nothing leave a picture as it is") {
    const Golden golden;
    const std::string whole = golden.bytes("jpeg_exif6/file");
    const std::size_t at = whole.find("Exif") + 6;
    REQUIRE(decode(whole, 3).turned);
    const auto turned = [&](std::size_t offset, char value) {
        std::string changed = whole;
        changed[at + offset] = value;
        return decode(changed, 3).turned;
    };
    CHECK(!turned(0, 'X'));     // no TIFF
    CHECK(!turned(4, '\x7f'));  // a directory beyond the end
    CHECK(!turned(18, 9));      // no orientation
    CHECK(!turned(12, 4));      // no short number
    CHECK(!turned(8, 0));       // no entries
}

TEST_CASE("Names of pictures are known by their endings") {
    for (const char *name : {"a.jpg", "b.JPEG", "c.Png", "d.webp", "e.BMP", "f.txt.jpg"}) CHECK(is_picture_name(name));
    for (const char *name : {"", "jpg", ".jpg", "a.gif", "a.jpg.txt", "ajpg"}) CHECK(!is_picture_name(name));
}

TEST_CASE("What is no picture that is read is called what it is") {
    const TemporaryFolder folder;
    const std::string wanted = ", not a JPEG, PNG, WebP or BMP picture; convert other pictures to one of these";
    const auto [bytes, kind] = GENERATE(table<std::string, std::string>({
        {"", "is an empty file"},
        {"no picture\n", "is a text file"},
        {"GIF89a\x01", "is a GIF picture"},
        {std::string("II*\0\x08", 5), "is a TIFF picture"},
    }));
    CHECK(refusal(bytes) == kind + wanted);
    CHECK(refusal("\x01\x02\x03") == "is not a JPEG, PNG, WebP or BMP picture; convert other pictures to one of these");
    CHECK(one_line_with(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
                        {"is a Git LFS pointer", "fetch the file itself"}));
    CHECK(refusal("\xff\xd8\xff\xe0..JFIF") == "is a truncated JPEG; save it anew");
    CHECK(refusal(std::string("BM\x36\x0c\0\0", 6)) == "is a truncated BMP; save it anew");
    CHECK(refusal(std::string("RIFF\x10\0\0\0WEBPVP8 ", 16)) == "is a truncated WebP; save it anew");
}
