// Softmax with cross-entropy from the logits, of labels. Logits are activations of one pixel, (class, 0, 0, image); `labels` holds the data
// set's classes, `indices` the record of each image of the batch, `words` the extent of `step`, which has the classes' weights. An image
// with a label beyond the classes has the loss and the gradient NaN.
#pragma once

#include "generators/layers/comparisons.h"
#include "generators/layers/step_values.h"
#include "plan/shape.h"

#include <Halide.h>

#include <functional>

namespace halcyon {

/// The class of image n of the batch.
inline Halide::Expr label_of(const Halide::Func &labels, const Halide::Func &indices, const Halide::Expr &records, const Halide::Expr &n) {
    return Halide::cast<int>(labels(clamp(indices(n), 0, records - 1)));
}

/// The first largest value over `classes`, and its class. `value` is that of the class it is given.
inline void take_first_largest(Halide::Func best, const Halide::Var &n, const Halide::RDom &classes,
                               const std::function<Halide::Expr(const Halide::Expr &)> &value) {
    best(n) = Halide::Tuple(comparable(value(0)), 0);
    const Halide::Expr next = comparable(value(classes)), larger = next > best(n)[0];
    best(n) = Halide::Tuple(select(larger, next, best(n)[0]), select(larger, classes, best(n)[1]));
}

/// What both losses of a softmax share: probabilities = softmax. The largest logit is subtracted before every exp, so that none overflows.
/// Where that is infinite or NaN, all probabilities are NaN: Halide's exp() makes 0 of NaN, and its log() a number.
struct SoftmaxLoss {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::RDom classes;
    Halide::Func best{"best"};                            // the first largest logit, and its class
    Halide::Func exponential{"exponential"}, sum{"sum"};  // of the logits below the largest
    Halide::Func softmax{"softmax"};
    Halide::Func probabilities{"probabilities"}, loss{"loss"}, correct{"correct"};

    SoftmaxLoss(const Halide::Func &logits, const Shape &s) : classes(0, s.in_c, "classes") {
        take_first_largest(best, n, classes, [&](const Halide::Expr &of) { return logits(of, 0, 0, n); });
        exponential(c, n) = exp(logits(c, 0, 0, n) - best(n)[0]);
        sum(n) = 0.0f;
        sum(n) += exponential(classes, n);
        softmax(c, x, y, n) = or_not_a_number(is_defined(), exponential(c, n) / sum(n));
        probabilities(c, x, y, n) = softmax(c, x, y, n);
    }

    Halide::Expr is_defined() const { return is_finite_number(best(n)[0]); }
};

/// loss = -weight(label) * the mean of the probabilities' logarithms by target(), which without label smoothing is that of the label's,
/// correct = 1 where the label is the first largest logit, else 0.
struct SoftmaxCrossEntropyForward : SoftmaxLoss {
    SoftmaxCrossEntropyForward(const Halide::Func &logits, const Halide::Func &labels, const Halide::Func &indices,
                               const Halide::Func &step, const Halide::Expr &records, const Halide::Expr &words, const Shape &s)
        : SoftmaxLoss(logits, s) {
        const Halide::Expr label = label_of(labels, indices, records, n);
        Halide::Expr below_best = logits(clamp(label, 0, s.in_c - 1), 0, 0, n) - best(n)[0];
        if (s.label_smoothing > 0)
            below_best = (1 - s.label_smoothing) * below_best +
                         s.label_smoothing / float(s.in_c) * Halide::sum(logits(classes, 0, 0, n) - best(n)[0], "below_best");
        const Halide::Expr weighted = (log(sum(n)) - below_best) * class_weight_of(step, words, s.in_c, label);
        loss(n) = or_not_a_number(is_defined() && label < s.in_c, weighted);
        correct(n) = select(label == best(n)[1], 1.0f, 0.0f);
    }
};

/// What a class's probability is to be: 1 or 0, of which label smoothing spreads a share over all classes.
inline Halide::Expr target(const Halide::Expr &is_label, int classes, float label_smoothing) {
    const float share = label_smoothing / float(classes);
    return select(is_label, 1 - label_smoothing + share, share);
}

/// (probability - target) * weight(label) / images in the batch, as of Keras's class_weight: not over the sum of weights, which is what
/// PyTorch divides by.
inline Halide::Expr logit_gradient(const Halide::Expr &probability, const Halide::Expr &c, const Halide::Expr &n,
                                   const Halide::Func &labels, const Halide::Func &indices, const Halide::Func &step,
                                   const Halide::Expr &records, const Halide::Expr &words, int classes, float label_smoothing) {
    const Halide::Expr label = label_of(labels, indices, records, n), wanted = target(c == label, classes, label_smoothing);
    const Halide::Expr scale = step_float(step, step_inverse_batch) * class_weight_of(step, words, classes, label);
    return or_not_a_number(label < classes, (probability - wanted) * scale);
}

/// d_logits = logit_gradient(probabilities)
struct SoftmaxCrossEntropyBackward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    Halide::Func d_logits{"d_logits"};

    SoftmaxCrossEntropyBackward(const Halide::Func &probabilities, const Halide::Func &labels, const Halide::Func &indices,
                                const Halide::Func &step, const Halide::Expr &records, const Halide::Expr &words, const Shape &s) {
        d_logits(c, x, y, n) =
            logit_gradient(probabilities(c, x, y, n), c, n, labels, indices, step, records, words, s.in_c, s.label_smoothing);
    }
};

/// Both in one pass, for training.
struct SoftmaxCrossEntropy {
    SoftmaxCrossEntropyForward forward;
    SoftmaxCrossEntropyBackward backward;

    SoftmaxCrossEntropy(const Halide::Func &logits, const Halide::Func &labels, const Halide::Func &indices, const Halide::Func &step,
                        const Halide::Expr &records, const Halide::Expr &words, const Shape &s)
        : forward(logits, labels, indices, step, records, words, s), backward(forward.softmax, labels, indices, step, records, words, s) {}
};

}  // namespace halcyon
