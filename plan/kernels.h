// The kernel list: every kernel that Halcyon can compile, with its arguments. The planner, the tests, the benchmarks and the
// documentation's table are stamped out of it.
#pragma once

#include "plan/shape.h"

#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// How a kernel's result may be compared with the naive oracle's.
enum class Exactness {
    exact,    // adds, multiplies and compares only: bit-equal on small integers
    derived,  // divides or takes roots: within a tolerance derived from the number of terms and their magnitudes
};

struct Kernel {
    std::string name;                  // also the Halide generator's name
    std::vector<std::string> inputs;   // in the generator's order
    std::vector<std::string> outputs;  // in the generator's order; workspaces of the entry follow
    std::vector<std::string> updated;  // the outputs that are read as well: updated in place
    Exactness exactness;
    double (*flops)(const Shape &);  // floating-point operations an image (a call, for optimizers and statistics folds)
    std::string summary;             // one line for the documentation
};

const std::vector<Kernel> &all_kernels();

/// Throws std::invalid_argument for an unknown name.
const Kernel &find_kernel(std::string_view name);

}  // namespace halcyon
