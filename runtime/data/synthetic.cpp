#include "runtime/data/synthetic.h"

#include "runtime/data/labels.h"
#include "runtime/engine/random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>

namespace halcyon {
namespace {

// Only +, -, *, / and sqrt on doubles, no other libm: the same bytes everywhere. Mirroring an image must not change its class, because
// recipes flip images.
constexpr int side = 32;                                // the square that patterns are described in
constexpr std::uint32_t stream_synthetic = 0x73796e74;  // "synt"; the other streams are in plan/step.h

constexpr int patterns = 10;
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

using Colour = std::vector<double>;  // a value a channel

/// Two colours that can be told apart. Neither is preferred, so that each pixel has the same mean whichever of them it shows.
std::pair<Colour, Colour> draw_colours(int channels, Draws &draws) {
    constexpr double least_contrast = 50;  // the mean over the channels
    Colour a(static_cast<std::size_t>(channels)), b(a);
    for (;;) {
        double contrast = 0;
        for (int c = 0; c < channels; c++) {
            a[c] = draws.uniform(0, 255);
            b[c] = draws.uniform(0, 255);
            contrast += std::abs(a[c] - b[c]);
        }
        if (contrast >= least_contrast * channels) return {a, b};
    }
}

/// A part of the image with one pattern. Its lengths are in pixels, those of its pattern in pixels of a square of 32x32.
struct Panel {
    Pattern pattern = horizontal_stripes;
    int x = 0, y = 0, w = 0, h = 0;

