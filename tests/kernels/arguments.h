// The arguments of one kernel, by their names in the kernel list.
#pragma once

#include "compiler/kernels.h"
#include "compiler/plan.h"
#include "tests/kernels/data.h"
#include "tests/kernels/oracle.h"

#include <cstddef>
#include <string_view>
#include <vector>

namespace halcyon {

struct Arguments {
    const Kernel *kernel;
    std::vector<oracle::Array> tensors;  // inputs, outputs

    /// Throws std::out_of_range where the kernel has no argument `name`.
    oracle::Array &operator[](std::string_view name) { return tensors.at(index(name)); }
    const oracle::Array &operator[](std::string_view name) const { return tensors.at(index(name)); }

private:
    std::size_t index(std::string_view name) const;
};

bool is_updated(const Kernel &kernel, std::string_view output);

/// How many records the data set of the tests has; a batch may name one twice.
constexpr int test_records = 11;

/// Data for a call with `batch` images: small integers where the kernel is exact, reals where it is not. Outputs are 0 unless they are
/// updated in place.
Arguments make_arguments(const CompiledKernel &kernel, int batch, Random &random);

/// For every output, how far a float computation may be from the exact `after` (the oracle's) given the arguments `before`.
Arguments tolerances(const Shape &shape, const Arguments &before, const Arguments &after);

}  // namespace halcyon
