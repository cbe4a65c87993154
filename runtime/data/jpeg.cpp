// JPEG, by libjpeg-turbo's libjpeg interface, which Pillow uses too.
#include "runtime/data/picture_decoders.h"
#include "runtime/data/picture_exif.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>  // jpeglib.h wants FILE

#include <jpeglib.h>

#include <jerror.h>
#include <new>

namespace halcyon {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view format = "JPEG";

/// Every scan goes through the whole picture, so that a small file of many scans would take hours. Encoders write about ten.
constexpr int most_scans = 100;

enum class Outcome { done, truncated, damaged, unknown_kind, too_many_scans };

/// libjpeg on a file in memory. It reports errors by longjmp(), which runs no destructor on its way: the functions that call it own
/// nothing. Where the file has no more bytes its source suspends it, as Pillow's does: so a file that is cut off anywhere is known.
class Decoder {
public:
    explicit Decoder(Bytes file) {
        info_.err = jpeg_std_error(&errors_);
        info_.client_data = this;
        errors_.error_exit = [](j_common_ptr info) { fail(info); };
        errors_.emit_message = warn;
        source_.next_input_byte = reinterpret_cast<const JOCTET *>(file.data());
        source_.bytes_in_buffer = file.size();
        source_.init_source = source_.term_source = [](j_decompress_ptr) {};
        source_.fill_input_buffer = [](j_decompress_ptr) -> boolean { return FALSE; };
        source_.skip_input_data = skip;
        source_.resync_to_restart = jpeg_resync_to_restart;
        progress_.progress_monitor = [](j_common_ptr info) {
            if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > most_scans) fail(info);
        };
    }
    Decoder(const Decoder &) = delete;
    Decoder &operator=(const Decoder &) = delete;
    ~Decoder() { jpeg_destroy_decompress(&info_); }

    Outcome read_header() {
        if (setjmp(failed_)) return failure();
        jpeg_create_decompress(&info_);
        info_.src = &source_;
        info_.progress = &progress_;
        jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xFFFF);  // EXIF
        if (jpeg_read_header(&info_, TRUE) != JPEG_HEADER_OK) return Outcome::truncated;
        switch (info_.num_components) {
        case 1:
            info_.out_color_space = JCS_GRAYSCALE;
            break;
        case 3:
            info_.out_color_space = JCS_RGB;
            break;
        case 4:
            info_.out_color_space = JCS_CMYK;
            break;
        default:
            return Outcome::unknown_kind;
        }
        return Outcome::done;
    }

    std::uint32_t width() const { return info_.image_width; }
    std::uint32_t height() const { return info_.image_height; }
    int components() const { return info_.num_components; }
    bool huffman_coded() const { return !info_.arith_code; }

    int orientation() const {
        for (jpeg_saved_marker_ptr marker = info_.marker_list; marker; marker = marker->next) {
            const Bytes data(reinterpret_cast<const std::byte *>(marker->data), marker->data_length);
            constexpr std::array<char, 6> exif = {'E', 'x', 'i', 'f', 0, 0};
            if (data.size() > exif.size() && std::equal(exif.begin(), exif.end(), reinterpret_cast<const char *>(data.data())))
                return exif_orientation(data);
        }
        return 1;
    }

    Outcome read_pixels(DecodedPicture &picture) {
        if (setjmp(failed_)) return failure();
        if (!jpeg_start_decompress(&info_)) return Outcome::truncated;
        const std::size_t row_bytes = std::size_t(picture.w) * std::size_t(picture.channels);
        while (info_.output_scanline < info_.output_height) {
            std::array<JSAMPROW, 16> rows{};
            const std::size_t count = std::min<std::size_t>(rows.size(), info_.output_height - info_.output_scanline);
            picture.pixels.resize((info_.output_scanline + count) * row_bytes);  // set to 0 in the cache, where they are written next
            for (std::size_t i = 0; i < count; i++) rows[i] = &picture.pixels[(info_.output_scanline + i) * row_bytes];
            if (jpeg_read_scanlines(&info_, rows.data(), JDIMENSION(count)) == 0) return Outcome::truncated;
        }
        jpeg_finish_decompress(&info_);  // what is behind the last row may be missing
        return Outcome::done;
    }

