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

/// The parameter and the slots afterwards.
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

/// The same from p -= weight_decay * p; the weight decay in the step buffer includes the learning rate.
inline std::vector<Halide::Expr> adamw(const OptimizerStep &s) {
    OptimizerStep decayed = s;
    decayed.before[0] = s.before[0] - s.before[0] * s.setting("weight_decay");
    return adam(decayed);
}

/// v = momentum * v - learning_rate * g, p += v
inline std::vector<Halide::Expr> sgd(const OptimizerStep &s) {
    const Halide::Expr p = s.before[0], v = s.before[1];
    const Halide::Expr new_v = s.setting("momentum") * v - s.learning_rate() * s.g;
    return {p + new_v, new_v};
}

inline OptimizerExpression expression_of(const Optimizer &optimizer) {
    static const std::map<std::string_view, OptimizerExpression> expressions = {{"adam", adam}, {"adamw", adamw}, {"sgd", sgd}};
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
