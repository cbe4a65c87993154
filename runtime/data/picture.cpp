#include "runtime/data/picture.h"

#include "plan/errors.h"
#include "plan/file_kind.h"
#include "plan/files.h"
#include "runtime/data/picture_decoders.h"
#include "runtime/data/picture_exif.h"
#include "runtime/data/resize.h"

#include <fmt/format.h>

#include <cstdio>  // jpeglib.h wants FILE

#include <jpeglib.h>
#include <png.h>
#include <webp/decode.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

namespace halcyon {
namespace {

using Bytes = std::span<const std::byte>;

struct Format {
    std::string_view kind;  // as kind_of() calls it
    DecodedPicture (*decode)(Bytes file);
};

constexpr std::array formats = {
    Format{jpeg_picture, decode_jpeg},
    Format{png_picture, decode_png},
    Format{webp_picture, decode_webp},
    Format{bmp_picture, decode_bmp},
};

constexpr std::array endings = {".jpg", ".jpeg", ".png", ".webp", ".bmp"};

/// A coded value of a pixel that lies on white, rounded as by Pillow's paste().
std::uint8_t on_white(int value, int alpha) {
    const int sum = value * alpha + 255 * (255 - alpha) + 128;
    return std::uint8_t((sum + (sum >> 8)) >> 8);
}

/// Rec. 601's luma of coded values, rounded as by Pillow's convert("L"); a grey pixel keeps its value.
std::uint8_t luma(const std::uint8_t *rgb) { return std::uint8_t((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16); }

/// Grey or RGB, without alpha.
DecodedPicture opaque(DecodedPicture picture, Alpha alpha) {
    if (picture.channels % 2 == 1) return picture;
    const std::size_t colours = std::size_t(picture.channels) - 1, count = picture.pixels.size() / (colours + 1);
    const std::uint8_t *from = picture.pixels.data();
    std::uint8_t *to = picture.pixels.data();
    for (std::size_t i = 0; i < count; i++, from += colours + 1)
        for (std::size_t colour = 0; colour < colours; colour++)
            *to++ = alpha == Alpha::white ? on_white(from[colour], from[colours]) : from[colour];
    picture.channels--;
    picture.pixels.resize(count * colours);
    return picture;
}

/// The same in c channels, 1 or 3.
std::vector<std::uint8_t> with_channels(DecodedPicture picture, int c) {
    if (picture.channels == c) return std::move(picture.pixels);
    std::vector<std::uint8_t> pixels(std::size_t(picture.h) * std::size_t(picture.w) * std::size_t(c));
    if (c == 1)
        for (std::size_t i = 0; i < pixels.size(); i++) pixels[i] = luma(&picture.pixels[3 * i]);
    else
        for (std::size_t i = 0; i < pixels.size(); i++) pixels[i] = picture.pixels[i / 3];
    return pixels;
}

/// The middle part of the aspect ratio of w x h, as Pillow's ImageOps.fit() takes it.
CropBox middle(const Picture &picture, int h, int w) {
    const double ratio = double(picture.w) / picture.h, wanted = double(w) / h;
    double width = picture.w, height = picture.h;
    if (ratio > wanted) width = wanted * picture.h;
    if (ratio < wanted) height = picture.w / wanted;
    const double left = (picture.w - width) * 0.5, top = (picture.h - height) * 0.5;
    return {float(left), float(top), float(left + width), float(top + height)};
}

CropBox whole(const Picture &picture) { return {0, 0, float(picture.w), float(picture.h)}; }

/// The whole picture in the middle of black bars, as by Pillow's ImageOps.pad(); halves are rounded to even there.
Picture padded(const Picture &picture, int h, int w, Resize method) {
    const double ratio = double(picture.w) / picture.h, wanted = double(w) / h;
    int inner_h = h, inner_w = w;
    if (ratio > wanted) inner_h = std::max(int(std::nearbyint(double(picture.h) / picture.w * w)), 1);
    if (ratio < wanted) inner_w = std::max(int(std::nearbyint(ratio * h)), 1);
    Picture inner = resize(picture, whole(picture), inner_h, inner_w, method);
    if (inner_h == h && inner_w == w) return inner;
    const auto c = std::size_t(picture.c), row = std::size_t(inner_w) * c;
    const auto left = std::size_t(std::nearbyint((w - inner_w) * 0.5)), top = std::size_t(std::nearbyint((h - inner_h) * 0.5));
    Picture result{h, w, picture.c, std::vector<std::uint8_t>(std::size_t(h) * std::size_t(w) * c)};
    for (std::size_t y = 0; y < std::size_t(inner_h); y++)
        std::copy_n(&inner.pixels[y * row], row, &result.pixels[((top + y) * std::size_t(w) + left) * c]);
    return result;
}

}  // namespace

Picture decode_picture(Bytes file, int c, const PictureOptions &options) {
    if (c != 1 && c != 3) throw std::runtime_error(fmt::format("a picture gives 1 or 3 channels, the network needs {}", c));
    const auto *const format = std::ranges::find(formats, kind_of(file), &Format::kind);
    if (format == formats.end())
        throw std::runtime_error(not_wanted(file, "a JPEG, PNG, WebP or BMP picture", "convert other pictures to one of these"));
    DecodedPicture decoded = format->decode(file);
    if (options.apply_exif) decoded = upright(std::move(decoded));
    Picture picture{decoded.h, decoded.w, c, {}, decoded.orientation != 1};
    picture.pixels = with_channels(opaque(std::move(decoded), options.alpha), c);
    return picture;
}

Picture fit_picture(const Picture &picture, int h, int w, const PictureOptions &options) {
    if (picture.h == h && picture.w == w) return picture;
    Picture result = options.fit == Fit::pad
                         ? padded(picture, h, w, options.resize)
                         : resize(picture, options.fit == Fit::crop ? middle(picture, h, w) : whole(picture), h, w, options.resize);
    result.turned = picture.turned;
    return result;
}

Picture read_picture(const std::filesystem::path &path, int h, int w, int c, const PictureOptions &options) {
    const FileBytes file = read_bytes(path, largest_picture_file);
    try {
        Picture picture = decode_picture({file.data.get(), file.size}, c, options);
        if (picture.h == h && picture.w == w) return picture;
        return fit_picture(picture, h, w, options);
    } catch (const std::runtime_error &error) {
        fail_for(path, error.what());
    }
}

std::string picture_decoders() {
    return fmt::format("libjpeg-turbo {}, libpng {}, libwebp {}", LIBJPEG_TURBO_VERSION_NUMBER, PNG_LIBPNG_VER_STRING,
                       WebPGetDecoderVersion());
}

bool is_picture_name(std::string_view name) {
    std::string lower(name);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    return std::ranges::any_of(endings, [&](std::string_view ending) { return lower.size() > ending.size() && lower.ends_with(ending); });
}

}  // namespace halcyon
