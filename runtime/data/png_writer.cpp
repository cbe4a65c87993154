#include "runtime/data/png_writer.h"

#include <csetjmp>
#include <cstdint>
#include <new>
#include <png.h>
#include <span>
#include <stdexcept>

namespace halcyon {
namespace {

/// libpng with a file in memory. It reports errors by longjmp(), which runs no destructor on its way: the function that calls it owns
/// nothing. No chunk is written but the header, the pixels and the end.
class Encoder {
public:
    Encoder() {
        if (!handles_.info) throw std::bad_alloc();
    }

    /// False where there is no memory.
    bool write(std::uint32_t w, std::uint32_t h, int colour, std::span<png_byte *> rows) {
        if (setjmp(png_jmpbuf(handles_.png))) return false;
        png_set_write_fn(handles_.png, &bytes_, append, nullptr);
        png_set_IHDR(handles_.png, handles_.info, w, h, 8, colour, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                     PNG_FILTER_TYPE_DEFAULT);
        png_set_rows(handles_.png, handles_.info, rows.data());
        png_write_png(handles_.png, handles_.info, PNG_TRANSFORM_IDENTITY, nullptr);
        return true;
    }

    std::vector<std::byte> take_bytes() { return std::move(bytes_); }

private:
    struct Handles {
        png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, fail, ignore);
        png_infop info = png ? png_create_info_struct(png) : nullptr;

        Handles() = default;
        Handles(const Handles &) = delete;
        Handles &operator=(const Handles &) = delete;
        ~Handles() { png_destroy_write_struct(&png, &info); }
    };

    [[noreturn]] static void fail(png_structp png, png_const_charp) { png_longjmp(png, 1); }
    static void ignore(png_structp, png_const_charp) {}

    static bool can_append(std::vector<std::byte> &bytes, std::span<const std::byte> more) noexcept {
        try {
            bytes.insert(bytes.end(), more.begin(), more.end());
            return true;
        } catch (const std::bad_alloc &) {
            return false;
        }
    }

    static void append(png_structp png, png_bytep from, std::size_t bytes) {
        auto &to = *static_cast<std::vector<std::byte> *>(png_get_io_ptr(png));
        if (!can_append(to, std::as_bytes(std::span(from, bytes)))) fail(png, nullptr);
    }

    std::vector<std::byte> bytes_;
    Handles handles_;
};

}  // namespace

std::vector<std::byte> encode_png(const Picture &picture) {
    const std::size_t row_bytes = static_cast<std::size_t>(picture.w) * static_cast<std::size_t>(picture.c);
    const bool sound = picture.h > 0 && picture.w > 0 && (picture.c == 1 || picture.c == 3) &&
                       picture.pixels.size() == static_cast<std::size_t>(picture.h) * row_bytes;
    if (!sound) throw std::invalid_argument("a picture to write as PNG: 1 or 3 channels, and as many pixels as its size says");

    std::vector<std::uint8_t> pixels = picture.pixels;  // libpng asks for rows that it may change, and does not
    std::vector<png_byte *> rows;
    for (std::size_t begin = 0; begin < pixels.size(); begin += row_bytes) rows.push_back(&pixels[begin]);
    Encoder encoder;
    const int colour = picture.c == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;
    if (!encoder.write(static_cast<std::uint32_t>(picture.w), static_cast<std::uint32_t>(picture.h), colour, rows)) throw std::bad_alloc();
    return encoder.take_bytes();
}

}  // namespace halcyon
