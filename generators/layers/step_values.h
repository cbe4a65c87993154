// The step buffer's fields (plan/step.h) as expressions.
#pragma once

#include "plan/step.h"

#include <Halide.h>

namespace halcyon {

inline Halide::Expr step_word(const Halide::Func &step, int field) { return step(field); }

inline Halide::Expr step_float(const Halide::Func &step, int field) { return Halide::reinterpret<float>(step(field)); }

}  // namespace halcyon
