// The oracles: every core of plan/cores.cpp and every row of plan/pointwise.cpp once more, as naive loops written from Keras's definitions.
// The gradient checks hold the oracles to finite differences, and the kernels' tests hold the kernels to the oracles.
#pragma once

#include "plan/kernel.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace halcyon::oracle {

/// An argument of a kernel: up to four extents, innermost first and dense, in the order of plan/plan.h: activations (c, x, y, n),
/// weights (k, c, x, y). All elements are doubles, which hold every value of the kernels' types (float32, int32, uint32, uint16, uint8)
/// exactly.
class Array {
public:
    explicit Array(const std::vector<int> &extents, double value = 0);

    int extent(int dimension) const { return extents_[dimension]; }
    double &operator()(int i, int j = 0, int k = 0, int l = 0) { return values[at(i, j, k, l)]; }
    double operator()(int i, int j = 0, int k = 0, int l = 0) const { return values[at(i, j, k, l)]; }

    std::vector<double> values;

private:
    std::size_t at(int i, int j, int k, int l) const { return i + extents_[0] * (j + extents_[1] * (k + extents_[2] * std::size_t(l))); }

    std::array<std::size_t, 4> extents_{1, 1, 1, 1};
};

/// Calls `visit(c, x, y, n)` for every element of an activation, in row-major order of its images.
template<typename Visit>
void for_each_element(const Array &tensor, Visit visit) {
    for (int n = 0; n < tensor.extent(3); n++)
        for (int y = 0; y < tensor.extent(2); y++)
            for (int x = 0; x < tensor.extent(1); x++)
                for (int c = 0; c < tensor.extent(0); c++) visit(c, x, y, n);
}

/// The name of a row's operand, as a number that is made when this is compiled: the rows ask for operands by name for every element, and
/// comparing the names themselves took a third of the tests' time.
class OperandName {
public:
    consteval OperandName(const char *name) : hash_(hash_of(name)) {}
    explicit OperandName(std::string_view name) : hash_(hash_of(name)) {}

    bool operator==(const OperandName &) const = default;

private:
    /// FNV-1a, 64 bits.
    static constexpr std::uint64_t hash_of(std::string_view name) {
        std::uint64_t hash = 0xcbf29ce484222325;
        for (const char byte : name) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
        return hash;
    }

    std::uint64_t hash_;
};

/// The arguments of a kernel by name, and its chains.
class Call {
public:
    /// `arguments` stand in the order of arguments_of(kernel), without workspaces; outputs have their extents, and their values where they
    /// are updated in place.
    Call(const Kernel &kernel, const std::vector<Array> &arguments);

    const Kernel &kernel() const { return kernel_; }

    Array &operator[](const std::string &name) { return arrays_.at(name); }
    const Array &operator[](const std::string &name) const { return arrays_.at(name); }

    /// An input as the core reads it: what the chain before it makes of it.
    Array chained(const std::string &input) const;

    /// Applies the chain at a place of the core to `values`.
    void apply_chain(const std::string &place, Array &values) const;

    /// The operands of a link, by the row's names for them; `dropout` is its own.
    struct Operands {
        const Link &link;
        std::vector<std::pair<OperandName, const Array *>> arrays;

        /// Throws std::out_of_range where the row has no operand `name`.
        const Array &operator[](OperandName name) const {
            for (const auto &[own, array] : arrays)
                if (own == name) return *array;
            throw std::out_of_range("the row \"" + link.row + "\" is asked for an operand that it has not");
        }
    };
    Operands operands(const std::string &place, int link) const;

    /// Writes the core's outputs, without the chains behind them; then those.
    void run_core();
    void finish();

    /// In the order of arguments_of(kernel).
    std::vector<Array> arguments() const;

private:
    Kernel kernel_;
    std::map<std::string, Array> arrays_;
};

/// Computes a kernel's outputs. Throws std::invalid_argument where the core or a row has no oracle.
void compute(const Kernel &kernel, std::vector<Array> &arguments);

/// The same of a core without chains: the arguments are its inputs and outputs.
void compute(std::string_view core, const Shape &shape, std::vector<Array> &arguments);

/// Applies one row to `values` (tests/kernels/rows.cpp).
void apply_row(const Call::Operands &operands, Array &values);
void apply_row(const Link &link, const std::map<std::string, Array> &operands, Array &values);

/// How far a float may be from the exact `result` that the row makes of the value of `values` at a place, where that is wrong by `error`.
double row_error(const Call::Operands &operands, const Array &values, double error, double result, const std::array<int, 4> &at);

/// A word of the step (plan/step.h), and the float that it holds.
inline std::uint32_t word(const Array &step, int field) { return std::uint32_t(step(field)); }
inline double real(const Array &step, int field) { return std::bit_cast<float>(word(step, field)); }

/// The gradient of a batch norm's input for that of its output, of which `population` made each statistic, and the error of a float one.
double norm_gradient(double d_output, double input, double gamma, double mean, double inv_std, double d_gamma, double d_beta,
                     double population);
double norm_gradient_error(double error, double d_output, double input, double gamma, double mean, double inv_std, double d_gamma,
                           double d_beta, double population);

/// The gradient of a logit of softmax and cross-entropy.
double one_hot_gradient(double probability, int c, int label, int classes, const Array &step, double label_smoothing);

/// The group of a channel, where a window has out_c / 2 groups; the first or the second value of an element's group and window; and what
/// the statistics make of an element of `input`.
int group_of(const Shape &shape, int c);
double group_value(const Shape &shape, const Array &values, int which, int c, int x, int y, int n);
double group_normalised(const Shape &shape, const Array &input, const Array &statistics, int c, int x, int y, int n);

/// NaN of infinities as well.
double sigmoid(double logit);

/// A convolution's weights as they were before winograd_weights transformed them, where the shape says that they are.
Array plain_weights(const Shape &shape, const Array &weights);

/// Philox2x32-10 (Salmon, Moraes, Dror and Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011).
std::array<std::uint32_t, 2> philox2x32(std::array<std::uint32_t, 2> counter, std::uint32_t key);

/// The key of a random stream in one epoch.
std::uint32_t stream_key(std::uint32_t seed, std::uint32_t epoch, std::uint32_t stream);

}  // namespace halcyon::oracle
