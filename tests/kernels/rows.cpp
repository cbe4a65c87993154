// The rows of plan/pointwise.cpp once more: what each makes of a value, and how far a float result may be from it, by the standard model of
// rounding: fl(a op b) = (a op b)(1 + d), |d| <= u.
#include "plan/step.h"
#include "tests/kernels/oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace halcyon::oracle {
namespace {

constexpr double u = 0x1p-24;  // the largest relative error of one rounding

/// A value at its place, with the operands of the row.
struct At {
    const Call::Operands &operands;
    const Array &values;
    int c, x, y, n;

    double value() const { return values(c, x, y, n); }
    double element(const char *name) const { return operands[name](c, x, y, n); }
    double channel(const char *name) const { return operands[name](c); }
    const Array &step() const { return operands["step"]; }
    double population() const { return double(values.values.size()) / values.extent(0); }
};

std::uint32_t word(const Array &step, int field) { return std::uint32_t(step(field)); }
double real(const Array &step, int field) { return std::bit_cast<float>(word(step, field)); }

bool is_dropped(const At &at) {
    const Array &step = at.step();
    const int layer = at.operands.link.dropout, quarter = (at.values.extent(0) + 3) / 4;
    const std::uint32_t key = stream_key(word(step, step_seed), word(step, step_epoch), stream_first_dropout + layer);
    const std::uint32_t element = (at.y * at.values.extent(1) + at.x) * quarter + at.c % quarter, lane = at.c / quarter;
    const std::uint32_t pair = philox2x32({word(step, step_position) + at.n, element}, key)[lane / 2];
    return (lane % 2 ? pair >> 16 : pair & 0xFFFF) < word(step, dropout_threshold(layer));
}

double scale_of(const At &at) { return real(at.step(), dropout_scale(at.operands.link.dropout)); }

double affine(const At &at, double value) { return at.channel("scale") * value + at.channel("shift"); }

double affine_error(const At &at, double error, double) {
    const double scale = std::abs(at.channel("scale"));
    return scale * error + 2 * u * (scale * std::abs(at.value()) + std::abs(at.channel("shift")));
}

/// One product.
double scaled_error(const At &at, double error, double result) { return std::abs(scale_of(at)) * error + u * std::abs(result); }

double norm_gradient_at(const At &at) {
    return norm_gradient(at.value(), at.element("input"), at.channel("gamma"), at.channel("mean"), at.channel("inv_std"),
                         at.channel("d_gamma"), at.channel("d_beta"), at.population());
}

double norm_gradient_error_at(const At &at, double error, double) {
    return norm_gradient_error(error, at.value(), at.element("input"), at.channel("gamma"), at.channel("mean"), at.channel("inv_std"),
                               at.channel("d_gamma"), at.channel("d_beta"), at.population());
}

int label_at(const At &at) { return int(at.operands["labels"](int(at.operands["indices"](at.n)))); }

double one_hot_gradient_at(const At &at) { return one_hot_gradient(at.value(), at.c, label_at(at), at.values.extent(0), at.step()); }

/// Of the one logit, whose sigmoid is class 1's probability.
double binary_gradient_at(const At &at) { return one_hot_gradient(sigmoid(at.value()), 1, label_at(at), 2, at.step()); }

/// exp() of the logit (tests/kernels/tolerances.cpp), and a sum, a quotient and two products; no slope of the sigmoid is above 1/4.
double binary_gradient_error(const At &at, double error, double result) {
    const double scale = std::abs(one_hot_gradient(1, label_at(at) + 1, label_at(at), 2, at.step()));
    return scale * error / 4 + (3 * std::abs(at.value()) + 10) * u * std::abs(result) + std::numeric_limits<float>::min();
}

/// What a row makes of a value; and the error of that, given the error of the value and the exact result.
struct Row {
    double (*apply)(const At &);
    double (*error)(const At &, double error, double result);
};

double keep(const At &, double error, double) { return error; }

/// A row that drops values: what is dropped is exactly 0. A sum that passes may be 0 too, and is off like any other.
template<bool (*drops)(const At &)>
constexpr Row mask = {[](const At &at) { return drops(at) ? 0.0 : at.value(); },
                      [](const At &at, double error, double) { return drops(at) ? 0.0 : error; }};

bool is_rectified(const At &at) { return at.element("of") <= 0; }
bool is_affine_rectified(const At &at) { return affine(at, at.element("of")) <= 0; }

const std::map<std::string, Row, std::less<>> rows = {
    {"relu", {[](const At &at) { return std::max(at.value(), 0.0); }, keep}},
    {"mask", mask<is_rectified>},
    {"affinemask", mask<is_affine_rectified>},
    {"affine", {[](const At &at) { return affine(at, at.value()); }, affine_error}},
    {"add",
     {[](const At &at) { return at.value() + at.element("addend"); },
      [](const At &, double error, double result) { return error + u * std::abs(result); }}},
    {"kept", {[](const At &at) { return at.value() * scale_of(at); }, scaled_error}},
    // What is dropped is exactly 0.
    {"dropout",
     {[](const At &at) { return is_dropped(at) ? 0.0 : at.value() * scale_of(at); },
      [](const At &at, double error, double result) { return is_dropped(at) ? 0.0 : scaled_error(at, error, result); }}},
    {"normgradient", {norm_gradient_at, norm_gradient_error_at}},
    // A difference and a product, and the division by 255 behind them: tests/kernels/tolerances.cpp counts all of input_fwd's.
    {"normalise", {[](const At &at) { return (at.value() - at.channel("center")) * at.channel("factor"); }, keep}},
    // A difference and two products.
    {"onehotgradient",
     {one_hot_gradient_at,
      [](const At &, double error, double result) {
          return 3 * u * std::abs(result) + (error == 0 ? 0 : std::numeric_limits<double>::infinity());
      }}},
    {"binarygradient", {binary_gradient_at, binary_gradient_error}},
};

const Row &find(const std::string &row) {
    const auto found = rows.find(row);
    if (found == rows.end()) throw std::invalid_argument(fmt::format("the row \"{}\" has no oracle in tests/kernels/rows.cpp", row));
    return found->second;
}

}  // namespace

