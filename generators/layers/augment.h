// Augmentation: the images of a batch, gathered from a data set, moved, brightened and erased by what `augment` says of each
// (plan/augment.h). What comes out is a data set itself, of as many records as the batch has images.
//
// `records` and `augmented` are (c, x, y, record); `indices` names the record of each image, `augment` is (word, image).
#pragma once

#include "plan/augment.h"
#include "plan/shape.h"

#include <Halide.h>

#include <type_traits>

namespace halcyon {

/// The least bits of a position between pixels: bilinear weights are in 1/2048.
constexpr int augment_weight_bits = 11;

/// What bytes and floats do differently. Bytes are interpolated and scaled in integers alone: a product of a byte and two weights has 30
/// bits.
template<typename Pixel>
struct AugmentArithmetic;

template<>
struct AugmentArithmetic<uint8_t> {
    using Sum = uint32_t;
    using Value = int32_t;

    /// a, or b, or between: `weight` of 2048 parts from a to b; two of them in turn, and the last rounds.
    static Halide::Expr between(const Halide::Expr &a, const Halide::Expr &b, const Halide::Expr &weight) {
        return (a << augment_weight_bits) + weight * (b - a);
    }
    static Halide::Expr finish(const Halide::Expr &value) {
        constexpr int bits = 2 * augment_weight_bits;
        return (value + (1 << (bits - 1))) >> bits;
    }
    static Halide::Expr constant(const Halide::Expr &word) { return word; }

    /// mean_gain times the mean, in 1/65536; the mean is rounded to 1/256.
    static Halide::Expr offset(const Halide::Expr &mean_gain, const Halide::Expr &sum, int pixels) {
        const Halide::Expr mean = (Halide::cast<uint64_t>(sum) * 256 + pixels / 2) / pixels;
        return Halide::cast<int32_t>((Halide::cast<int64_t>(mean_gain) * Halide::cast<int64_t>(mean) + 128) >> 8);
    }
    static Halide::Expr scaled(const Halide::Expr &value, const Halide::Expr &gain, const Halide::Expr &offset) {
        return (gain * value + offset + augment_one / 2) >> 16;
    }
    static Halide::Expr stored(const Halide::Expr &value) { return Halide::cast<uint8_t>(Halide::clamp(value, 0, 255)); }
};

/// Floats have no range to be held to: what makes them brighter than 1 leaves them there.
template<>
struct AugmentArithmetic<float> {
    using Sum = float;
    using Value = float;

    static Halide::Expr fraction(const Halide::Expr &word, float one) { return Halide::cast<float>(word) * (1 / one); }
    static Halide::Expr between(const Halide::Expr &a, const Halide::Expr &b, const Halide::Expr &weight) {
        return a + fraction(weight, 1 << augment_weight_bits) * (b - a);
    }
    static Halide::Expr finish(const Halide::Expr &value) { return value; }
    static Halide::Expr constant(const Halide::Expr &word) { return Halide::cast<float>(word) / 255.0f; }
    static Halide::Expr offset(const Halide::Expr &mean_gain, const Halide::Expr &sum, int pixels) {
        return fraction(mean_gain, augment_one) * (sum / float(pixels));
    }
    static Halide::Expr scaled(const Halide::Expr &value, const Halide::Expr &gain, const Halide::Expr &offset) {
        return fraction(gain, augment_one) * value + offset;
    }
    static Halide::Expr stored(const Halide::Expr &value) { return value; }
};

/// A bilinear sample of the record at the position of the output's pixel, scaled, and erased. Where the position is a pixel, that pixel is
/// what comes out, exactly.
template<typename Pixel>
struct Augment {
    using Arithmetic = AugmentArithmetic<Pixel>;

    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom columns, rows;
    Halide::Func row_sum{"row_sum"}, sum{"sum"}, offset{"offset"}, augmented{"augmented"};

    Augment(const Halide::Func &records, const Halide::Func &indices, const Halide::Func &augment, const Halide::Expr &record_count,
            const Shape &s)
        : columns(0, s.in_w, "columns"), rows(0, s.in_h, "rows") {
        const Halide::Expr record = clamp(indices(n), 0, record_count - 1);
        const auto word = [&](int field) { return augment(field, n); };
        average_channels(records, record, word(augment_mean_gain), s);

        const Halide::Expr across = position(word(augment_xx), word(augment_xy), word(augment_x0));
        const Halide::Expr down = position(word(augment_yx), word(augment_yy), word(augment_y0));
        const Halide::Expr left = across >> augment_weight_bits, top = down >> augment_weight_bits;
        const Halide::Expr reflects = word(augment_fill) == augment_fill_reflect;
        const auto value = [&](int right, int below) {
            const Halide::Expr from_x = source(left + right, s.in_w, reflects), from_y = source(top + below, s.in_h, reflects);
            return Halide::cast<typename Arithmetic::Value>(records(c, from_x, from_y, record));
        };
        const auto in_row = [&](int below) { return Arithmetic::between(value(0, below), value(1, below), weight(across)); };
        const Halide::Expr sample = Arithmetic::finish(Arithmetic::between(in_row(0), in_row(1), weight(down)));

        const Halide::Expr outside = is_outside(across, s.in_w) || is_outside(down, s.in_h);
        const Halide::Expr filled =
            select(outside && word(augment_fill) == augment_fill_constant, Arithmetic::constant(word(augment_fill_value)), sample);
        const Halide::Expr scaled = Arithmetic::scaled(filled, word(augment_gain), offset(c, n));
        const Halide::Expr erased =
            x >= word(augment_left) && x < word(augment_right) && y >= word(augment_top) && y < word(augment_bottom);
        augmented(c, x, y, n) = Arithmetic::stored(select(erased, Arithmetic::constant(word(augment_erase_value)), scaled));
    }

private:
    /// Rows first, so that a device has threads for them. No image needs its mean but where the contrast changes.
    void average_channels(const Halide::Func &records, const Halide::Expr &record, const Halide::Expr &mean_gain, const Shape &s) {
        using Sum = typename Arithmetic::Sum;
        columns.where(mean_gain != 0);
        row_sum(c, y, n) = Halide::Expr(Sum{0});
        row_sum(c, y, n) += Halide::cast<Sum>(records(c, columns, y, record));
        sum(c, n) = Halide::Expr(Sum{0});
        sum(c, n) += row_sum(c, rows, n);
        offset(c, n) = Arithmetic::offset(mean_gain, sum(c, n), s.in_w * s.in_h);
    }

    /// In 1/2048 of a pixel, to the nearest.
    Halide::Expr position(const Halide::Expr &by_x, const Halide::Expr &by_y, const Halide::Expr &at_0) const {
        constexpr int dropped = 16 - augment_weight_bits;
        return (by_x * x + (by_y * y + at_0) + (1 << (dropped - 1))) >> dropped;
    }
    static Halide::Expr weight(const Halide::Expr &position) { return position & ((1 << augment_weight_bits) - 1); }
    static Halide::Expr is_outside(const Halide::Expr &position, int extent) {
        return position < 0 || position > (extent - 1) << augment_weight_bits;
    }

    /// The pixel that is seen in place of pixel `i`, which may lie anywhere.
    static Halide::Expr source(const Halide::Expr &i, int extent, const Halide::Expr &reflects) {
        const Halide::Expr in_period = i % (2 * extent);
        const Halide::Expr reflected = min(in_period, 2 * extent - 1 - in_period);
        return clamp(select(reflects, reflected, i), 0, extent - 1);
    }
};

}  // namespace halcyon
