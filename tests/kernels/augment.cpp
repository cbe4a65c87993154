// Augmentation against what Keras, SciPy and torchvision make of the same pictures: the words that the runtime composes, obeyed by the
// kernels' oracle. make_augmented.py made the file.
#include "runtime/training/augment.h"

#include "plan/step.h"
#include "runtime/engine/random.h"
#include "runtime/weights/safetensors.h"
#include "tests/catch.h"
#include "tests/kernels/oracle.h"
#include "tests/kernels/run.h"
#include "tests/tensors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <vector>

using namespace halcyon;
using oracle::Array;

namespace {

constexpr std::array<AugmentFill, 3> fills = {augment_fill_nearest, augment_fill_reflect, augment_fill_constant};

const TensorFile &file() {
    static const TensorFile file = read_safetensors(AUGMENTED);
    return file;
}

std::vector<float> floats(const std::string &name) { return tensor_values<float>(file(), name); }

/// A picture of the file, as a data set of one record.
Array picture(const std::string &name) {
    const TensorView &tensor = file().tensors.at(name);
    Array records({int(tensor.shape[2]), int(tensor.shape[1]), int(tensor.shape[0]), 1});
    for (std::size_t i = 0; i < records.values.size(); i++) records.values[i] = std::to_integer<int>(tensor.bytes[i]);
    return records;
}

Array augmented(const Array &records, const AugmentWords &words, bool floats = false) {
    const Shape s{.in_h = records.extent(2), .in_w = records.extent(1), .in_c = records.extent(0), .floats = floats};
    Array augment({augment_words, 1});
    std::ranges::copy(words, augment.values.begin());
    return run("augment", s, {records, Array({1}), augment})[0];
}

double largest_difference(const Array &image, const float *expected) {
    double largest = 0;
    for (std::size_t i = 0; i < image.values.size(); i++) largest = std::max(largest, std::abs(image.values[i] - double(expected[i])));
    return largest;
}

/// Half a level of rounding; positions rounded to 1/2048 of a pixel, by words rounded to 1/65536, each axis on noise of 0 to 255.
double bound(const Array &records) {
    const double words = (records.extent(1) + records.extent(2) + 1) * 0.5 / augment_one;
    return 0.5 + 2 * 255 * (0.5 / 2048 + words);
}

using Images = std::vector<AugmentWords>;

/// The words of an epoch's first images.
Images draw(const Augmentation &augmentation, double flip, int width, int height, int count, std::uint32_t seed = 5,
            std::uint32_t epoch = 2, std::uint32_t position = 0) {
    std::vector<std::int32_t> words(std::size_t(count) * augment_words);
    Augmenter(augmentation, flip, width, height).draw(seed, epoch, position, words);
    Images images(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < images.size(); i++)
        std::copy_n(words.begin() + std::ptrdiff_t(i * augment_words), augment_words, images[i].begin());
    return images;
}

/// Whether `count` of `total` draws may be those of an event of this probability: within six deviations, one in 10^9.
bool plausible(int count, int total, double probability) {
    return std::abs(count - total * probability) <= 6 * std::sqrt(total * probability * (1 - probability));
}

/// Whether values may be uniform in lowest..highest: inside, and each quarter as full as another.
bool uniform(const std::vector<double> &values, double lowest, double highest) {
    std::array<int, 4> quarters{};
    for (const double value : values) {
        if (value < lowest || value > highest) return false;
        quarters[std::size_t(std::min(3.0, 4 * (value - lowest) / (highest - lowest)))]++;
    }
    return std::ranges::all_of(quarters, [&](int count) { return plausible(count, int(values.size()), 0.25); });
}

std::vector<double> words_of(const Images &images, AugmentField field) {
    std::vector<double> values;
    for (const AugmentWords &words : images) values.push_back(double(words[field]) / augment_one);
    return values;
}

constexpr int many = 4000;

}  // namespace