double norm_gradient(double d_output, double input, double gamma, double mean, double inv_std, double d_gamma, double d_beta,
                     double population) {
    const double through_statistics = (d_beta + (input - mean) * inv_std * d_gamma) / population;
    return gamma * inv_std * (d_output - through_statistics);
}

// The longest way through the expression has nine roundings: 1 / M, inv_std * d_gamma, their product, the deviation, its product, the sum,
// the difference, gamma * inv_std and the last product, each at most u of the sum of absolute values.
double norm_gradient_error(double error, double d_output, double input, double gamma, double mean, double inv_std, double d_gamma,
                           double d_beta, double population) {
    const double magnitude = std::abs(d_output) + (std::abs(d_beta) + std::abs((input - mean) * inv_std * d_gamma)) / population;
    return std::abs(gamma * inv_std) * (error + 9 * u * magnitude);
}

double one_hot_gradient(double probability, int c, int label, int classes, const Array &step) {
    const double weight =
        label < classes ? real(step, class_weight(step.extent(0), classes, label)) : std::numeric_limits<double>::quiet_NaN();
    return (probability - (c == label)) * weight * real(step, step_inverse_batch);
}

double sigmoid(double logit) { return std::isfinite(logit) ? 1 / (1 + std::exp(-logit)) : std::numeric_limits<double>::quiet_NaN(); }

void apply_row(const Call::Operands &operands, Array &values) {
    const Row &row = find(operands.link.row);
    const Array before = values;
    for (int n = 0; n < values.extent(3); n++)
        for (int y = 0; y < values.extent(2); y++)
            for (int x = 0; x < values.extent(1); x++)
                for (int c = 0; c < values.extent(0); c++) values(c, x, y, n) = row.apply({operands, before, c, x, y, n});
}

void apply_row(const Link &link, const std::map<std::string, Array> &operands, Array &values) {
    Call::Operands pointers{link, {}};
    for (const auto &[name, array] : operands) pointers.arrays[name] = &array;
    apply_row(pointers, values);
}

double row_error(const Call::Operands &operands, const Array &values, double error, double result, const std::array<int, 4> &at) {
    return find(operands.link.row).error({operands, values, at[0], at[1], at[2], at[3]}, error, result);
}

}  // namespace halcyon::oracle
