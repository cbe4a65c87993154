// PNG, by libpng.
#include "runtime/data/picture_decoders.h"
#include "runtime/data/picture_exif.h"

#include <csetjmp>
#include <cstring>
#include <new>
#include <png.h>

namespace halcyon {
namespace {

using Bytes = std::span<const std::byte>;

/// libpng on a file in memory. It reports errors by longjmp(), which runs no destructor on its way: the functions that call it own nothing.
/// All ancillary chunks but tRNS and eXIf are passed over, so that none (gAMA, iCCP, sRGB) changes a value.
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
        png_set_keep_unknown_chunks(handles_.png, PNG_HANDLE_CHUNK_AS_DEFAULT, reinterpret_cast<const png_byte *>("eXIf"), 1);
        png_set_user_limits(handles_.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
        png_read_info(handles_.png, handles_.info);
        coded_row_bytes_ = png_get_rowbytes(handles_.png, handles_.info);
        png_set_expand(handles_.png);    // palettes, 1, 2 and 4 bits, a transparent colour
        png_set_strip_16(handles_.png);  // the high byte
        passes_ = png_set_interlace_handling(handles_.png);
        png_read_update_info(handles_.png, handles_.info);
        return true;
    }

    std::uint32_t width() const { return png_get_image_width(handles_.png, handles_.info); }
    std::uint32_t height() const { return png_get_image_height(handles_.png, handles_.info); }
    std::uint64_t coded_bytes() const { return std::uint64_t{height()} * coded_row_bytes_; }
    int channels() const { return png_get_channels(handles_.png, handles_.info); }

    /// The pixels of the picture, and the rest of the file, which must be sound too. False where it is not.
    bool read_pixels(DecodedPicture &picture) {
        if (setjmp(png_jmpbuf(handles_.png))) return false;
        const std::size_t row_bytes = png_get_rowbytes(handles_.png, handles_.info);
        for (int pass = 0; pass < passes_; pass++)
            for (int y = 0; y < picture.h; y++) png_read_row(handles_.png, &picture.pixels[std::size_t(y) * row_bytes], nullptr);
        png_read_end(handles_.png, handles_.info);
        return true;
    }

    /// After the pixels: the chunk may stand behind them.
    int orientation() const {
        png_uint_32 size = 0;
        png_bytep exif = nullptr;
        if (!png_get_eXIf_1(handles_.png, handles_.info, &size, &exif)) return 1;
        return exif_orientation(std::as_bytes(std::span(exif, size)));
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
    int passes_ = 1;
    std::size_t coded_row_bytes_ = 0;
    Handles handles_;
};

}  // namespace

/// Of 16 bits the high byte is taken, as Pillow does with RGB; it brings back what was multiplied by 257, and is at most one level below a
/// rounded division by 257. (Pillow clips grey of 16 bits to 255: white nearly everywhere, and not followed.)
DecodedPicture decode_png(Bytes file) {
    Decoder decoder(file);
    const auto refuse = [&] { decoder.at_end() ? throw_truncated("PNG") : throw_damaged("PNG"); };
    if (!decoder.read_header()) refuse();
    check_size(decoder.height(), decoder.width());
    constexpr std::uint64_t most_deflated = 1032;  // bytes in one, so that no few bytes claim much memory
    if (decoder.coded_bytes() > most_deflated * file.size()) throw_truncated("PNG");
    DecodedPicture picture = new_picture(decoder.height(), decoder.width(), decoder.channels());
    if (!decoder.read_pixels(picture)) refuse();
    picture.orientation = decoder.orientation();
    return picture;
}

}  // namespace halcyon
