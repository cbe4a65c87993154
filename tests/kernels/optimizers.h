// The optimizers' oracles: each once more in double, written from Keras's definition, and how far a float32 kernel may be from it.
#pragma once

#include "plan/optimizers.h"
#include "tests/kernels/oracle.h"

#include <vector>

namespace halcyon::oracle {

/// Does one step. The arguments are the kernel's: gradients, step, parameters, then the slots. Throws std::invalid_argument where the
/// optimizer has no oracle in tests/kernels/optimizers.cpp.
void update(const Optimizer &optimizer, std::vector<Array> &arguments);

/// The same, from slabs that are off by `errors` already: parameters, then the slots. Adds to those what rounding to float32 does.
void update(const Optimizer &optimizer, std::vector<Array> &arguments, std::vector<Array> &errors);

/// Writes the settings that kernels are tested with into a step buffer. What an exact optimizer multiplies by is a power of two.
void set_test_settings(const Optimizer &optimizer, Array &step);

}  // namespace halcyon::oracle
