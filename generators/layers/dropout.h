// Dropout, forward and backward alike: the same elements are dropped from an activation and from its gradient.
#pragma once

#include "generators/layers/philox.h"
#include "plan/step.h"

#include <Halide.h>

namespace halcyon {

/// Which elements of an activation a dropout layer drops: those whose 16 random bits are below the layer's threshold. At rate 0 it is none.
///
/// The channels are cut into four lanes of `quarter` channels, the last ones perhaps shorter: channel c is element c % quarter of lane
/// c / quarter. A pair of random words serves the same element of all four lanes, 16 bits each. A spatial dropout has the words of an
/// image's first pixel at all of them.
class DropoutMask {
public:
    Halide::Var x{"x"}, y{"y"}, n{"n"}, element{"element"};
    int quarter;
    Halide::Func key{"key"}, words{"words"};

    DropoutMask(const Halide::Func &step, int layer, bool spatial, int channels, int width)
        : quarter((channels + 3) / 4), threshold_(step_word(step, dropout_threshold(layer))) {
        const Halide::Expr pixel = spatial ? Halide::Expr(0) : y * width + x;
        const Halide::Expr counter = Halide::cast<uint32_t>(pixel * quarter + element);
        key() = stream_key(step, stream_first_dropout + layer);
        const auto pair = philox2x32({place_in_epoch(step, n), counter}, key());
        words(element, x, y, n) = Halide::Tuple(pair[0], pair[1]);
    }

    Halide::Expr dropped(const Halide::Expr &at_c, const Halide::Expr &at_x, const Halide::Expr &at_y, const Halide::Expr &at_n) const {
        const Halide::Expr lane = at_c / quarter;
        const Halide::Tuple drawn = words(at_c % quarter, at_x, at_y, at_n);
        const Halide::Expr word = select(lane < 2, drawn[0], drawn[1]);
        return select(lane % 2 == 0, word & 0xFFFF, word >> 16) < threshold_;
    }

private:
    Halide::Expr threshold_;
};

}  // namespace halcyon
