// The optimizers, as Keras writes them, on whole slabs: element i of every slab belongs to the same weight. State and parameters are
// updated in place.
#pragma once

#include "generators/layers/step_values.h"

#include <Halide.h>

namespace halcyon {

/// m += (g - m) * (1 - beta1), v += (g^2 - v) * (1 - beta2), p -= learning_rate * m / (sqrt(v) + epsilon); the learning rate in the step
/// buffer includes the bias corrections.
struct Adam {
    Halide::Var i{"i"};
    Halide::Func slabs{"slabs"};  // parameters, first moment, second moment: one loop updates all three

    Adam(const Halide::Func &gradients, const Halide::Func &step) {
        const Halide::Expr none = Halide::undef<float>(), g = gradients(i);
        slabs(i) = {none, none, none};
        const Halide::Expr p = slabs(i)[0], m = slabs(i)[1], v = slabs(i)[2];
        const Halide::Expr new_m = m + (g - m) * (1.0f - step_float(step, step_beta1));
        const Halide::Expr new_v = v + (g * g - v) * (1.0f - step_float(step, step_beta2));
        const Halide::Expr update = step_float(step, step_learning_rate) * new_m / (sqrt(new_v) + step_float(step, step_epsilon));
        slabs(i) = {p - update, new_m, new_v};
    }
};

/// v = momentum * v - learning_rate * g, p += v
struct Sgd {
    Halide::Var i{"i"};
    Halide::Func slabs{"slabs"};  // parameters, velocity

    Sgd(const Halide::Func &gradients, const Halide::Func &step) {
        const Halide::Expr none = Halide::undef<float>();
        slabs(i) = {none, none};
        const Halide::Expr p = slabs(i)[0], v = slabs(i)[1];
        const Halide::Expr new_v = step_float(step, step_momentum) * v - step_float(step, step_learning_rate) * gradients(i);
        slabs(i) = {p + new_v, new_v};
    }
};

}  // namespace halcyon
