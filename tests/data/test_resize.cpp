#include "runtime/data/resize.h"

#include "runtime/weights/safetensors.h"
#include "tests/catch.h"
#include "tests/data/files.h"

#include <map>
#include <sstream>

using namespace halcyon;

namespace {

Picture picture_of(const TensorView &tensor) {
    const auto *const bytes = reinterpret_cast<const std::uint8_t *>(tensor.bytes.data());
    return {int(tensor.shape[0]), int(tensor.shape[1]), int(tensor.shape[2]), {bytes, bytes + tensor.bytes.size()}};
}

const std::map<std::string, Resize> methods = {{"pillow", Resize::pillow}, {"tf", Resize::tf}, {"nearest", Resize::nearest}};
const std::map<std::string, Fit> fits = {{"stretch", Fit::stretch}, {"crop", Fit::crop}, {"pad", Fit::pad}};

/// One row of `pixels`, grey.
Picture row(std::vector<std::uint8_t> pixels) { return {1, int(pixels.size()), 1, std::move(pixels)}; }

std::vector<std::uint8_t> fitted(const Picture &picture, int h, int w, const PictureOptions &options) {
    return fit_picture(picture, h, w, options).pixels;
}

}  // namespace

TEST_CASE("Pictures of other sizes are bit-equal to Pillow's and TensorFlow's") {
    const TensorFile golden = read_safetensors(PICTURES);
    int pictures = 0;
    for (const auto &[name, tensor] : golden.tensors) {
        std::istringstream parts(name);  // resize/SOURCE/METHOD/FIT/ROWSxCOLUMNS
        std::string resize, source, method, fit;
        std::getline(parts, resize, '/');
        if (resize != "resize" || !std::getline(parts, source, '/') || !std::getline(parts, method, '/') || !std::getline(parts, fit, '/'))
            continue;
        CAPTURE(name);
        const Picture expected = picture_of(tensor), from = picture_of(golden.tensors.at("resize/" + source));
        const Picture found = fit_picture(from, expected.h, expected.w, {.resize = methods.at(method), .fit = fits.at(fit)});
        CHECK((found.h == expected.h && found.w == expected.w && found.c == expected.c));
        CHECK((found.pixels == expected.pixels));
        pictures++;
    }
    CHECK(pictures == 98);
}

TEST_CASE("Each method on pixels that can be checked by hand") {
    const Picture step = row({0, 0, 100, 200});
    // Two outputs, each a triangle of four inputs' width around 1 and 3: weights 3/8 (the two in the middle) and 1/8, as far as there are
    // inputs.
    CHECK(fitted(step, 1, 2, {}) == std::vector<std::uint8_t>{14, 129});
    // No antialiasing: the mean of the two inputs around 1 and 3.
    CHECK(fitted(step, 1, 2, {.resize = Resize::tf}) == std::vector<std::uint8_t>{0, 150});
    CHECK(fitted(row({0, 1, 2, 3}), 1, 2, {.resize = Resize::tf}) == std::vector<std::uint8_t>{0, 2});  // 0.5 and 2.5: ties to even
    CHECK(fitted(step, 1, 2, {.resize = Resize::nearest}) == std::vector<std::uint8_t>{0, 200});
}

TEST_CASE("Another aspect ratio is stretched, cropped or padded") {
    const Picture wide = row({10, 20, 30, 40});
    CHECK(fitted(wide, 1, 2, {.resize = Resize::nearest, .fit = Fit::crop}) == std::vector<std::uint8_t>{20, 30});
    CHECK(fitted(wide, 3, 4, {.resize = Resize::nearest, .fit = Fit::pad}) ==
          std::vector<std::uint8_t>{0, 0, 0, 0, 10, 20, 30, 40, 0, 0, 0, 0});
    CHECK(fitted(wide, 2, 4, {.resize = Resize::nearest, .fit = Fit::stretch}) ==
          std::vector<std::uint8_t>{10, 20, 30, 40, 10, 20, 30, 40});
    // However narrow, a padded picture keeps a row.
    CHECK(fitted(row(std::vector<std::uint8_t>(1000, 7)), 3, 3, {.fit = Fit::pad}) == std::vector<std::uint8_t>{0, 0, 0, 7, 7, 7, 0, 0, 0});
}

TEST_CASE("A picture of the right size is not touched, and stays turned") {
    Picture picture = row({1, 2, 3});
    picture.turned = true;
    const Picture same = fit_picture(picture, 1, 3, {});
    CHECK(same.pixels == picture.pixels);
    CHECK(same.turned);
    CHECK(fit_picture(picture, 2, 2, {}).turned);
}

TEST_CASE("A flat picture stays flat at every size") {
    const auto method = GENERATE(Resize::pillow, Resize::tf, Resize::nearest);
    const auto c = GENERATE(1, 3);
    const Picture white{20, 30, c, std::vector<std::uint8_t>(std::size_t(20 * 30 * c), 255)};
    for (const int side : {1, 2, 7, 19, 20, 31, 100, 257}) {
        const std::vector<std::uint8_t> pixels = fitted(white, side, side, {.resize = method});
        CHECK((pixels == std::vector<std::uint8_t>(std::size_t(side * side * c), 255)));
    }
}
