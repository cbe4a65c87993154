// Augmentation: what a recipe's `augment` asks for, and what becomes of each image by it. All that is random is drawn here, on the host,
// and handed to the kernels as words (plan/augment.h): 11 us for all kinds of it together and
// a batch of 64, on one core of a Zen 3.
#pragma once

#include "plan/augment.h"

#include <nlohmann/json_fwd.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace halcyon {

/// What lies outside the picture, where a position falls there.
struct Filling {
    AugmentFill fill = augment_fill_nearest;
    int value = 0;  // 0..255: of augment_fill_constant

    bool operator==(const Filling &) const = default;
};

/// torchvision's RandomCrop(size, padding=pad): the picture in a frame of `pad` pixels, of which a window as large as the picture is taken,
/// with each place as likely.
struct CropSettings {
    int pad = 0;  // pixels, 1 to most_augmented_pixels
    Filling filling = {augment_fill_constant, 0};

    bool operator==(const CropSettings &) const = default;
};

/// Keras's ImageDataGenerator: each from its range, all of the range as likely, in one step about the picture's centre.
struct AffineSettings {
    double rotation = 0;               // -rotation..rotation degrees
    std::array<double, 2> shift = {};  // -shift..shift of the width, of the height
    double zoom = 0;                   // 1 - zoom .. 1 + zoom, another for the width than for the height
    double shear = 0;                  // -shear..shear degrees
    Filling filling = {};

    bool operator==(const AffineSettings &) const = default;
};

/// torchvision's RandomErasing: a rectangle of so much of the picture's area, its height so many times its width.
struct EraseSettings {
    double probability = 0.5;
    std::array<double, 2> area = {0.02, 0.33}, aspect = {0.3, 3.3};
    int value = 0;  // 0..255

    bool operator==(const EraseSettings &) const = default;
};

/// A recipe's `augment`, in the order in which it is done: the affine map, the crop, the flips, contrast and brightness, the rectangle.
/// Horizontal flips are the recipe's own `flip`, which needs no pass where it is all there is.
struct Augmentation {
    double vertical_flip = 0;  // the probability with which an image is mirrored top to bottom
    std::optional<CropSettings> crop;
    std::optional<AffineSettings> affine;

    /// torchvision's ColorJitter(brightness): values are multiplied by a factor from 1 - brightness to 1 + brightness.
    double brightness = 0;

    /// Keras's RandomContrast(contrast): (value - mean) * factor + mean, by a factor from 1 - contrast to 1 + contrast, about the mean of
    /// each channel of the picture as it is in the data set. Both factors at once, then bytes are rounded and held to 0..255.
    double contrast = 0;

    std::optional<EraseSettings> erase;

    bool operator==(const Augmentation &) const = default;
};

/// Reads a recipe's `augment`; `where` stands for the recipe in messages. `flip` is the recipe's probability of a horizontal flip: what
/// `augment.flip.horizontal` says becomes it. Throws std::runtime_error, one line with the key.
Augmentation parse_augmentation(const nlohmann::json &values, double &flip, const std::string &where);

/// What parse_augmentation() reads back as an equal augmentation.
nlohmann::ordered_json to_json(const Augmentation &augmentation);

/// Where a pixel (x, y) of the output comes from: (xx * x + xy * y + x0, yx * x + yy * y + y0).
struct PixelMap {
    double xx = 1, xy = 0, x0 = 0;
    double yx = 0, yy = 1, y0 = 0;

    /// This map of what `inner` makes of (x, y).
    PixelMap after(const PixelMap &inner) const;
};

/// Keras's apply_affine_transform about the centre of a picture: rotation * shift * shear * zoom, where shear takes (x, y) to
/// (x - sin(shear) * y, cos(shear) * y). Angles in degrees, shifts in pixels. (Keras itself takes its height for its width there, and the
/// shifts likewise: this is what it says that it does.)
struct AffineValues {
    double rotation = 0, shift_x = 0, shift_y = 0, shear = 0, zoom_x = 1, zoom_y = 1;
};
PixelMap affine_map(const AffineValues &values, int width, int height);

/// What a kernel is told of one image.
using AugmentWords = std::array<std::int32_t, augment_words>;

/// The words of an image that is moved by `map` and otherwise left as it is.
AugmentWords moved_by(const PixelMap &map, const Filling &filling);

/// Draws the words of batches. Every number is a function of the seed, the epoch, the image's place in it and the kind of augmentation.
class Augmenter {
public:
    /// For pictures of this size; `flip`: of a horizontal flip. Throws std::runtime_error for sides beyond most_augmented_pixels.
    Augmenter(const Augmentation &augmentation, double flip, int width, int height);

    /// The words of the images at `position`, position + 1, ... of the epoch: augment_words for each.
    void draw(std::uint32_t seed, std::uint32_t epoch, std::uint32_t position, std::span<std::int32_t> words) const;

private:
    class Draws;
    struct Keys;

    PixelMap map_of(const Keys &keys, std::uint32_t place) const;
    void colour(const Keys &keys, std::uint32_t place, AugmentWords &words) const;
    void erase(const Keys &keys, std::uint32_t place, AugmentWords &words) const;

    Augmentation augmentation_;
    double flip_;
    int width_, height_;
    Filling filling_;
};

}  // namespace halcyon
