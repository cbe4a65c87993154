// What the augmentation kernels are told of each image of a batch: a column of int32 words, which the runtime draws and composes
// (runtime/training/augment.h) and the kernels obey. All is fixed point, so that bytes come out the same wherever they are made.
#pragma once

namespace halcyon {

enum AugmentField : int {
    // Where the output's pixel (x, y) comes from, in 1/65536 of a pixel: column xx * x + xy * y + x0, row yx * x + yy * y + y0.
    augment_xx,
    augment_xy,
    augment_x0,
    augment_yx,
    augment_yy,
    augment_y0,
    augment_fill,        // AugmentFill: what lies outside the picture
    augment_fill_value,  // 0..255: of augment_fill_constant; a picture of floats has this / 255
    // Then each value becomes gain * value + mean_gain * (the mean of the record's channel), both in 1/65536.
    augment_gain,
    augment_mean_gain,
    // At last left <= x < right, top <= y < bottom becomes erase_value, 0..255 like fill_value.
    augment_left,
    augment_top,
    augment_right,
    augment_bottom,
    augment_erase_value,
    augment_words,  // of an image
};

/// Beyond its borders the picture a b c d goes on as scipy.ndimage's of these names, which Keras's fill modes are.
enum AugmentFill : int {
    augment_fill_nearest,   // a a a a | a b c d | d d d d
    augment_fill_reflect,   // d c b a | a b c d | d c b a
    augment_fill_constant,  // k k k k | a b c d | k k k k; positions between the last pixel and the first k are k
};

/// 1 in the words that are fractions.
constexpr int augment_one = 65536;

/// The sides of a picture that positions of 32 bits suffice for, with all that a recipe may ask of them, and the pixels of a channel whose
/// sum fits 32 bits.
constexpr int most_augmented_pixels = 4096;

}  // namespace halcyon
