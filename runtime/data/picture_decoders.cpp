#include "runtime/data/picture_decoders.h"

#include <fmt/format.h>

#include <stdexcept>

namespace halcyon {
namespace {

constexpr std::uint64_t most_pixels = 178'956'970;  // a GiB of Pillow's pixels of three bytes, halved

}  // namespace

void check_size(std::uint64_t h, std::uint64_t w) {
    if (h == 0 || w == 0) throw std::runtime_error(fmt::format("the picture is {}x{} pixels; save it anew", w, h));
    if (h > most_pixels / w)
        throw std::runtime_error(
            fmt::format("the picture is {}x{} pixels, more than the {} that are read; scale it down", w, h, most_pixels));
}

DecodedPicture new_picture(std::uint64_t h, std::uint64_t w, int channels) {
    check_size(h, w);
    return {int(h), int(w), channels, std::vector<std::uint8_t>(h * w * std::size_t(channels))};
}

void throw_truncated(std::string_view format) { throw std::runtime_error(fmt::format("is a truncated {}; save it anew", format)); }

void throw_damaged(std::string_view format) { throw std::runtime_error(fmt::format("is a damaged {}; save it anew", format)); }

void throw_not_read(std::string_view format, std::string_view kind) {
    throw std::runtime_error(fmt::format("is a {} {}, which is not read; save it anew", format, kind));
}

}  // namespace halcyon
