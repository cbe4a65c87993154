// The rows of plan/pointwise.cpp once more: what each makes of a value, and how far a float result may be from it, by the standard model of
// rounding: fl(a op b) = (a op b)(1 + d), |d| <= u.
#include "plan/step.h"
#include "tests/kernels/oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <numbers>
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
    double element(OperandName name) const { return operands[name](c, x, y, n); }
    double image(OperandName name) const { return operands[name](c, 0, 0, n); }
    double channel(OperandName name) const { return operands[name](c); }
    /// For each channel, or for each unit.
    double weight(OperandName name) const {
        const Array &weights = operands[name];
        return weights(c, x % weights.extent(1), y % weights.extent(2));
    }
    double constant(std::string_view name) const {
        const std::vector<RowConstant> &constants = find_row(operands.link.row).constants;
        return operands.link.constants.at(std::size_t(std::ranges::find(constants, name, &RowConstant::name) - constants.begin()));
    }
    const Array &step() const { return operands["step"]; }
    double population() const { return double(values.values.size()) / values.extent(0); }
};

template<bool spatial>
bool is_dropped(const At &at) {
    const Array &step = at.step();
    const int layer = at.operands.link.number, quarter = (at.values.extent(0) + 3) / 4;
    const std::uint32_t key = stream_key(word(step, step_seed), word(step, step_epoch), stream_first_dropout + layer);
    const std::uint32_t pixel = spatial ? 0 : at.y * at.values.extent(1) + at.x;
    const std::uint32_t element = pixel * quarter + at.c % quarter, lane = at.c / quarter;
    const std::uint32_t pair = philox2x32({word(step, step_position) + at.n, element}, key)[lane / 2];
    return (lane % 2 ? pair >> 16 : pair & 0xFFFF) < word(step, dropout_threshold(layer));
}

double scale_of(const At &at) { return real(at.step(), dropout_scale(at.operands.link.number)); }