TEST_CASE("Affine maps are Keras's") {
    const Array square = picture("square");
    const std::vector<float> values = floats("keras/values"), images = floats("keras/images");
    const std::size_t size = square.values.size();
    for (std::size_t i = 0; i < values.size() / 6; i++)
        for (std::size_t fill = 0; fill < fills.size(); fill++) {
            CAPTURE(i, fill);
            const float *v = &values[6 * i];
            const AffineValues affine = {.rotation = v[0], .shift_x = v[1], .shift_y = v[2], .shear = v[3], .zoom_x = v[4], .zoom_y = v[5]};
            const AugmentWords words = moved_by(affine_map(affine, square.extent(1), square.extent(2)), {fills[fill], 77});
            CHECK(largest_difference(augmented(square, words), &images[(i * fills.size() + fill) * size]) <= bound(square));
        }
}

TEST_CASE("Samples and fills are SciPy's, far outside too") {
    const Array oblong = picture("oblong");
    const std::vector<float> maps = floats("scipy/maps"), images = floats("scipy/images");
    const std::size_t size = oblong.values.size();
    for (std::size_t i = 0; i < maps.size() / 6; i++)
        for (std::size_t fill = 0; fill < fills.size(); fill++) {
            CAPTURE(i, fill);
            const float *m = &maps[6 * i];
            const PixelMap map = {.xx = m[0], .xy = m[1], .x0 = m[2], .yx = m[3], .yy = m[4], .y0 = m[5]};
            const Array image = augmented(oblong, moved_by(map, {fills[fill], 77}));
            // The first two move by whole pixels: those are copies.
            CHECK(largest_difference(image, &images[(i * fills.size() + fill) * size]) <= (i < 2 ? 0 : bound(oblong)));
        }
}

TEST_CASE("Contrast is Keras's") {
    const Array oblong = picture("oblong");
    const std::vector<float> factors = floats("contrast/factors"), images = floats("contrast/images");
    for (std::size_t i = 0; i < factors.size(); i++) {
        CAPTURE(i);
        AugmentWords words = moved_by({}, {});
        words[augment_gain] = int(std::lround(double(factors[i]) * augment_one));
        words[augment_mean_gain] = augment_one - words[augment_gain];
        // A level's half, the mean's 1/512, the gain's half of 1/65536.
        CHECK(largest_difference(augmented(oblong, words), &images[i * oblong.values.size()]) <= 0.51);
    }
}

TEST_CASE("What is not asked for leaves a picture as it is, of bytes and of floats") {
    Array oblong = picture("oblong");
    const Images images = draw({}, 0, oblong.extent(1), oblong.extent(2), 3);
    for (const AugmentWords &words : images) {
        CHECK(words == moved_by({}, {}));
        CHECK(augmented(oblong, words).values == oblong.values);
    }
    for (double &value : oblong.values) value = float(value / 255);
    CHECK(augmented(oblong, images[0], true).values == oblong.values);
}

TEST_CASE("Flips are the input kernel's, and copies of the mirrored picture") {
    Augmentation augmentation;
    augmentation.vertical_flip = 0.25;
    const Array oblong = picture("oblong");
    const int width = oblong.extent(1), height = oblong.extent(2);
    const Images images = draw(augmentation, 0.5, width, height, many, 5, 2, 100);
    int horizontal = 0, vertical = 0, both = 0;
    for (int i = 0; i < many; i++) {
        const AugmentWords &words = images[std::size_t(i)];
        const bool mirrored = words[augment_xx] < 0, turned = words[augment_yy] < 0;
        CHECK(mirrored == ((philox2x32({std::uint32_t(100 + i), 0}, stream_key(5, 2, stream_flip))[0] & 0xFFFF) < 32768));
        horizontal += mirrored, vertical += turned, both += mirrored && turned;
        if (i > 20) continue;
        const Array image = augmented(oblong, words);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                REQUIRE(image(1, x, y, 0) == oblong(1, mirrored ? width - 1 - x : x, turned ? height - 1 - y : y, 0));
    }
    CHECK(plausible(horizontal, many, 0.5));
    CHECK(plausible(vertical, many, 0.25));
    CHECK(plausible(both, many, 0.125));
}

