#include "runtime/training/augment.h"

#include "plan/step.h"
#include "runtime/engine/random.h"
#include "runtime/training/section.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace halcyon {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::array<std::string_view, 3> fill_names = {"nearest", "reflect", "constant"};  // by AugmentFill

bool zero_to_one(double x) { return x >= 0 && x <= 1; }
bool below_one(double x) { return x >= 0 && x <= 0.99; }
bool half_turn(double x) { return x >= 0 && x <= 180; }
bool below_right_angle(double x) { return x >= 0 && x <= 89; }
bool area(double x) { return x > 0 && x <= 1; }
bool aspect(double x) { return x >= 1e-3 && x <= 1e3; }
const char *const zero_to_one_range = "a number from 0 to 1";
const char *const below_one_range = "a number from 0 to 0.99";

void parse_filling(Section &section, Filling &filling) {
    if (section.find("fill")) {
        std::string name;
        section.choice("fill", name, {fill_names.begin(), fill_names.end()});
        filling.fill = AugmentFill(std::ranges::find(fill_names, name) - fill_names.begin());
    }
    if (filling.fill == augment_fill_constant) section.count("value", filling.value, 0, 255);
}

/// Two numbers, or one for both.
void parse_pair(Section &section, const char *key, std::array<double, 2> &pair, bool (*accepts)(double), const char *range) {
    const json *given = section.find(key);
    if (!given) return;
    const bool is_pair = given->is_array() && given->size() == 2;
    for (std::size_t i = 0; i < 2; ++i) pair[i] = section.checked(is_pair ? (*given)[i] : *given, key, accepts, range);
}

/// A range, lowest first.
void parse_range(Section &section, const char *key, std::array<double, 2> &pair, bool (*accepts)(double), const char *range) {
    const json *given = section.find(key);
    if (given && !(given->is_array() && given->size() == 2))
        section.fail(key, fmt::format("must be a list of two, the lowest and the highest: each {}", range));
    parse_pair(section, key, pair, accepts, range);
    if (pair[0] > pair[1]) section.fail(key, fmt::format("must name the lowest first, not {} before {}", pair[0], pair[1]));
}

CropSettings parse_crop(const json &values, const std::string &where) {
    CropSettings crop;
    Section section(values, "augment.crop", where);
    if (!section.find("pad")) section.fail("pad", "is missing: the pixels of the frame");
    section.count("pad", crop.pad, 1, most_augmented_pixels);
    parse_filling(section, crop.filling);
    section.refuse_unknown();
    return crop;
}

AffineSettings parse_affine(const json &values, const std::string &where) {
    AffineSettings affine;
    Section section(values, "augment.affine", where);
    section.number("rotation", affine.rotation, half_turn, "a number from 0 to 180, in degrees");
    parse_pair(section, "shift", affine.shift, below_one, "a number from 0 to 0.99, a fraction of the picture, or two of them");
    section.number("zoom", affine.zoom, below_one, below_one_range);
    section.number("shear", affine.shear, below_right_angle, "a number from 0 to 89, in degrees");
    parse_filling(section, affine.filling);
    section.refuse_unknown();
    return affine;
}

EraseSettings parse_erase(const json &values, const std::string &where) {
    EraseSettings erase;
    Section section(values, "augment.erase", where);
    section.number("probability", erase.probability, is_chance, chance_range);
    parse_range(section, "area", erase.area, area, "a number above 0 and up to 1");
    parse_range(section, "aspect", erase.aspect, aspect, "a number from 0.001 to 1000");
    section.count("value", erase.value, 0, 255);
    section.refuse_unknown();
    return erase;
}

void parse_flip(const json &values, Augmentation &augmentation, double &flip, const std::string &where) {
    Section section(values, "augment.flip", where);
    double horizontal = flip;
    section.number("horizontal", horizontal, is_chance, chance_range);
    section.number("vertical", augmentation.vertical_flip, is_chance, chance_range);
    section.refuse_unknown();
    if (flip != 0 && horizontal != flip)
        section.fail("horizontal", fmt::format("is {}, and flip, which means the same, {}: give one of them", horizontal, flip));
    flip = horizontal;
}

void write_filling(const Filling &filling, ordered_json &values) {
    values["fill"] = fill_names[filling.fill];
    if (filling.fill == augment_fill_constant) values["value"] = filling.value;
}

std::int32_t fixed(double value) { return std::int32_t(std::lround(value * augment_one)); }

}  // namespace

