#include "runtime/data/png.h"

#include "plan/file_kind.h"
#include "plan/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>
#include <new>
#include <png.h>
#include <span>
#include <stdexcept>

namespace halcyon {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t largest_file = std::size_t{256} << 20;
constexpr std::size_t pixel_bytes = 4;  // red, green, blue, alpha

/// libpng on a file in memory. It reports errors by longjmp(), which runs no destructor on its way: the functions that call it own nothing.
/// All ancillary chunks but tRNS are passed over, so that none (gAMA, iCCP, sRGB) changes a value.
class Decoder {
public:
    explicit Decoder(Bytes file) : rest_(file) {
        if (!handles_.info) throw std::bad_alloc();
    }

    /// False where the file is damaged up to there.
    bool read_header() {
        if (setjmp(png_jmpbuf(handles_.png))) return false;
        png_set_read_fn(handles_.png, this, take);
        png_set_crc_action(handles_.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
        png_set_keep_unknown_chunks(handles_.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
        png_set_user_limits(handles_.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
        png_read_info(handles_.png, handles_.info);
        return true;
    }

    std::uint32_t width() const { return png_get_image_width(handles_.png, handles_.info); }
    std::uint32_t height() const { return png_get_image_height(handles_.png, handles_.info); }

    /// The picture as pixels of pixel_bytes, and the rest of the file, which must be sound too. False where it is not.
    bool read_pixels(std::span<png_byte *> rows) {
        if (setjmp(png_jmpbuf(handles_.png))) return false;
        png_set_expand(handles_.png);    // palettes, 1, 2 and 4 bits, a transparent colour
        png_set_strip_16(handles_.png);  // the high byte
        png_set_gray_to_rgb(handles_.png);
        png_set_add_alpha(handles_.png, 0xFF, PNG_FILLER_AFTER);
        png_set_interlace_handling(handles_.png);
        png_read_update_info(handles_.png, handles_.info);
        png_read_image(handles_.png, rows.data());
        png_read_end(handles_.png, nullptr);
        return true;
    }

    /// Whether what failed wanted more bytes than the file has.
    bool at_end() const { return at_end_; }

private:
    struct Handles {
        png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, fail, ignore);
        png_infop info = png ? png_create_info_struct(png) : nullptr;

        Handles() = default;
        Handles(const Handles &) = delete;
        Handles &operator=(const Handles &) = delete;
        ~Handles() { png_destroy_read_struct(&png, &info, nullptr); }
    };

    [[noreturn]] static void fail(png_structp png, png_const_charp) { png_longjmp(png, 1); }
    static void ignore(png_structp, png_const_charp) {}

    static void take(png_structp png, png_bytep to, std::size_t bytes) {
        auto &self = *static_cast<Decoder *>(png_get_io_ptr(png));
        self.at_end_ = bytes > self.rest_.size();
        if (self.at_end_) fail(png, nullptr);
        std::memcpy(to, self.rest_.data(), bytes);
        self.rest_ = self.rest_.subspan(bytes);
    }

    Bytes rest_;
    bool at_end_ = false;
    Handles handles_;
};

/// A coded value of a pixel that lies on white, rounded as by Pillow's paste().
int on_white(int value, int alpha) {
    const int sum = value * alpha + 255 * (255 - alpha) + 128;
    return (sum + (sum >> 8)) >> 8;
}

/// Rec. 601's luma of coded values, rounded as by Pillow's convert("L"); a grey pixel keeps its value.
int luma(int red, int green, int blue) { return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16; }

std::vector<std::uint8_t> planes(const std::vector<png_byte> &pixels, int channels) {
    const std::size_t count = pixels.size() / pixel_bytes;
    std::vector<std::uint8_t> record(count * channels);
    for (std::size_t i = 0; i < count; i++) {
        const png_byte *pixel = &pixels[i * pixel_bytes];
        const std::array colour = {on_white(pixel[0], pixel[3]), on_white(pixel[1], pixel[3]), on_white(pixel[2], pixel[3])};
        if (channels == 1) record[i] = std::uint8_t(luma(colour[0], colour[1], colour[2]));
        if (channels == 3)
            for (int channel = 0; channel < channels; channel++) record[channel * count + i] = std::uint8_t(colour[channel]);
    }
    return record;
}

}  // namespace

std::vector<std::uint8_t> read_png(const std::filesystem::path &path, int h, int w, int c) {
    const auto fail = [&](const std::string &reason) { throw std::runtime_error(fmt::format("{}: {}", path.string(), reason)); };
    if (c != 1 && c != 3) fail(fmt::format("a PNG gives 1 or 3 channels, the network needs {}", c));

    const FileBytes file = read_bytes(path, largest_file);
    const Bytes bytes(file.data.get(), file.size);
    if (kind_of(bytes) != png_picture) fail(not_wanted(bytes, png_picture, "only PNG is read, so convert other pictures"));

    Decoder decoder(bytes);
    const auto damaged = [&] { fail(fmt::format("is a {} PNG; save it anew", decoder.at_end() ? "truncated" : "damaged")); };
    if (!decoder.read_header()) damaged();
    if (decoder.width() != std::uint32_t(w) || decoder.height() != std::uint32_t(h)) {
        fail(fmt::format("the picture is {}x{} pixels, the network needs {}x{}; scale or crop it first", decoder.width(), decoder.height(),
                         w, h));
    }
    std::vector<png_byte> pixels(std::size_t(h) * w * pixel_bytes);
    std::vector<png_byte *> rows;
    for (int y = 0; y < h; y++) rows.push_back(&pixels[std::size_t(y) * w * pixel_bytes]);
    if (!decoder.read_pixels(rows)) damaged();
    return planes(pixels, c);
}

}  // namespace halcyon