TEST_CASE("A crop is a window of the framed picture, each as likely") {
    Augmentation augmentation;
    augmentation.crop = CropSettings{.pad = 2, .filling = {augment_fill_constant, 9}};
    const Array oblong = picture("oblong");
    const int width = oblong.extent(1), height = oblong.extent(2);
    std::map<std::pair<int, int>, int> windows;
    for (const AugmentWords &words : draw(augmentation, 0, width, height, many)) {
        const int left = words[augment_x0] / augment_one, top = words[augment_y0] / augment_one;
        if (windows[{left, top}]++ > 0) continue;
        const Array image = augmented(oblong, words);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                const int from_x = x + left, from_y = y + top;
                const bool inside = from_x >= 0 && from_x < width && from_y >= 0 && from_y < height;
                REQUIRE(image(2, x, y, 0) == (inside ? oblong(2, from_x, from_y, 0) : 9));
            }
    }
    CHECK(windows.size() == 25);
    for (const auto &[window, count] : windows) CHECK(plausible(count, many, 1.0 / 25));
}

TEST_CASE("Affine values fill their ranges") {
    const auto draws = [](const AffineSettings &affine, AugmentField field) {
        Augmentation augmentation;
        augmentation.affine = affine;
        return words_of(draw(augmentation, 0, 21, 11, many), field);
    };
    std::vector<double> angles;
    for (const double sine : draws({.rotation = 30}, augment_yx)) angles.push_back(std::asin(sine));
    CHECK(uniform(angles, -0.5236, 0.5236));
    CHECK(uniform(draws({.shift = {0.1, 0.4}}, augment_x0), -2.1, 2.1));
    CHECK(uniform(draws({.shift = {0.1, 0.4}}, augment_y0), -4.4, 4.4));
    CHECK(uniform(draws({.zoom = 0.2}, augment_xx), 0.8, 1.2));
    CHECK(uniform(draws({.zoom = 0.2}, augment_yy), 0.8, 1.2));
    CHECK(draws({.zoom = 0.2}, augment_xx) != draws({.zoom = 0.2}, augment_yy));
    std::vector<double> shears;
    for (const double sine : draws({.shear = 45}, augment_xy)) shears.push_back(std::asin(-sine));
    CHECK(uniform(shears, -0.78541, 0.78541));
}

TEST_CASE("Brightness multiplies, contrast turns about the mean, and both are one") {
    Augmentation augmentation;
    augmentation.brightness = 0.5;
    const Images bright = draw(augmentation, 0, 8, 8, many);
    CHECK(uniform(words_of(bright, augment_gain), 0.5, 1.5));
    for (const AugmentWords &words : bright) REQUIRE(words[augment_mean_gain] == 0);
    augmentation.contrast = 0.3;
    const Images both = draw(augmentation, 0, 8, 8, many);
    std::vector<double> contrasts;
    for (std::size_t i = 0; i < both.size(); i++) {
        // contrast * b and (1 - contrast) * b, whose sum is b.
        CHECK(std::abs(both[i][augment_gain] + both[i][augment_mean_gain] - bright[i][augment_gain]) <= 2);
        contrasts.push_back(double(both[i][augment_gain]) / bright[i][augment_gain]);
    }
    CHECK(uniform(contrasts, 0.6999, 1.3001));
}

