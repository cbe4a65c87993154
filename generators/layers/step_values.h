// The step buffer's fields (plan/step.h) as expressions.
#pragma once

#include "plan/step.h"

#include <Halide.h>

namespace halcyon {

inline Halide::Expr step_word(const Halide::Func &step, int field) { return step(field); }

inline Halide::Expr step_float(const Halide::Func &step, int field) { return Halide::reinterpret<float>(step(field)); }

/// The weight of a class, any one where `label` is none; `words` is the buffer's extent.
inline Halide::Expr class_weight_of(const Halide::Func &step, const Halide::Expr &words, int classes, const Halide::Expr &label) {
    return Halide::reinterpret<float>(step(words - classes + clamp(label, 0, classes - 1)));
}

}  // namespace halcyon