Augmentation parse_augmentation(const json &values, double &flip, const std::string &where) {
    Augmentation augmentation;
    Section section(values, "augment", where);
    if (const json *given = section.find("flip")) parse_flip(*given, augmentation, flip, where);
    if (const json *given = section.find("crop")) augmentation.crop = parse_crop(*given, where);
    if (const json *given = section.find("affine")) augmentation.affine = parse_affine(*given, where);
    section.number("brightness", augmentation.brightness, zero_to_one, zero_to_one_range);
    section.number("contrast", augmentation.contrast, zero_to_one, zero_to_one_range);
    if (const json *given = section.find("erase")) augmentation.erase = parse_erase(*given, where);
    section.refuse_unknown();
    if (augmentation.crop && augmentation.affine && augmentation.crop->filling != augmentation.affine->filling)
        section.fail("crop",
                     "and augment.affine are done in one step and must name one fill: by default the crop's is constant, the affine "
                     "map's nearest");
    return augmentation;
}

ordered_json to_json(const Augmentation &augmentation) {
    ordered_json values;
    if (augmentation.vertical_flip != 0) values["flip"]["vertical"] = augmentation.vertical_flip;
    if (const auto &crop = augmentation.crop) {
        values["crop"]["pad"] = crop->pad;
        write_filling(crop->filling, values["crop"]);
    }
    if (const auto &affine = augmentation.affine) {
        values["affine"] = {{"rotation", affine->rotation}, {"shift", affine->shift}, {"zoom", affine->zoom}, {"shear", affine->shear}};
        write_filling(affine->filling, values["affine"]);
    }
    if (augmentation.brightness != 0) values["brightness"] = augmentation.brightness;
    if (augmentation.contrast != 0) values["contrast"] = augmentation.contrast;
    if (const auto &erase = augmentation.erase)
        values["erase"] = {{"probability", erase->probability}, {"area", erase->area}, {"aspect", erase->aspect}, {"value", erase->value}};
    return values;
}

PixelMap PixelMap::after(const PixelMap &inner) const {
    return {.xx = xx * inner.xx + xy * inner.yx,
            .xy = xx * inner.xy + xy * inner.yy,
            .x0 = xx * inner.x0 + xy * inner.y0 + x0,
            .yx = yx * inner.xx + yy * inner.yx,
            .yy = yx * inner.xy + yy * inner.yy,
            .y0 = yx * inner.x0 + yy * inner.y0 + y0};
}

PixelMap affine_map(const AffineValues &values, int width, int height) {
    constexpr double degree = std::numbers::pi / 180;
    const double cosine = std::cos(values.rotation * degree), sine = std::sin(values.rotation * degree);
    const double centre_x = (width - 1) / 2.0, centre_y = (height - 1) / 2.0;
    const PixelMap to_centre{.x0 = -centre_x, .y0 = -centre_y}, from_centre{.x0 = centre_x, .y0 = centre_y};
    const PixelMap rotation{.xx = cosine, .xy = -sine, .yx = sine, .yy = cosine};
    const PixelMap shift{.x0 = values.shift_x, .y0 = values.shift_y};
    const PixelMap shear{.xy = -std::sin(values.shear * degree), .yy = std::cos(values.shear * degree)};
    const PixelMap zoom{.xx = values.zoom_x, .yy = values.zoom_y};
    return from_centre.after(rotation).after(shift).after(shear).after(zoom).after(to_centre);
}

AugmentWords moved_by(const PixelMap &map, const Filling &filling) {
    AugmentWords words{};
    words[augment_xx] = fixed(map.xx), words[augment_xy] = fixed(map.xy), words[augment_x0] = fixed(map.x0);
    words[augment_yx] = fixed(map.yx), words[augment_yy] = fixed(map.yy), words[augment_y0] = fixed(map.y0);
    words[augment_fill] = filling.fill, words[augment_fill_value] = filling.value;
    words[augment_gain] = augment_one;
    return words;
}

/// The numbers of one image from one stream, one after the other.
class Augmenter::Draws {
public:
    Draws(std::uint32_t key, std::uint32_t place) : key_(key), place_(place) {}

    std::uint32_t bits() {
        if (drawn_ % 2 == 0) pair_ = philox2x32({place_, drawn_ / 2}, key_);
        return pair_[drawn_++ % 2];
    }

    /// In [lowest, highest).
    double uniform(double lowest, double highest) { return lowest + (highest - lowest) * (bits() * 0x1p-32); }
    double around(double centre, double range) { return uniform(centre - range, centre + range); }

    /// In 0..highest.
    int integer(int highest) { return int((bits() * (std::uint64_t(highest) + 1)) >> 32); }

    /// By 16 bits.
    bool happens(double probability) { return (bits() & 0xFFFF) < chance_of(static_cast<float>(probability)); }

private:
    std::uint32_t key_, place_, drawn_ = 0;
    std::array<std::uint32_t, 2> pair_{};
};

