// The arguments of one kernel, by their names.
#pragma once

#include "plan/kernel.h"
#include "plan/plan.h"
#include "plan/winograd.h"
#include "tests/kernels/data.h"
#include "tests/kernels/oracle.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

struct Arguments {
    Kernel kernel;
    std::vector<KernelArgument> named;   // arguments_of(kernel)
    std::vector<oracle::Array> tensors;  // in that order

    /// Throws std::out_of_range where the kernel has no argument `name`.
    oracle::Array &operator[](std::string_view name) { return tensors.at(index(name)); }
    const oracle::Array &operator[](std::string_view name) const { return tensors.at(index(name)); }

    /// The inputs come first.
    std::size_t inputs() const;
    std::vector<std::string> outputs() const;

private:
    std::size_t index(std::string_view name) const;
};

/// The classes of a kernel that reads labels, or shares of classes.
int classes_of(const Kernel &kernel);

/// How many records the data set of the tests has; a batch may name one twice. Li2018 copies labels 32 at a time.
constexpr int test_records = 37;

/// Data for a call with `batch` images: small integers where the kernel is exact, reals where it is not. Outputs are 0 unless they are
/// updated in place.
Arguments make_arguments(const CompiledKernel &kernel, int batch, Random &random);

/// The tile of a convolution by Winograd's algorithm; null for others.
const WinogradTile *tile_of(const CompiledKernel &kernel);

/// Whether the entry computes small integers exactly, however it orders its sums.
bool is_exact(const CompiledKernel &kernel);

/// For every output, how far a float computation may be from the oracle's, given the arguments `before` and what the oracle's core made of
/// them.
Arguments tolerances(const CompiledKernel &kernel, const Arguments &before, const oracle::Call &after_core);

/// The error of a float sum of `terms` terms in any order, where `magnitude` is the sum of their absolute values. At most terms * u *
/// magnitude, with u = 2^-24; but rounding errors are independent, so that they add up like sqrt(terms) (Higham and Mary: A new approach to
/// probabilistic rounding error analysis, SIAM J. Sci. Comput. 41, 2019): with the factor 6 a sum exceeds the bound once in 10^8.
double sum_error(double terms, double magnitude);

/// The tolerances of a convolution by Winograd's algorithm, without chains but for what they made of its inputs in `before`.
void winograd_tolerances(const WinogradTile &tile, const std::string &entry, const Arguments &before, Arguments &tolerance);

}  // namespace halcyon
