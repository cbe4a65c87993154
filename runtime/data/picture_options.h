// How pictures of any size and kind become records.
#pragma once

namespace halcyon {

/// How a picture is resized. pillow: bilinear with antialiasing, bit-equal to Pillow's resize(BILINEAR); tf: bilinear without, as
/// tf.image.resize does and Keras's image_dataset_from_directory with it; nearest: the nearest pixel, as Pillow's resize(NEAREST).
enum class Resize { pillow, tf, nearest };

/// What becomes of another aspect ratio. stretch: it changes; crop: the middle of the picture is taken; pad: black bars are added.
enum class Fit { stretch, crop, pad };

/// What becomes of transparency. drop: it is ignored, as by Pillow's convert("RGB"); white: the picture is laid on white.
enum class Alpha { drop, white };

struct PictureOptions {
    Resize resize = Resize::pillow;
    Fit fit = Fit::stretch;
    Alpha alpha = Alpha::drop;
    bool apply_exif = false;  // turn the picture as its EXIF orientation says

    bool operator==(const PictureOptions &) const = default;
};

}  // namespace halcyon