/// Of an epoch's streams.
struct Augmenter::Keys {
    Keys(std::uint32_t seed, std::uint32_t epoch)
        : flip(stream_key(seed, epoch, stream_flip)), vertical_flip(stream_key(seed, epoch, stream_vertical_flip)),
          crop(stream_key(seed, epoch, stream_crop)), affine(stream_key(seed, epoch, stream_affine)),
          brightness(stream_key(seed, epoch, stream_brightness)), contrast(stream_key(seed, epoch, stream_contrast)),
          erase(stream_key(seed, epoch, stream_erase)) {}

    std::uint32_t flip, vertical_flip, crop, affine, brightness, contrast, erase;
};

Augmenter::Augmenter(const Augmentation &augmentation, double flip, int width, int height)
    : augmentation_(augmentation), flip_(flip), width_(width), height_(height) {
    if (std::max(width, height) > most_augmented_pixels)
        throw std::runtime_error(
            fmt::format("pictures of {}x{} cannot be augmented: their sides may have {} pixels", height, width, most_augmented_pixels));
    if (augmentation.affine)
        filling_ = augmentation.affine->filling;
    else if (augmentation.crop)
        filling_ = augmentation.crop->filling;
}

void Augmenter::draw(std::uint32_t seed, std::uint32_t epoch, std::uint32_t position, std::span<std::int32_t> words) const {
    const Keys keys(seed, epoch);
    for (std::uint32_t place = position; !words.empty(); ++place, words = words.subspan(augment_words)) {
        AugmentWords image = moved_by(map_of(keys, place), filling_);
        colour(keys, place, image);
        erase(keys, place, image);
        std::ranges::copy(image, words.begin());
    }
}

/// The flips are the nearest to the output: they are done last.
PixelMap Augmenter::map_of(const Keys &keys, std::uint32_t place) const {
    PixelMap map;
    if (const auto &affine = augmentation_.affine) {
        Draws draws(keys.affine, place);
        AffineValues values;
        values.rotation = draws.around(0, affine->rotation);
        values.shift_x = width_ * draws.around(0, affine->shift[0]);
        values.shift_y = height_ * draws.around(0, affine->shift[1]);
        values.shear = draws.around(0, affine->shear);
        values.zoom_x = draws.around(1, affine->zoom);
        values.zoom_y = draws.around(1, affine->zoom);
        map = affine_map(values, width_, height_);
    }
    if (const auto &crop = augmentation_.crop) {
        Draws draws(keys.crop, place);
        const int left = draws.integer(2 * crop->pad) - crop->pad, top = draws.integer(2 * crop->pad) - crop->pad;
        map = map.after({.x0 = double(left), .y0 = double(top)});
    }
    if (Draws(keys.flip, place).happens(flip_)) map = map.after({.xx = -1, .x0 = double(width_ - 1)});
    if (Draws(keys.vertical_flip, place).happens(augmentation_.vertical_flip)) map = map.after({.yy = -1, .y0 = double(height_ - 1)});
    return map;
}

/// contrast * (v - m) + m of v = brightness * value, m = brightness * mean.
void Augmenter::colour(const Keys &keys, std::uint32_t place, AugmentWords &words) const {
    const double brightness = Draws(keys.brightness, place).around(1, augmentation_.brightness);
    const double contrast = Draws(keys.contrast, place).around(1, augmentation_.contrast);
    words[augment_gain] = fixed(contrast * brightness);
    words[augment_mean_gain] = fixed((1 - contrast) * brightness);
}

/// As torchvision, which gives up after ten rectangles that reach beyond the picture.
void Augmenter::erase(const Keys &keys, std::uint32_t place, AugmentWords &words) const {
    const auto &settings = augmentation_.erase;
    Draws draws(keys.erase, place);
    if (!settings || !draws.happens(settings->probability)) return;
    for (int attempt = 0; attempt < 10; ++attempt) {
        const double area = double(width_) * height_ * draws.uniform(settings->area[0], settings->area[1]);
        const double aspect = std::exp(draws.uniform(std::log(settings->aspect[0]), std::log(settings->aspect[1])));
        const auto height = std::nearbyint(std::sqrt(area * aspect)), width = std::nearbyint(std::sqrt(area / aspect));
        if (height >= height_ || width >= width_) continue;
        words[augment_top] = draws.integer(height_ - int(height));
        words[augment_left] = draws.integer(width_ - int(width));
        words[augment_bottom] = words[augment_top] + int(height);
        words[augment_right] = words[augment_left] + int(width);
        words[augment_erase_value] = settings->value;
        return;
    }
}

}  // namespace halcyon
