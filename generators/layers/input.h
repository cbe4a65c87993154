// The input layer: a batch gathered from a data set of byte images, scaled to 0..1 and mirrored at random.
//
// `images` is (channel, column, row, record), the channel innermost. `indices` names the record of each image of the batch.
#pragma once

#include "generators/layers/philox.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// output(c, x, y, n) = images(c, x or its mirror, y, indices(n)) / 255
struct InputForward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func key{"key"}, flipped{"flipped"}, output{"output"};

    InputForward(const Halide::Func &images, const Halide::Func &indices, const Halide::Func &step, const Halide::Expr &records,
                 const Shape &s) {
        key() = stream_key(step, stream_flip);
        const Halide::Expr bits = philox2x32({place_in_epoch(step, n), Halide::Expr(uint32_t{0})}, key())[0];
        flipped(n) = (bits & 0xFFFF) < step_word(step, step_flip_threshold);
        const Halide::Expr from_x = select(flipped(n), s.in_w - 1 - x, x);
        const Halide::Expr record = clamp(indices(n), 0, records - 1);
        output(c, x, y, n) = Halide::cast<float>(images(c, clamp(from_x, 0, s.in_w - 1), y, record)) / 255.0f;
    }
};

}  // namespace halcyon
