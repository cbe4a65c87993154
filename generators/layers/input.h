// The input layer: a batch gathered from a data set of images, rescaled, normalised and mirrored at random.
//
// `images` is (channel, column, row, record), the channel innermost, of bytes or float32. `indices` names the record of each image of the
// batch.
#pragma once

#include "generators/layers/comparisons.h"
#include "generators/layers/philox.h"
#include "generators/pointwise.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// output(c, x, y, n) = rescaled(images(c, x or its mirror, y, indices(n))), or that of what the chain makes of the image's value.
struct InputForward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func key{"key"}, flipped{"flipped"}, output{"output"};

    InputForward(const Halide::Func &images, const Halide::Func &indices, const Halide::Func &step, const BoundChain &chain,
                 const Halide::Expr &records, const Shape &s) {
        key() = stream_key(step, stream_flip);
        const Halide::Expr bits = philox2x32({place_in_epoch(step, n), Halide::Expr(uint32_t{0})}, key())[0];
        flipped(n) = (bits & 0xFFFF) < step_word(step, step_flip_threshold);
        const Halide::Expr from_x = select(flipped(n), s.in_w - 1 - x, x);
        const Halide::Expr record = clamp(indices(n), 0, records - 1);
        const Halide::Expr pixel = Halide::cast<float>(images(c, clamp(from_x, 0, s.in_w - 1), y, record));
        output(c, x, y, n) = rescaled(chain(pixel, {c, x, y, n}), s);
    }

private:
    static Halide::Expr rescaled(const Halide::Expr &value, const Shape &s) {
        if (s.image_scale != 0) return value * s.image_scale + s.image_offset;
        return s.floats ? value : value / 255.0f;
    }
};

/// Keras's Normalization of what Shape::image_scale and image_offset make of an image: (scale x + offset - mean) / max(sqrt(variance),
/// 1e-7) is (x - center) * factor. Of a channel that is the same everywhere, so, 0 remains.
struct NormalizationFold {
    Halide::Var c{"c"};
    Halide::Func center{"center"}, factor{"factor"};

    NormalizationFold(const Halide::Func &mean, const Halide::Func &variance, const Shape &s) {
        constexpr float least_deviation = 1e-7f;
        const Halide::Expr deviation = sqrt(variance(c)), least = Halide::Expr(least_deviation);
        const Halide::Expr divisor =
            Halide::reinterpret<float>(select(magnitude_bits(deviation) > bits_of(least), bits_of(deviation), bits_of(least)));
        center(c) = (mean(c) - s.image_offset) / s.image_scale;
        factor(c) = s.image_scale / divisor;
    }
};

}  // namespace halcyon
