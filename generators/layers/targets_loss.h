// Losses of units that have a target each: an image's loss is the mean over its units. Units are activations of one pixel, (unit, 0, 0,
// image); `targets` holds the data set's numbers, (unit, record), `indices` the record of each image of the batch.
#pragma once

#include "generators/layers/activations.h"
#include "generators/layers/comparisons.h"
#include "generators/layers/sigmoid_cross_entropy.h"
#include "generators/layers/step_values.h"
#include "plan/shape.h"

#include <Halide.h>

namespace halcyon {

/// The target of unit c of image n of the batch.
inline Halide::Expr target_of(const Halide::Func &targets, const Halide::Func &indices, const Halide::Expr &records, const Halide::Expr &c,
                              const Halide::Expr &n) {
    return targets(c, clamp(indices(n), 0, records - 1));
}

/// What the gradient of an image's unit is multiplied by: the loss is a mean over the units and over the images of the batch.
inline Halide::Expr unit_share(const Halide::Func &step, int units) { return step_float(step, step_inverse_batch) * (1.0f / float(units)); }

/// What a unit comes to: what it predicts, its loss, and what is reported beside it.
struct UnitTerms {
    Halide::Expr predicted, loss, metric;
};

/// How far a target is from the side that its logit is on, 1 or 0, where label smoothing takes a share of it to their middle.
inline Halide::Expr off_side(const Halide::Expr &logit, const Halide::Expr &target, float label_smoothing) {
    const Halide::Expr smoothed = label_smoothing > 0 ? target * (1 - label_smoothing) + label_smoothing / 2 : target;
    return chosen(is_above(logit, 0), 1.0f - smoothed, smoothed);
}

/// The sigmoid; its cross-entropy from the logit, of two terms that are not negative, so that nothing cancels; and whether the target is 1
/// where the logit is above 0, and 0 elsewhere.
inline UnitTerms cross_entropy_terms(const Halide::Expr &output, const Halide::Expr &target, const Shape &s) {
    const Halide::Expr logit = finite_logit(output), above = comparable(output) > 0;
    const Halide::Expr loss = magnitude(logit) * off_side(logit, target, s.label_smoothing) + logarithm_of_one_plus(decayed(logit));
    const Halide::Expr right = select(above, bits_of(target) == bits_of(Halide::Expr(1.0f)), magnitude_bits(target) == 0);
    return {sigmoid(logit), loss, select(right, 1.0f, 0.0f)};
}

/// sigmoid - target
inline Halide::Expr unit_logit_gradient(const Halide::Expr &output, const Halide::Expr &target, float label_smoothing) {
    const Halide::Expr logit = finite_logit(output), gradient = off_side(logit, target, label_smoothing) - sigmoid(-magnitude(logit));
    return chosen(is_above(logit, 0), gradient, -gradient);
}

/// The value as it is, its squared difference to the target, and the difference without its sign.
inline UnitTerms squared_error_terms(const Halide::Expr &value, const Halide::Expr &target, const Shape &) {
    const Halide::Expr difference = value - target;
    return {value, difference * difference, magnitude(difference)};
}

struct TargetsLoss {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom units;
    Halide::Func unit{"unit"};  // its terms
    Halide::Func sums{"sums"};  // of an image: the losses, and what is reported beside them
    Halide::Func predicted{"predicted"}, loss{"loss"}, metric{"metric"};

    TargetsLoss(const Halide::Func &outputs, const Halide::Func &targets, const Halide::Func &indices, const Halide::Expr &records,
                const Shape &s, UnitTerms (*terms)(const Halide::Expr &output, const Halide::Expr &target, const Shape &s))
        : units(0, s.in_c, "units") {
        const UnitTerms of_unit = terms(outputs(c, 0, 0, n), target_of(targets, indices, records, c, n), s);
        unit(c, n) = Halide::Tuple(of_unit.predicted, of_unit.loss, of_unit.metric);
        sums(n) = Halide::Tuple(0.0f, 0.0f);
        sums(n) = Halide::Tuple(sums(n)[0] + unit(units, n)[1], sums(n)[1] + unit(units, n)[2]);
        predicted(c, x, y, n) = unit(c, n)[0];
        loss(n) = sums(n)[0] * (1.0f / float(s.in_c));
        metric(n) = sums(n)[1] * (1.0f / float(s.in_c));
    }
};

}  // namespace halcyon
