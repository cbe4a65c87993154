#include "runtime/png.h"

#include <fmt/format.h>
#include <memory>
#include <png.h>
#include <stdexcept>

namespace halcyon {

std::vector<std::uint8_t> read_png(const std::filesystem::path &path, int h, int w, int c) {
    const auto fail = [&](const std::string &reason) { throw std::runtime_error(fmt::format("{}: {}", path.string(), reason)); };

    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    const std::unique_ptr<png_image, void (*)(png_image *)> owner(&image, png_image_free);
    if (!png_image_begin_read_from_file(&image, path.c_str())) fail(fmt::format("cannot be read as PNG: {}", image.message));
    if (int(image.width) != w || int(image.height) != h) {
        fail(fmt::format("the picture is {}x{} pixels, the network needs {}x{}; scale or crop it first", image.width, image.height, w, h));
    }
    if (c != 1 && c != 3) fail(fmt::format("a PNG gives 1 or 3 channels, the network needs {}", c));

    image.format = c == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    const png_color white{255, 255, 255};
    std::vector<std::uint8_t> interleaved(PNG_IMAGE_SIZE(image));
    if (!png_image_finish_read(&image, &white, interleaved.data(), 0, nullptr)) fail(fmt::format("damaged PNG: {}", image.message));

    std::vector<std::uint8_t> planar(interleaved.size());
    const std::size_t pixels = std::size_t(h) * w;
    for (std::size_t i = 0; i < pixels; i++) {
        for (int channel = 0; channel < c; channel++) planar[channel * pixels + i] = interleaved[i * c + channel];
    }
    return planar;
}

}  // namespace halcyon
