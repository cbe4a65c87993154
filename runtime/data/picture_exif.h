// How a camera was held when it took a picture, and the picture turned by it.
#pragma once

#include "runtime/data/picture_decoders.h"

namespace halcyon {

/// The orientation that EXIF data tell, 1 to 8 (JEITA CP-3451, tag 0x0112); 1 where they tell none or are damaged. They begin with a TIFF
/// header, or with "Exif\0\0" before it.
int exif_orientation(std::span<const std::byte> exif);

/// The picture upright, as Pillow's ImageOps.exif_transpose() makes it.
DecodedPicture upright(DecodedPicture picture);

}  // namespace halcyon
