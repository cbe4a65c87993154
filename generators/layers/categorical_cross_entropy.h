// Softmax with cross-entropy from the logits, of targets: shares of the classes, which need not be 0 or 1. `targets` holds those of the
// data set, (class, record). The other arguments are those of generators/layers/softmax_cross_entropy.h.
#pragma once

#include "generators/layers/softmax_cross_entropy.h"
#include "generators/layers/targets_loss.h"

#include <Halide.h>

namespace halcyon {

/// What the targets of an image come to. Its class is the first largest, and weighs it, as with Keras's class_weight.
struct ClassTargets {
    Halide::Var c{"c"}, n{"n"};
    Halide::RDom classes;
    Halide::Func target{"target"};                     // (c, n): of which label smoothing spreads a share over all classes
    Halide::Func total{"total"}, best{"best_target"};  // of an image: their sum; the first largest, and its class

    ClassTargets(const Halide::Func &targets, const Halide::Func &indices, const Halide::Expr &records, const Shape &s)
        : classes(0, s.in_c, "target_classes") {
        const auto given = [&](const Halide::Expr &of) { return target_of(targets, indices, records, of, n); };
        target(c, n) = s.label_smoothing > 0 ? given(c) * (1 - s.label_smoothing) + s.label_smoothing / float(s.in_c) : given(c);
        total(n) = 0.0f;
        total(n) += target(classes, n);
        take_first_largest(best, n, classes, given);
    }

    Halide::Expr label(const Halide::Expr &image) const { return best(image)[1]; }
};

/// loss = -weight(label) * the sum of target times the logarithm of the class's probability, correct = 1 where the first largest target is
/// the first largest logit's class, else 0. The sum is one of two terms of one sign, so that nothing cancels.
struct CategoricalCrossEntropyForward : SoftmaxLoss {
    ClassTargets targets;
    Halide::Func below_best{"below_best"};  // the logits below the largest, times their targets

    CategoricalCrossEntropyForward(const Halide::Func &logits, const Halide::Func &given, const Halide::Func &indices,
                                   const Halide::Func &step, const Halide::Expr &records, const Halide::Expr &words, const Shape &s)
        : SoftmaxLoss(logits, s), targets(given, indices, records, s) {
        below_best(n) = 0.0f;
        below_best(n) += targets.target(classes, n) * (logits(classes, 0, 0, n) - best(n)[0]);
        const Halide::Expr label = targets.label(n), unweighted = targets.total(n) * log(sum(n)) - below_best(n);
        loss(n) = or_not_a_number(is_defined(), unweighted * class_weight_of(step, words, s.in_c, label));
        correct(n) = select(label == best(n)[1], 1.0f, 0.0f);
    }
};

/// d_logits = (probability * the sum of the targets - target) * weight(label) / images in the batch. Targets that are shares of one whole
/// have the sum 1.
struct CategoricalCrossEntropyBackward {
    Halide::Var c{"c"}, x{"x"}, y{"y"}, n{"n"};
    ClassTargets targets;
    Halide::Func d_logits{"d_logits"};

    CategoricalCrossEntropyBackward(const Halide::Func &probabilities, const Halide::Func &given, const Halide::Func &indices,
                                    const Halide::Func &step, const Halide::Expr &records, const Halide::Expr &words, const Shape &s)
        : targets(given, indices, records, s) {
        const Halide::Expr scale = step_float(step, step_inverse_batch) * class_weight_of(step, words, s.in_c, targets.label(n));
        d_logits(c, x, y, n) = (probabilities(c, x, y, n) * targets.total(n) - targets.target(c, n)) * scale;
    }
};

}  // namespace halcyon