    /// Pixels of the image for one of the square. Textures need three pixels for a period, shapes some more than one for an edge.
    double scale() const {
        const double least = pattern <= dots ? 0.75 : 0.375;
        return std::max(least, double(std::min(w, h)) / side);
    }
};

/// What a class is: one pattern or two, and the sizes that they have.
struct Class {
    Pattern first = horizontal_stripes, second = horizontal_stripes;
    enum { alone, beside, above } place = alone;
    int sizes = 0;  // which of the bands of sizes
};

/// Ten patterns, then the 45 pairs, each beside and above each other; then all of them in the next sizes.
Class class_of(int label) {
    constexpr int pairs = patterns * (patterns - 1) / 2, kinds = patterns + 2 * pairs;
    const int kind = label % kinds, sizes = label / kinds;
    if (kind < patterns) return {Pattern(kind), Pattern(kind), Class::alone, sizes};
    int pair = (kind - patterns) / 2, first = 0;
    while (pair >= patterns - 1 - first) pair -= patterns - 1 - first++;
    return {Pattern(first), Pattern(first + 1 + pair), kind % 2 == 0 ? Class::beside : Class::above, sizes};
}

int bands_of_sizes(int classes) { return class_of(std::max(classes, 1) - 1).sizes + 1; }

std::string name_of(int label, int classes) {
    const Class is = class_of(label);
    std::string name = pattern_names[is.first];
    if (is.place != Class::alone) name += (is.place == Class::beside ? " beside " : " above or below ") + pattern_names[is.second];
    if (bands_of_sizes(classes) > 1) name += ", size " + std::to_string(is.sizes + 1);
    return name;
}

/// Which of two patterns comes first is random, so that a mirrored image is of its class.
std::vector<Panel> draw_panels(const Class &is, const SyntheticForm &form, Draws &draws) {
    if (is.place == Class::alone) return {{is.first, 0, 0, form.w, form.h}};
    const bool in_order = draws.coin();
    const Pattern a = in_order ? is.first : is.second, b = in_order ? is.second : is.first;
    const int middle = (is.place == Class::beside ? form.w : form.h) / 2;
    if (is.place == Class::beside) return {{a, 0, 0, middle, form.h}, {b, middle, 0, form.w - middle, form.h}};
    return {{a, 0, 0, form.w, middle}, {b, 0, middle, form.w, form.h - middle}};
}

/// Where and how large a pattern is.
struct Geometry {
    double x = 0, y = 0;          // its centre, or the phase of what repeats
    double cosine = 1, sine = 0;  // of its rotation
    double size = 0;              // from 0, the smallest, to 1, the largest
};

Geometry draw_geometry(const Panel &panel, int sizes, int bands, Draws &draws) {
    const auto place = [&](int extent) {  // shapes stay in view
        const double length = extent / panel.scale(), least = std::min(10.0, length / 2);
        return draws.uniform(least, length - least);
    };
    Geometry geometry;
    geometry.x = place(panel.w);
    geometry.y = place(panel.h);
    geometry.sine = draws.uniform(-0.2, 0.2);  // +-11 degrees: far from another class
    geometry.cosine = std::sqrt(1 - geometry.sine * geometry.sine);
    if (panel.pattern == diagonal_stripes) {  // 45 degrees further, to either side
        const double turned = std::sqrt(0.5) * (geometry.cosine - geometry.sine);
        geometry.sine = std::sqrt(1 - turned * turned) * (draws.coin() ? 1 : -1);
        geometry.cosine = turned;
    }
    geometry.size = (sizes + draws.uniform(0, 1)) / bands;
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

/// How much of each pixel is inside the pattern, 0 to 1.
void draw_cover(const Panel &panel, const Geometry &geometry, int image_width, std::vector<double> &cover) {
    const double scale = panel.scale();
    for (int y = 0; y < panel.h; y++)
        for (int x = 0; x < panel.w; x++)
            cover[std::size_t(panel.y + y) * image_width + panel.x + x] =
                std::clamp(0.5 - scale * distance_to(panel.pattern, geometry, x / scale, y / scale), 0.0, 1.0);
}

void draw_image(const SyntheticForm &form, int label, Draws draws, std::span<std::uint8_t> record) {
    constexpr double noise = 20;             // at most, as a triangular distribution
    constexpr int bits = 16, in_a_draw = 4;  // of a channel's noise; channels that two words have bits for
    const auto [inside, outside] = draw_colours(form.c, draws);
    const Class is = class_of(label);
    std::vector<double> cover(std::size_t(form.h) * form.w);
    for (const Panel &panel : draw_panels(is, form, draws))
        draw_cover(panel, draw_geometry(panel, is.sizes, bands_of_sizes(form.classes), draws), form.w, cover);
    std::uint8_t *value = record.data();
    for (const double inside_share : cover) {
        std::uint64_t random = 0;
        for (int c = 0; c < form.c; c++, value++, random >>= bits) {
            if (c % in_a_draw == 0) {
                const auto [low, high] = draws.words();
                random = std::uint64_t(high) << 32 | low;
            }
            const double triangular = (double(random & 255) + double(random >> 8 & 255)) / 255 - 1;
            const double sum = outside[c] + (inside[c] - outside[c]) * inside_share + noise * triangular;
            *value = std::uint8_t(std::clamp(sum + 0.5, 0.0, 255.0));
        }
    }
}

std::size_t record_of(const SyntheticForm &form) { return std::size_t(form.h) * std::size_t(form.w) * std::size_t(form.c); }

class Synthetic final : public Source {
public:
    explicit Synthetic(const SyntheticForm &form) : form_(form) {}

    std::string description() const override { return "synthetic"; }
    bool has(Split split) const override { return split != Split::validation; }
    Dataset load(Split split, const DecodingProgress &) override { return make_synthetic(split, synthetic_images(split, form_), 1, form_); }

private:
    SyntheticForm form_;
};

}  // namespace

std::unique_ptr<Source> open_synthetic(const DataRequest &request) {
    return std::make_unique<Synthetic>(SyntheticForm{request.h, request.w, request.c, request.classes});
}

int synthetic_images(Split split, const SyntheticForm &form) {
    constexpr int most_tens = 4;
    constexpr std::int64_t most_bytes = std::int64_t{256} << 20;
    const int of_ten_classes = split == Split::train ? synthetic_train_images : synthetic_test_images;
    const std::int64_t wanted = std::int64_t{of_ten_classes} * std::clamp((form.classes + patterns - 1) / patterns, 1, most_tens);
    const std::int64_t in_turn = std::int64_t{2} * form.classes;  // images and their negatives
    const std::int64_t fitting = most_bytes / std::int64_t(record_of(form)) / in_turn * in_turn;
    return int(std::max(std::min(wanted, fitting), in_turn));
}

Dataset make_synthetic(Split split, int images, std::uint32_t seed, const SyntheticForm &form) {
    const std::size_t image_bytes = record_of(form);
    check_room("the synthetic set", std::size_t(images), std::size_t(images) * image_bytes);
    Dataset data;
    data.h = form.h;
    data.w = form.w;
    data.c = form.c;
    data.classes = form.classes;
    for (int i = 0; i < form.classes; i++) data.class_names.push_back(name_of(i, form.classes));
    data.pixels = Pixels::of_bytes(images * image_bytes);
    data.labels.resize(std::size_t(images));
    const std::uint32_t key = stream_key(seed, split == Split::train ? 0 : 1, stream_synthetic);
    for (int i = 0; i < images; i++) {
        data.labels[i] = std::uint16_t(i % data.classes);
        const std::span<std::uint8_t> record = data.pixels.bytes().subspan(i * image_bytes, image_bytes);
        if (const int row = i / data.classes; row % 2 == 0) {
            draw_image(form, data.labels[i], Draws(key, std::uint32_t(i)), record);
        } else {  // the negative of the row before
            const std::uint8_t *original = record.data() - data.classes * image_bytes;
            std::transform(original, original + image_bytes, record.data(), [](std::uint8_t byte) { return 255 - byte; });
        }
    }
    return data;
}

}  // namespace halcyon
