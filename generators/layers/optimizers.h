// The optimizers, as Keras writes them, on whole slabs: element i of every slab belongs to the same weight. State and parameters are
// updated in place.
#pragma once

#include "generators/layers/step_values.h"
#include "plan/optimizers.h"

#include <Halide.h>

#include <map>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace halcyon {

/// What an optimizer does to a weight is computed of.
struct OptimizerStep {
    const Optimizer &optimizer;
    const Halide::Func &step;
    Halide::Expr g;                    // the gradient
    std::vector<Halide::Expr> before;  // the parameter, then the slots in the order of the optimizer's row

    Halide::Expr learning_rate() const { return step_float(step, step_learning_rate); }

    /// What the step buffer holds for a setting of the row.
    Halide::Expr setting(std::string_view key) const { return step_float(step, optimizer.word_of(key)); }
};

/// The parameter and the slots afterwards, of which each reads itself and those behind it: Halide 21 stores them one by one, in this order,
/// where a slot is read inside a call, such as sqrt() (its SplitTuples looks into calls from version 22 on).
using OptimizerExpression = std::vector<Halide::Expr> (*)(const OptimizerStep &);

/// m += (g - m) * (1 - beta_1), v += (g^2 - v) * (1 - beta_2), p -= learning_rate * m / (sqrt(v) + epsilon); the learning rate in the step
/// buffer includes the bias corrections.
inline std::vector<Halide::Expr> adam(const OptimizerStep &s) {
    const Halide::Expr p = s.before[0], m = s.before[1], v = s.before[2];
    const Halide::Expr new_m = m + (s.g - m) * (1.0f - s.setting("beta_1"));
    const Halide::Expr new_v = v + (s.g * s.g - v) * (1.0f - s.setting("beta_2"));
    const Halide::Expr update = s.learning_rate() * new_m / (sqrt(new_v) + s.setting("epsilon"));
    return {p - update, new_m, new_v};
}

/// p -= weight_decay * p; the weight decay in the step buffer includes the learning rate.
inline Halide::Expr decayed(const OptimizerStep &s) { return s.before[0] - s.before[0] * s.setting("weight_decay"); }

/// adam() from a decayed p.
inline std::vector<Halide::Expr> adamw(const OptimizerStep &s) {
    OptimizerStep from_decayed = s;
    from_decayed.before[0] = decayed(s);
    return adam(from_decayed);
}

/// The gradient with that of l2 / 2 * p^2, the sum of which PyTorch's weight_decay adds to the loss.
inline Halide::Expr with_l2(const OptimizerStep &s) { return s.g + s.setting("l2") * s.before[0]; }

/// v = momentum * v - learning_rate * g, p += v
inline std::vector<Halide::Expr> sgd(const OptimizerStep &s) {
    const Halide::Expr new_v = s.setting("momentum") * s.before[1] - s.learning_rate() * with_l2(s);
    return {decayed(s) + new_v, new_v};
}

/// v likewise, p += momentum * v - learning_rate * g
inline std::vector<Halide::Expr> sgd_nesterov(const OptimizerStep &s) {
    const Halide::Expr moved = s.learning_rate() * with_l2(s);
    const Halide::Expr new_v = s.setting("momentum") * s.before[1] - moved;
    return {decayed(s) + (s.setting("momentum") * new_v - moved), new_v};
}

/// The mean of a value over the steps, each counting rho times as much as the next.
inline Halide::Expr fading_mean(const OptimizerStep &s, const Halide::Expr &mean, const Halide::Expr &value) {
    return s.setting("rho") * mean + (1.0f - s.setting("rho")) * value;
}

/// v = the fading mean of g^2, m = momentum * m + learning_rate * g / sqrt(v + epsilon), p -= m
inline std::vector<Halide::Expr> rmsprop(const OptimizerStep &s) {
    const Halide::Expr new_v = fading_mean(s, s.before[2], s.g * s.g);
    const Halide::Expr new_m = s.setting("momentum") * s.before[1] + s.learning_rate() * s.g / sqrt(new_v + s.setting("epsilon"));
    return {decayed(s) - new_m, new_m, new_v};
}