TEST_CASE("A rectangle is erased as torchvision erases it") {
    Augmentation augmentation;
    augmentation.erase = EraseSettings{.probability = 0.75, .area = {0.1, 0.2}, .aspect = {0.5, 2}, .value = 200};
    constexpr int width = 40, height = 30;
    int erased = 0;
    std::vector<double> areas, lefts;
    for (const AugmentWords &words : draw(augmentation, 0, width, height, many)) {
        const int w = words[augment_right] - words[augment_left], h = words[augment_bottom] - words[augment_top];
        if (w == 0) continue;
        erased++;
        REQUIRE((words[augment_left] >= 0 && words[augment_top] >= 0 && words[augment_right] <= width && words[augment_bottom] <= height));
        REQUIRE(words[augment_erase_value] == 200);
        areas.push_back(double(w) * h / (width * height));
        lefts.push_back((words[augment_left] + 0.5) / (width - w + 1));
        // Sides rounded to whole pixels, by half a pixel of no less than 7.
        CHECK((double(h) / w > 0.5 / 1.15 && double(h) / w < 2 * 1.15));
    }
    CHECK(plausible(erased, many, 0.75));
    CHECK(uniform(lefts, 0, 1));
    for (const double area : areas) CHECK((area > 0.1 / 1.15 && area < 0.2 * 1.15));
    const double mean = std::accumulate(areas.begin(), areas.end(), 0.0) / double(areas.size());
    CHECK(std::abs(mean - 0.15) < 6 * 0.1 / std::sqrt(12.0 * double(areas.size())) + 0.002);

    augmentation.erase = EraseSettings{.probability = 1, .area = {1, 1}, .aspect = {1, 1}};
    for (const AugmentWords &words : draw(augmentation, 0, 8, 8, 10)) CHECK(words == moved_by({}, {}));  // it never fits

    augmentation.erase = EraseSettings{.probability = 1, .value = 3};
    const Array oblong = picture("oblong");
    for (const AugmentWords &words : draw(augmentation, 0, oblong.extent(1), oblong.extent(2), 5)) {
        const Array image = augmented(oblong, words);
        for (int y = 0; y < oblong.extent(2); y++)
            for (int x = 0; x < oblong.extent(1); x++) {
                const bool inside =
                    x >= words[augment_left] && x < words[augment_right] && y >= words[augment_top] && y < words[augment_bottom];
                REQUIRE(image(0, x, y, 0) == (inside ? 3 : oblong(0, x, y, 0)));
            }
    }
}

TEST_CASE("What becomes of an image depends on seed, epoch and place, on no batch and on nothing else that is asked for") {
    Augmentation all;
    all.vertical_flip = 0.5;
    all.crop = CropSettings{.pad = 4, .filling = {}};
    all.affine = AffineSettings{.rotation = 20, .shift = {0.1, 0.1}, .zoom = 0.2, .shear = 10, .filling = {}};
    all.brightness = 0.3, all.contrast = 0.3;
    all.erase = EraseSettings{};
    const Images epoch = draw(all, 0.5, 32, 32, 100);
    for (const int first : {0, 1, 37, 99}) {
        const Images part = draw(all, 0.5, 32, 32, 100 - first, 5, 2, std::uint32_t(first));
        CHECK(std::equal(part.begin(), part.end(), epoch.begin() + first));
    }
    CHECK(draw(all, 0.5, 32, 32, 100, 6) != epoch);
    CHECK(draw(all, 0.5, 32, 32, 100, 5, 3) != epoch);
    CHECK(std::set<AugmentWords>(epoch.begin(), epoch.end()).size() == 100);

    Augmentation fewer;
    fewer.contrast = 0.3, fewer.brightness = 0.3;
    fewer.erase = EraseSettings{};
    const Images others = draw(fewer, 0, 32, 32, 100);
    for (std::size_t i = 0; i < epoch.size(); i++)
        CHECK(std::equal(epoch[i].begin() + augment_gain, epoch[i].end(), others[i].begin() + augment_gain));
}

TEST_CASE("Pictures whose positions would not fit are refused") {
    CHECK_NOTHROW(Augmenter({}, 0, most_augmented_pixels, 1));
    CHECK_THROWS_WITH(Augmenter({}, 0, 10, 4097), "pictures of 4097x10 cannot be augmented: their sides may have 4096 pixels");
    // The farthest that any recipe goes.
    Augmentation augmentation;
    augmentation.crop = CropSettings{.pad = most_augmented_pixels, .filling = {}};
    augmentation.affine = AffineSettings{.rotation = 180, .shift = {0.99, 0.99}, .zoom = 0.99, .shear = 89, .filling = {}};
    for (const AugmentWords &words : draw(augmentation, 0.5, most_augmented_pixels, most_augmented_pixels, 1000))
        for (const int row : {augment_xx, augment_yx})
            for (const double x : {0.0, 4095.0})
                for (const double y : {0.0, 4095.0}) {
                    REQUIRE(std::abs(words[std::size_t(row)] * x) < 0x1p31);
                    REQUIRE(std::abs(words[std::size_t(row) + 1] * y + words[std::size_t(row) + 2]) < 0x1p31);
                    REQUIRE(std::abs(words[std::size_t(row)] * x + words[std::size_t(row) + 1] * y + words[std::size_t(row) + 2]) < 0x1p31);
                }
}