/// Box and Muller's transform of the element's own pair of words, of which 24 bits count.
double noise(const At &at) {
    const Array &step = at.step();
    const std::uint32_t key = stream_key(word(step, step_seed), word(step, step_epoch), stream_first_noise + at.operands.link.number);
    const auto element = std::uint32_t((at.y * at.values.extent(1) + at.x) * at.values.extent(0) + at.c);
    const auto words = philox2x32({word(step, step_position) + std::uint32_t(at.n), element}, key);
    const double u = ((words[0] >> 8) + 1) * 0x1p-24, v = (words[1] >> 8) * 0x1p-24;
    return at.constant("stddev") * std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

/// The logarithm is off by 9 u of itself, as it is a third of its terms at least, its root by half of that and u. The sine's argument is
/// off by 2 u, and no sine by more; its series by 8 u. Two products follow, and the sum. Roots and quotients of devices may be off by some
/// more.
double noise_error(const At &at, double error, double result) {
    return error + 24 * u * std::abs(noise(at)) + u * (std::abs(result) + std::abs(at.value()));
}

double affine(const At &at, double value) { return at.weight("scale") * value + at.weight("shift"); }

double affine_error(const At &at, double error, double) {
    const double scale = std::abs(at.weight("scale"));
    return scale * error + 2 * u * (scale * std::abs(at.value()) + std::abs(at.weight("shift")));
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

double label_smoothing_at(const At &at) { return at.operands.link.constants.empty() ? 0 : at.constant("label_smoothing"); }

double one_hot_gradient_at(const At &at) {
    return one_hot_gradient(at.value(), at.c, label_at(at), at.values.extent(0), at.step(), label_smoothing_at(at));
}

/// Of the one logit, whose sigmoid is class 1's probability.
double binary_gradient_at(const At &at) {
    return one_hot_gradient(sigmoid(at.value()), 1, label_at(at), 2, at.step(), label_smoothing_at(at));
}

/// What a difference to the target is multiplied with.
double gradient_scale(const At &at) {
    return std::abs(one_hot_gradient(1, label_at(at) + 1, label_at(at), label_at(at) + 2, at.step(), 0));
}

/// A difference and two products, from a value that is right; smoothed targets, which are at most 1, have three roundings.
double one_hot_gradient_error(const At &at, double error, double result) {
    if (error != 0) return std::numeric_limits<double>::infinity();
    return 3 * u * (std::abs(result) + (label_smoothing_at(at) > 0 ? gradient_scale(at) : 0));
}

/// exp() of the logit (tests/kernels/tolerances.cpp), and a sum, a quotient, a difference and two products; no slope of the sigmoid is
/// above 1/4. The sigmoid is less than the result and what smoothing takes from it.
double binary_gradient_error(const At &at, double error, double result) {
    const double scale = gradient_scale(at), sigmoid = std::abs(result) + label_smoothing_at(at) / 2 * scale;
    return scale * error / 4 + (3 * std::abs(at.value()) + 10) * u * sigmoid + std::numeric_limits<float>::min();
}

double target_at(const At &at) { return at.operands["targets"](at.c, int(at.operands["indices"](at.n))); }

/// What the gradient of a unit is multiplied with.
double unit_scale(const At &at) { return real(at.step(), step_inverse_batch) / at.values.extent(0); }

double smoothed_target(const At &at) { return target_at(at) * (1 - at.constant("label_smoothing")) + 0.5 * at.constant("label_smoothing"); }

double cross_entropy_gradient(const At &at) { return (sigmoid(at.value()) - smoothed_target(at)) * unit_scale(at); }

/// The sigmoid of what is not positive as above, the target or what it lacks of 1, with three roundings of it where it is smoothed, and
/// three roundings more.
double cross_entropy_gradient_error(const At &at, double error, double) {
    const double logit = at.value(), target = smoothed_target(at), off = logit > 0 ? 1 - target : target;
    const double small = sigmoid(-std::abs(logit)), smoothed = at.constant("label_smoothing") > 0 ? 3 * u : 0;
    return unit_scale(at) * (error / 4 + (3 * std::abs(logit) + 13) * u * small + 5 * u * std::abs(off) + smoothed) +
           std::numeric_limits<float>::min();
}

double squared_error_gradient(const At &at) { return 2 * (at.value() - target_at(at)) * unit_scale(at); }

/// A difference, and products with two numbers that are rounded.
double squared_error_gradient_error(const At &at, double error, double result) {
    return 2 * unit_scale(at) * error + 5 * u * std::abs(result);
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

/// What is dropped is exactly 0, the rest is scaled.
template<bool (*drops)(const At &)>
constexpr Row dropout = {[](const At &at) { return drops(at) ? 0.0 : at.value() * scale_of(at); },
                         [](const At &at, double error, double result) { return drops(at) ? 0.0 : scaled_error(at, error, result); }};

double penalty_gradient(const At &at) {
    const double w = at.element("of"), sign = w > 0 ? 1 : w < 0 ? -1 : w, l1 = at.constant("l1"), l2 = at.constant("l2");
    return (l1 == 0 ? 0 : l1 * sign) + (l2 == 0 ? 0 : 2 * l2 * w);
}

/// A product and two sums.
double penalised_error(const At &at, double error, double) {
    return error + 3 * u * (std::abs(at.value()) + at.constant("l1") + 2 * at.constant("l2") * std::abs(at.element("of")));
}

// The activations, and the slopes of what their gradients read.

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double normal_share(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }
double normal_density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }

double exponential_linear(double x, double scale, double alpha) { return scale * (x > 0 ? x : alpha * std::expm1(x)); }
double exponential_linear_slope(double of, double scale, double alpha) { return of > 0 ? scale : of + scale * alpha; }

constexpr double selu_scale = 1.0507009873554804934193349852946, selu_alpha = 1.6732632423543772848170429916717;

double bounded_relu(double x, double most, double slope, double threshold) {
    if (std::isnan(x)) return x;
    if (x > threshold) return std::min(x, most);
    return slope == 0 ? 0 : slope * (x - threshold);
}
double bounded_slope(double of, double most, double slope) {
    if (std::isnan(of)) return of;
    return of >= most && std::isfinite(most) ? 0 : of > 0 ? 1 : slope;
}

double leaky_slope(const At &at) { return bounded_slope(at.element("of"), HUGE_VAL, at.constant("negative_slope")); }
double bounded_slope(const At &at) { return bounded_slope(at.element("of"), at.constant("max_value"), at.constant("negative_slope")); }
double prelu_slope(const At &at, double of) { return std::isnan(of) ? of : of > 0 ? 1 : at.weight("alpha"); }
double elu_slope(const At &at) { return exponential_linear_slope(at.element("of"), 1, at.constant("alpha")); }
double selu_slope(const At &at) { return exponential_linear_slope(at.element("of"), selu_scale, selu_alpha); }

double elu(const At &at) { return exponential_linear(at.value(), 1, at.constant("alpha")); }
double selu(const At &at) { return exponential_linear(at.value(), selu_scale, selu_alpha); }
double leaky_relu(const At &at) { return bounded_relu(at.value(), HUGE_VAL, at.constant("negative_slope"), 0); }
double bounded_relu(const At &at) {
    return bounded_relu(at.value(), at.constant("max_value"), at.constant("negative_slope"), at.constant("threshold"));
}
double hard_sigmoid(double x) { return std::isnan(x) ? x : std::clamp(x + 3, 0.0, 6.0) / 6; }
double hard_silu(double x) { return x * hard_sigmoid(x); }
double silu(double x) { return x * sigmoid(x); }
double gelu(double x) { return x * normal_share(x); }
/// Twice what the tanh is of.
double gelu_exponent(double x) { return std::sqrt(8 / std::numbers::pi) * (x + 0.044715 * x * x * x); }
double approximate_gelu(double x) { return x * sigmoid(gelu_exponent(x)); }
double soft_plus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
double soft_sign(double x) { return x / (1 + std::abs(x)); }

double sigmoid_slope(double of) { return of * (1 - of); }
double tanh_slope(double of) { return 1 - of * of; }
double exponential_slope(double of) { return of; }
double silu_slope(double x) { return sigmoid(x) * (1 + x * sigmoid(-x)); }
double gelu_slope(double x) { return normal_share(x) + x * normal_density(x); }
double approximate_gelu_slope(double x) {
    const double share = sigmoid(gelu_exponent(x)), exponent_slope = std::sqrt(8 / std::numbers::pi) * (1 + 3 * 0.044715 * x * x);
    return share == 0 || share == 1 ? share : share + x * share * (1 - share) * exponent_slope;
}
double soft_sign_slope(double x) { return 1 / ((1 + std::abs(x)) * (1 + std::abs(x))); }

double hard_silu_slope(double x) {
    if (x <= -3 || x >= 3) return x > 0;
    return x / 3 + 0.5;
}

double hard_sigmoid_slope(double of) {
    if (std::isnan(of)) return of;
    return of > 0 && of < 1 ? 1.0 / 6 : 0;
}

/// How many roundings the result of an activation may be off by: 4 ulp.
constexpr double roundings = 8;

// Of what.
double of_itself(double, double result) { return std::abs(result); }
/// exp(x) takes the multiples of log(2) from x in two steps, whose factors a compiler may add up where it is allowed to reorder sums: as
/// much of the result as x is off by, a rounding.
double of_an_exponential(double x, double result) { return std::abs(result) * (1 + std::abs(x) / roundings); }
double of_its_exponent(double x, double result) { return std::abs(result) * (1 + x * x / 2); }  // that of a normal distribution
double of_its_cube(double x, double result) { return std::abs(result) * (1 + std::abs(gelu_exponent(x))); }  // of approximate_gelu
double of_a_sum(double, double) { return 1; }
double of_a_sum_times(double x, double) { return std::abs(x); }

/// `apply` at a value that is off by `error`: as far as it may move there, which a difference shows, for all of these have small second
/// derivatives, and the roundings. What is below FLT_MIN may become 0, before it is multiplied with the value too.
template<double (*apply)(const At &), double (*magnitude)(double x, double result)>
double activation_error(const At &at, double error, double result) {
    double moved = 0;
    if (error > 0)
        for (const double by : {-error, error}) {
            Array values({1}, at.value() + by);
            moved = std::max(moved, std::abs(apply({at.operands, values, 0, 0, 0, 0}) - result));
        }
    return 2 * moved + roundings * u * magnitude(at.value(), result) + std::max(1.0, std::abs(at.value())) * FLT_MIN;
}

template<double (*apply)(const At &), double (*magnitude)(double x, double result) = of_itself>
constexpr Row activation = {apply, activation_error<apply, magnitude>};

template<double (*function)(double)>
double of_value(const At &at) {
    return function(at.value());
}

/// A gradient times a slope, which is off by as many roundings of its largest value.
template<double (*slope)(const At &)>
constexpr Row times_slope = {[](const At &at) { return at.value() * slope(at); },
                             [](const At &at, double error, double) {
                                 const double value = std::abs(at.value());
                                 return std::abs(slope(at)) * error + roundings * u * value * std::max(1.0, std::abs(slope(at))) + FLT_MIN;
                             }};

template<double (*slope)(double)>
double of_output(const At &at) {
    return slope(at.element("of"));
}

template<double (*slope)(double)>
double of_input(const At &at) {
    return slope(at.element("at"));
}

/// A product with a factor that does not round: one rounding.
template<double (*factor)(const At &)>
constexpr Row product = {
    [](const At &at) { return at.value() * factor(at); },
    [](const At &at, double error, double result) { return std::abs(factor(at)) * error + u * std::abs(result) + FLT_MIN; }};

double times_element(const At &at) { return at.element("by"); }
double times_image(const At &at) { return at.image("by"); }
double prelu_factor(const At &at) { return prelu_slope(at, at.value()); }
double prelu_mask_factor(const At &at) { return prelu_slope(at, at.element("at")); }
double times_constant(const At &at) { return at.constant("factor"); }

double maximum(const At &at) {
    if (std::isnan(at.value())) return at.value();
    return at.value() > at.element("other") ? at.value() : at.element("other");
}

/// Of a value: all, half or nothing.
double larger(const At &at) {
    const double margin = at.element("margin");
    if (std::isnan(margin)) return margin;
    return margin > 0 ? at.value() : margin == 0 ? at.value() / 2 : 0;
}

bool is_rectified(const At &at) { return at.element("of") <= 0; }
bool is_affine_rectified(const At &at) { return affine(at, at.element("of")) <= 0; }

const std::map<std::string, Row, std::less<>> rows = {
    {"relu", {[](const At &at) { return std::max(at.value(), 0.0); }, keep}},
    {"mask", mask<is_rectified>},
    {"leakyrelu", activation<leaky_relu>},
    {"leakymask", times_slope<leaky_slope>},
    {"prelu", product<prelu_factor>},
    {"prelumask", product<prelu_mask_factor>},
    {"unitprelu", product<prelu_factor>},
    {"unitprelumask", product<prelu_mask_factor>},
    {"boundedrelu", activation<bounded_relu>},
    {"boundedmask", times_slope<bounded_slope>},
    {"elu", activation<elu>},
    {"elugradient", times_slope<elu_slope>},
    {"selu", activation<selu>},
    {"selugradient", times_slope<selu_slope>},
    {"sigmoid", activation<of_value<sigmoid>, of_an_exponential>},
    {"sigmoidgradient", times_slope<of_output<sigmoid_slope>>},
    {"tanh", activation<of_value<std::tanh>>},
    {"tanhgradient", times_slope<of_output<tanh_slope>>},
    {"exponential", activation<of_value<std::exp>, of_an_exponential>},
    {"exponentialgradient", times_slope<of_output<exponential_slope>>},
    {"silu", activation<of_value<silu>, of_an_exponential>},
    {"silugradient", times_slope<of_input<silu_slope>>},
    {"gelu", activation<of_value<gelu>, of_its_exponent>},
    {"gelugradient", times_slope<of_input<gelu_slope>>},
    {"approximategelu", activation<of_value<approximate_gelu>, of_its_cube>},
    {"approximategelugradient", times_slope<of_input<approximate_gelu_slope>>},
    {"softplus", activation<of_value<soft_plus>, of_an_exponential>},
    {"softplusgradient", times_slope<of_input<sigmoid>>},
    {"softsign", activation<of_value<soft_sign>>},
    {"softsigngradient", times_slope<of_input<soft_sign_slope>>},
    {"hardsigmoid", activation<of_value<hard_sigmoid>, of_a_sum>},
    {"hardsigmoidgradient", times_slope<of_output<hard_sigmoid_slope>>},
    {"hardsilu", activation<of_value<hard_silu>, of_a_sum_times>},
    {"hardsilugradient", times_slope<of_input<hard_silu_slope>>},
    {"affinemask", mask<is_affine_rectified>},
    {"affine", {[](const At &at) { return affine(at, at.value()); }, affine_error}},
    {"unitaffine", {[](const At &at) { return affine(at, at.value()); }, affine_error}},
    {"add",
     {[](const At &at) { return at.value() + at.element("addend"); },
      // Of several sums behind each other the compiler may take another pair first: twice what either rounding is at most.
      [](const At &at, double error, double) { return error + 2 * u * (std::abs(at.value()) + std::abs(at.element("addend"))); }}},
    {"subtract",
     {[](const At &at) { return at.value() - at.element("subtrahend"); },
      [](const At &at, double error, double) { return error + 2 * u * (std::abs(at.value()) + std::abs(at.element("subtrahend"))); }}},
    {"multiply", product<times_element>},
    {"gate", product<times_image>},
    {"times", product<times_constant>},
    {"maximum", {maximum, keep}},
    {"larger", {larger, keep}},
    {"kept", {[](const At &at) { return at.value() * scale_of(at); }, scaled_error}},
    {"dropout", dropout<is_dropped<false>>},
    {"noise", {[](const At &at) { return at.value() + noise(at); }, noise_error}},
    {"spatialdropout", dropout<is_dropped<true>>},
    {"penalised", {[](const At &at) { return at.value() + penalty_gradient(at); }, penalised_error}},
    {"normgradient", {norm_gradient_at, norm_gradient_error_at}},
    // A difference and a product, and the division by 255 behind them: tests/kernels/tolerances.cpp counts all of input_fwd's.
    {"normalise", {[](const At &at) { return (at.value() - at.channel("center")) * at.channel("factor"); }, keep}},
    {"onehotgradient", {one_hot_gradient_at, one_hot_gradient_error}},
    {"binarygradient", {binary_gradient_at, binary_gradient_error}},
    {"smoothedonehotgradient", {one_hot_gradient_at, one_hot_gradient_error}},
    {"smoothedbinarygradient", {binary_gradient_at, binary_gradient_error}},
    {"crossentropygradient", {cross_entropy_gradient, cross_entropy_gradient_error}},
    {"squarederrorgradient", {squared_error_gradient, squared_error_gradient_error}},
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

double one_hot_gradient(double probability, int c, int label, int classes, const Array &step, double label_smoothing) {
    const double weight =
        label < classes ? real(step, class_weight(step.extent(0), classes, label)) : std::numeric_limits<double>::quiet_NaN();
    const double target = (1 - label_smoothing) * (c == label) + label_smoothing / classes;
    return (probability - target) * weight * real(step, step_inverse_batch);
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
    for (const auto &[name, array] : operands) pointers.arrays.emplace_back(OperandName(name), &array);
    apply_row(pointers, values);
}

double row_error(const Call::Operands &operands, const Array &values, double error, double result, const std::array<int, 4> &at) {
    return find(operands.link.row).error({operands, values, at[0], at[1], at[2], at[3]}, error, result);
}

}  // namespace halcyon::oracle
