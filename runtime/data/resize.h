// A picture in another size.
#pragma once

#include "runtime/data/picture.h"

namespace halcyon {

/// A part of a picture, in pixels from its upper left corner; in single precision, as Pillow takes resize(box=...).
struct CropBox {
    float left, top, right, bottom;
};

/// What the window holds as h x w pixels.
///
/// pillow: Pillow's Image.resize((w, h), BILINEAR, window), bit for bit. A triangle as wide as two input pixels, or two output pixels where
/// those are wider; one side first, rounded to bytes, then the other; weights of 22 fractional bits.
///
/// tf: tf.image.resize(method="bilinear", antialias=False), which has centres at half pixels; its floats are rounded to the nearest byte,
/// ties to even as by tf.round().
///
/// nearest: Pillow's Image.resize((w, h), NEAREST, window): the pixel that the centre of an output pixel lies in.
Picture resize(const Picture &picture, const CropBox &window, int h, int w, Resize method);

}  // namespace halcyon
