#include "runtime/data/synthetic.h"

#include "runtime/engine/random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace halcyon {
namespace {

// Only +, -, *, / and sqrt on doubles, no other libm: the same bytes everywhere. Mirroring an image must not change its class, because
// recipes flip images.
constexpr int side = 32, channels = 3;
constexpr std::size_t image_bytes = channels * side * side;
constexpr std::uint32_t stream_synthetic = 0x73796e74;  // "synt"; the other streams are in plan/step.h

enum Pattern { horizontal_stripes, vertical_stripes, diagonal_stripes, checkerboard, rings, dots, disc, square, triangle, cross };

const std::vector<std::string> pattern_names = {
    "horizontal stripes", "vertical stripes", "diagonal stripes", "checkerboard", "rings", "dots", "disc", "square", "triangle", "cross"};

/// The random numbers of one image.
class Draws {
public:
    Draws(std::uint32_t key, std::uint32_t image) : key_(key), image_(image) {}

    std::array<std::uint32_t, 2> words() { return philox2x32({image_, next_++}, key_); }
    double uniform(double low, double high) { return low + (high - low) * words()[0] * 0x1p-32; }
    bool coin() { return words()[0] & 1; }

private:
    std::uint32_t key_, image_, next_ = 0;
};

using Colour = std::array<double, channels>;

/// Two colours that can be told apart. Neither is preferred, so that each pixel has the same mean whichever of them it shows.
std::pair<Colour, Colour> draw_colours(Draws &draws) {
    constexpr double least_contrast = 150;  // summed over the channels
    for (;;) {
        Colour a, b;
        double contrast = 0;
        for (int c = 0; c < channels; c++) {
            a[c] = draws.uniform(0, 255);
            b[c] = draws.uniform(0, 255);
            contrast += std::abs(a[c] - b[c]);
        }
        if (contrast >= least_contrast) return {a, b};
    }
}

/// Where and how large a pattern is; all lengths in pixels.
struct Geometry {
    double x = 0, y = 0;          // its centre, or the phase of what repeats
    double cosine = 1, sine = 0;  // of its rotation
    double size = 0;              // from 0, the smallest, to 1, the largest
};

Geometry draw_geometry(Pattern pattern, Draws &draws) {
    constexpr double least = 10, most = side - least;  // shapes stay in view
    Geometry geometry;
    geometry.x = draws.uniform(least, most);
    geometry.y = draws.uniform(least, most);
    geometry.sine = draws.uniform(-0.2, 0.2);  // +-11 degrees: far from another class
    geometry.cosine = std::sqrt(1 - geometry.sine * geometry.sine);
    if (pattern == diagonal_stripes) {  // 45 degrees further, to either side
        const double turned = std::sqrt(0.5) * (geometry.cosine - geometry.sine);
        geometry.sine = std::sqrt(1 - turned * turned) * (draws.coin() ? 1 : -1);
        geometry.cosine = turned;
    }
    geometry.size = draws.uniform(0, 1);
    return geometry;
}

/// Distances below are negative inside. Stripes as wide as the gaps between them.
double stripes(double x, double period) {
    const double turns = x / period;
    return std::abs(turns - std::floor(turns) - 0.5) * period - period / 4;
}

double distance_to(Pattern pattern, const Geometry &at, double px, double py) {
    const double x = at.cosine * (px - at.x) + at.sine * (py - at.y);
    const double y = at.cosine * (py - at.y) - at.sine * (px - at.x);
    const auto sized = [&](double smallest, double largest) { return smallest + (largest - smallest) * at.size; };
    switch (pattern) {
    case horizontal_stripes:
        return stripes(y, sized(4, 9));
    case vertical_stripes:
        return stripes(x, sized(4, 9));
    case diagonal_stripes:
        return stripes(x, sized(4, 9));
    case checkerboard: {
        const double columns = stripes(x, sized(7, 13)), rows = stripes(y, sized(7, 13));
        return std::max(std::min(columns, -rows), std::min(-columns, rows));
    }
    case rings:
        return stripes(std::sqrt(x * x + y * y), sized(4, 9));
    case dots: {
        const double pitch = sized(6, 10);
        const double dx = x - pitch * std::floor(x / pitch + 0.5), dy = y - pitch * std::floor(y / pitch + 0.5);
        return std::sqrt(dx * dx + dy * dy) - 0.3 * pitch;
    }
    case disc:
        return std::sqrt(x * x + y * y) - sized(5, 10);
    case square:
        return std::max(std::abs(x), std::abs(y)) - sized(5, 9);
    case triangle:
        return std::max(y, std::sqrt(0.75) * std::abs(x) - 0.5 * y) - sized(3.5, 6);
    case cross: {
        const double length = sized(7, 12), thickness = 0.3 * length;
        const double upright = std::max(std::abs(x) - thickness, std::abs(y) - length);
        const double lying = std::max(std::abs(x) - length, std::abs(y) - thickness);
        return std::min(upright, lying);
    }
    }
    return 0;
}

void draw_image(Pattern pattern, Draws draws, std::uint8_t *record) {
    constexpr double noise = 20;  // at most, as a triangular distribution
    const auto [inside, outside] = draw_colours(draws);
    const Geometry geometry = draw_geometry(pattern, draws);
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            const double cover = std::clamp(0.5 - distance_to(pattern, geometry, x, y), 0.0, 1.0);
            const auto [low, high] = draws.words();
            const std::uint64_t bits = std::uint64_t(high) << 32 | low;
            for (int c = 0; c < channels; c++) {
                const double triangular = (double(bits >> 16 * c & 255) + double(bits >> (16 * c + 8) & 255)) / 255 - 1;
                const double value = outside[c] + (inside[c] - outside[c]) * cover + noise * triangular;
                record[(y * side + x) * channels + c] = std::uint8_t(std::clamp(value + 0.5, 0.0, 255.0));
            }
        }
    }
}

class Synthetic final : public Source {
public:
    std::string description() const override { return "synthetic"; }
    bool has(Split split) const override { return split != Split::validation; }
    Dataset load(Split split, const DecodingProgress &) override { return make_synthetic(split); }
};

}  // namespace

std::unique_ptr<Source> open_synthetic(const DataRequest &) { return std::make_unique<Synthetic>(); }

Dataset make_synthetic(Split split, int images, std::uint32_t seed) {
    Dataset data;
    data.h = data.w = side;
    data.c = channels;
    data.classes = int(pattern_names.size());
    data.class_names = pattern_names;
    data.pixels = Pixels::of_bytes(images * image_bytes);
    data.labels.resize(std::size_t(images));
    const std::uint32_t key = stream_key(seed, split == Split::train ? 0 : 1, stream_synthetic);
    for (int i = 0; i < images; i++) {
        data.labels[i] = std::uint16_t(i % data.classes);
        std::uint8_t *record = &data.pixels.bytes()[i * image_bytes];
        if (const int row = i / data.classes; row % 2 == 0) {
            draw_image(Pattern(data.labels[i]), Draws(key, std::uint32_t(i)), record);
        } else {  // the negative of the row before
            const std::uint8_t *original = record - data.classes * image_bytes;
            std::transform(original, original + image_bytes, record, [](std::uint8_t byte) { return 255 - byte; });
        }
    }
    return data;
}

}  // namespace halcyon