private:
    [[noreturn]] static void fail(j_common_ptr info) { std::longjmp(static_cast<Decoder *>(info->client_data)->failed_, 1); }

    /// Where libjpeg would go on with pixels that it made up, the file is damaged. What it merely finds strange, bytes between two markers
    /// above all, changes no pixel and is passed over.
    static void warn(j_common_ptr info, int level) {
        constexpr std::array made_up = {int(JWRN_HIT_MARKER), int(JWRN_HUFF_BAD_CODE), int(JWRN_ARITH_BAD_CODE), int(JWRN_MUST_RESYNC),
                                        int(JWRN_BOGUS_PROGRESSION)};
        if (level < 0 && std::ranges::find(made_up, info->err->msg_code) != made_up.end()) fail(info);
    }

    static void skip(j_decompress_ptr info, long count) {
        const std::size_t bytes = std::min(std::size_t(std::max(count, 0L)), info->src->bytes_in_buffer);
        info->src->next_input_byte += bytes;
        info->src->bytes_in_buffer -= bytes;
    }

    Outcome failure() const {
        if (errors_.msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
        if (info_.input_scan_number > most_scans) return Outcome::too_many_scans;
        constexpr std::array unknown = {int(JERR_BAD_PRECISION), int(JERR_SOF_UNSUPPORTED), int(JERR_CONVERSION_NOTIMPL)};
        return std::ranges::find(unknown, errors_.msg_code) != unknown.end() ? Outcome::unknown_kind : Outcome::damaged;
    }

    jpeg_decompress_struct info_{};
    jpeg_error_mgr errors_{};
    jpeg_source_mgr source_{};
    jpeg_progress_mgr progress_{};
    std::jmp_buf failed_{};
};

void refuse_unless_done(Outcome outcome) {
    switch (outcome) {
    case Outcome::done:
        return;
    case Outcome::truncated:
        throw_truncated(format);
    case Outcome::damaged:
        throw_damaged(format);
    case Outcome::too_many_scans:
        throw_not_read(format, fmt::format("of more than {} scans", most_scans));
    case Outcome::unknown_kind:
        throw_not_read(format, "of a rare kind (12 bits, lossless or of two components)");
    }
}

/// RGB from inks as Adobe stores them, 0 for all of it, rounded as by Pillow's convert("RGB").
DecodedPicture rgb_from_inks(const DecodedPicture &inks) {
    DecodedPicture rgb = new_picture(std::uint64_t(inks.h), std::uint64_t(inks.w), 3);
    std::uint8_t *to = rgb.pixels.data();
    for (std::size_t i = 0; i < inks.pixels.size(); i += 4)
        for (std::size_t ink = 0; ink < 3; ink++) {
            const int light = inks.pixels[i + 3], product = (255 - inks.pixels[i + ink]) * light + 128;
            *to++ = std::uint8_t(light - ((product + (product >> 8)) >> 8));
        }
    return rgb;
}

}  // namespace

DecodedPicture decode_jpeg(Bytes file) {
    Decoder decoder(file);
    refuse_unless_done(decoder.read_header());
    const std::uint64_t w = decoder.width(), h = decoder.height();
    check_size(h, w);
    constexpr std::uint64_t most_pixels_per_byte = 8 * 64;  // a block of 64 takes a bit or more, so that no few bytes claim much memory
    if (decoder.huffman_coded() && h * w > most_pixels_per_byte * file.size()) throw_truncated(format);
    DecodedPicture picture{int(h), int(w), decoder.components(), {}};
    picture.pixels.reserve(h * w * std::size_t(picture.channels));
    const int orientation = decoder.orientation();  // the library forgets it with the last row
    refuse_unless_done(decoder.read_pixels(picture));
    if (decoder.components() == 4) picture = rgb_from_inks(picture);
    picture.orientation = orientation;
    return picture;
}

}  // namespace halcyon