/// The same with the variance of g in the place of its mean square.
inline std::vector<Halide::Expr> rmsprop_centered(const OptimizerStep &s) {
    const Halide::Expr new_v = fading_mean(s, s.before[2], s.g * s.g), new_mean = fading_mean(s, s.before[3], s.g);
    const Halide::Expr variance = new_v - new_mean * new_mean;
    const Halide::Expr new_m = s.setting("momentum") * s.before[1] + s.learning_rate() * s.g / sqrt(variance + s.setting("epsilon"));
    return {decayed(s) - new_m, new_m, new_v, new_mean};
}

/// a += g^2, p -= learning_rate * g / sqrt(a + epsilon); the epsilon in the step buffer includes the initial accumulator value.
inline std::vector<Halide::Expr> adagrad(const OptimizerStep &s) {
    const Halide::Expr new_a = s.before[1] + s.g * s.g;
    return {decayed(s) - s.learning_rate() * s.g / sqrt(new_a + s.setting("epsilon")), new_a};
}

/// a = the fading mean of g^2, d = sqrt(u + epsilon) * g / sqrt(a + epsilon), u = the fading mean of d^2, p -= learning_rate * d
inline std::vector<Halide::Expr> adadelta(const OptimizerStep &s) {
    const Halide::Expr epsilon = s.setting("epsilon"), u = s.before[1];
    const Halide::Expr new_a = fading_mean(s, s.before[2], s.g * s.g);
    const Halide::Expr d = sqrt(u + epsilon) * s.g / sqrt(new_a + epsilon);
    return {decayed(s) - s.learning_rate() * d, fading_mean(s, u, d * d), new_a};
}

/// m and v as adam(), p -= (learning_rate * m + gradient_rate * g) / (sqrt(v) + epsilon); the numbers in the step buffer include the
/// corrections.
inline std::vector<Halide::Expr> nadam(const OptimizerStep &s) {
    const Halide::Expr p = s.before[0], m = s.before[1], v = s.before[2];
    const Halide::Expr new_m = m + (s.g - m) * (1.0f - s.setting("beta_1"));
    const Halide::Expr new_v = v + (s.g * s.g - v) * (1.0f - s.setting("beta_2"));
    const Halide::Expr moved = s.learning_rate() * new_m + s.setting("gradient_rate") * s.g;
    return {p - moved / (sqrt(new_v) + s.setting("epsilon")), new_m, new_v};
}

inline OptimizerExpression expression_of(const Optimizer &optimizer) {
    static const std::map<std::string_view, OptimizerExpression> expressions = {
        {"adam", adam},       {"adamw", adamw},
        {"sgd", sgd},         {"sgd_nesterov", sgd_nesterov},
        {"rmsprop", rmsprop}, {"rmsprop_centered", rmsprop_centered},
        {"adagrad", adagrad}, {"adadelta", adadelta},
        {"nadam", nadam}};
    const auto found = expressions.find(optimizer.name);
    if (found == expressions.end()) throw std::invalid_argument("the optimizer " + optimizer.name + " has no expression");
    return found->second;
}

/// A step of any optimizer.
struct OptimizerUpdate {
    Halide::Var i{"i"};
    Halide::Func slabs{"slabs"};  // the parameters and the slots: one loop updates all of them

    OptimizerUpdate(const Optimizer &optimizer, const Halide::Func &gradients, const Halide::Func &step) {
        const std::vector<Halide::Expr> none(1 + optimizer.slots.size(), Halide::undef<float>());
        slabs(i) = Halide::Tuple(none);
        OptimizerStep of_a_weight{optimizer, step, gradients(i), {}};
        for (int slab = 0; slab < int(none.size()); slab++) of_a_weight.before.push_back(slabs(i)[slab]);
        slabs(i) = Halide::Tuple(expression_of(optimizer)(of_a_weight));
    }
};

}  // namespace halcyon
