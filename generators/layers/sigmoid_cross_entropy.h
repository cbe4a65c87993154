// Sigmoid with binary cross-entropy from the logit: an activation of one pixel and one channel, (0, 0, 0, image). The other arguments are
// those of generators/layers/softmax_cross_entropy.h, of two classes. An image whose label is neither has the loss and the gradient NaN.
#pragma once

#include "generators/layers/activations.h"
#include "generators/layers/softmax_cross_entropy.h"

#include <Halide.h>

namespace halcyon {

/// Infinities are taken for NaN, as by softmax.
inline Halide::Expr finite_logit(const Halide::Expr &logit) { return or_not_a_number(is_finite_number(logit), logit); }

/// The logit of the class that is not the label's: the less it is, the less is the loss.
inline Halide::Expr logit_of_other(const Halide::Expr &logit, const Halide::Expr &label) { return select(label == 1, -logit, logit); }

/// probabilities = 1 - sigmoid and sigmoid, loss = -weight(label) * log of the label's probability, of which label smoothing gives half its
/// share to the other's: the loss is then less by that half times the other's logit. correct = 1 where the label is 1 and
/// the logit above 0, or neither, else 0.
struct SigmoidCrossEntropyForward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func probabilities{"probabilities"}, loss{"loss"}, correct{"correct"};

    SigmoidCrossEntropyForward(const Halide::Func &logits, const Halide::Func &labels, const Halide::Func &indices,
                               const Halide::Func &step, const Halide::Expr &records, const Halide::Expr &words, const Shape &s) {
        const Halide::Expr logit = finite_logit(logits(0, 0, 0, n)), label = label_of(labels, indices, records, n);
        probabilities(c, x, y, n) = sigmoid(logit_of_other(logit, 1 - c));
        const Halide::Expr other = logit_of_other(logit, label);
        Halide::Expr unweighted = soft_plus(other);
        if (s.label_smoothing > 0) unweighted -= s.label_smoothing / 2 * other;
        loss(n) = or_not_a_number(label < 2, unweighted * class_weight_of(step, words, 2, label));
        correct(n) = select(label == select(comparable(logit) > 0, 1, 0), 1.0f, 0.0f);
    }
};

/// (sigmoid - target) * weight(label) / images in the batch.
inline Halide::Expr binary_logit_gradient(const Halide::Expr &logit, const Halide::Expr &n, const Halide::Func &labels,
                                          const Halide::Func &indices, const Halide::Func &step, const Halide::Expr &records,
                                          const Halide::Expr &words, float label_smoothing) {
    const Halide::Expr label = label_of(labels, indices, records, n);
    Halide::Expr off = sigmoid(logit_of_other(finite_logit(logit), label));
    if (label_smoothing > 0) off -= label_smoothing / 2;
    const Halide::Expr scale = step_float(step, step_inverse_batch) * class_weight_of(step, words, 2, label);
    return or_not_a_number(label < 2, logit_of_other(off, label) * scale);
}

}  // namespace halcyon
