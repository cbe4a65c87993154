// Dropout, forward and backward alike: the same elements are dropped from an activation and from its gradient.
#pragma once

#include "generators/layers/philox.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// output = 0 where an element's 16 random bits are below the layer's threshold, else input * scale. Rate 0 (threshold 0, scale 1) is
/// exactly the identity.
///
/// The channels are cut into four lanes of `quarter` channels, the last ones perhaps shorter: channel c is element c % quarter of lane
/// c / quarter. A pair of random words serves the same element of all four lanes, 16 bits each.
struct Dropout {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"}, element{"element"};
    int quarter;
    Halide::Func key{"key"}, words{"words"}, output{"output"};

    Dropout(const Halide::Func &input, const Halide::Func &step, const Shape &s) : quarter((s.in_c + 3) / 4) {
        const Halide::Expr counter = Halide::cast<uint32_t>((y * s.in_w + x) * quarter + element);
        key() = stream_key(step, stream_first_dropout + s.dropout);
        const auto pair = philox2x32({place_in_epoch(step, n), counter}, key());
        words(element, x, y, n) = Halide::Tuple(pair[0], pair[1]);

        const Halide::Expr lane = c / quarter;
        const Halide::Tuple drawn = words(c % quarter, x, y, n);
        const Halide::Expr word = select(lane < 2, drawn[0], drawn[1]);
        const Halide::Expr bits = select(lane % 2 == 0, word & 0xFFFF, word >> 16);
        const Halide::Expr dropped = bits < step_word(step, dropout_threshold(s.dropout));
        output(c, x, y, n) = select(dropped, 0.0f, input(c, x, y, n) * step_float(step, dropout_scale(s.dropout)));
    }
};

}  // namespace halcyon
