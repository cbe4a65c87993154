#include "plan/pointwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace halcyon {

namespace {

RowGradient of_output(const std::string &row) { return {row, "of", RowGradient::Reads::output}; }
RowGradient of_input(const std::string &row) { return {row, "at", RowGradient::Reads::input}; }

/// What the numbers of an activation may be at most.
constexpr double most = 1e12;

const std::vector<RowConstant> slope = {{"negative_slope", 0.3, 0, most}};
const std::vector<RowConstant> bounds = {
    {"max_value", std::numeric_limits<double>::infinity(), 0, most}, {"negative_slope", 0, 0, most}, {"threshold", 0, 0, most}};
const std::vector<RowConstant> smoothing = {{"label_smoothing", 0, 0, 1}};
const std::vector<RowConstant> alpha = {{"alpha", 1, 0, most}};
const std::vector<RowConstant> penalties = {{"l1", 0, 0, most}, {"l2", 0, 0, most}};

}  // namespace

const std::vector<PointwiseRow> &pointwise_rows() {
    using enum Beside;
    using enum Exactness;
    static const std::vector<PointwiseRow> rows = {
        // max(value, 0)
        {"relu", {}, 1, exact, false, of_output("mask")},
        // The gradient of a ReLU's input: value where `of`, the ReLU's output, is positive.
        {"mask", {{"of", element}}, 1, exact},
        // value where it is positive, else negative_slope * value
        {"leakyrelu", {}, 2, derived, false, of_output("leakymask"), slope},
        {"leakymask", {{"of", element}}, 2, derived, false, {}, slope},
        // The same of a slope for each channel, which is a weight, and the gradient of its input, where it was applied to `at`; and of one
        // for each unit.
        {"prelu", {{"alpha", channel}}, 2, exact},
        {"prelumask", {{"at", element}, {"alpha", channel}}, 2, exact},
        {"unitprelu", {{"alpha", unit}}, 2, exact},
        {"unitprelumask", {{"at", element}, {"alpha", unit}}, 2, exact},
        // value, at most max_value, where it is above the threshold; else negative_slope * (value - threshold)
        {"boundedrelu", {}, 4, derived, false, of_output("boundedmask"), bounds},
        {"boundedmask", {{"of", element}}, 3, derived, false, {}, bounds},
        // value where it is positive, else alpha * (exp(value) - 1)
        {"elu", {}, 20, derived, false, of_output("elugradient"), alpha},
        {"elugradient", {{"of", element}}, 3, derived, false, {}, alpha},
        // The same times a scale, whose scale and alpha keep the mean 0 and the variance 1.
        {"selu", {}, 20, derived, false, of_output("selugradient")},
        {"selugradient", {{"of", element}}, 3, derived},
        // 1 / (1 + exp(-value))
        {"sigmoid", {}, 20, derived, false, of_output("sigmoidgradient")},
        {"sigmoidgradient", {{"of", element}}, 3, derived},
        {"tanh", {}, 20, derived, false, of_output("tanhgradient")},
        {"tanhgradient", {{"of", element}}, 3, derived},
        {"exponential", {}, 18, derived, false, of_output("exponentialgradient")},
        {"exponentialgradient", {{"of", element}}, 1, derived},
        // value * sigmoid(value)
        {"silu", {}, 21, derived, false, of_input("silugradient")},
        {"silugradient", {{"at", element}}, 25, derived},
        // value times the share of a normal distribution that is below it
        {"gelu", {}, 45, derived, false, of_input("gelugradient")},
        {"gelugradient", {{"at", element}}, 65, derived},
        // The same with that share taken for (1 + tanh(sqrt(2 / pi) (value + 0.044715 value^3))) / 2.
        {"approximategelu", {}, 26, derived, false, of_input("approximategelugradient")},
        {"approximategelugradient", {{"at", element}}, 38, derived},
        // log(1 + exp(value))
        {"softplus", {}, 35, derived, false, of_input("softplusgradient")},
        {"softplusgradient", {{"at", element}}, 20, derived},
        // value / (1 + |value|)
        {"softsign", {}, 3, derived, false, of_input("softsigngradient")},
        {"softsigngradient", {{"at", element}}, 4, derived},
        // min(max(value + 3, 0), 6) / 6
        {"hardsigmoid", {}, 4, derived, false, of_output("hardsigmoidgradient")},
        {"hardsigmoidgradient", {{"of", element}}, 3, derived},
        // value times that
        {"hardsilu", {}, 5, derived, false, of_input("hardsilugradient")},
        {"hardsilugradient", {{"at", element}}, 5, derived},
        // scale * value + shift
        {"affine", {{"scale", channel}, {"shift", channel}}, 2, exact},
        {"unitaffine", {{"scale", unit}, {"shift", unit}}, 2, exact},
        // The same where `of` is what an affine function made the ReLU's input of.
        {"affinemask", {{"of", element}, {"scale", channel}, {"shift", channel}}, 3, exact},
        // The gradient of what a batch norm normalised: value is that of what it made.
        {"normgradient",
         {{"input", element}, {"gamma", channel}, {"mean", channel}, {"inv_std", channel}, {"d_gamma", channel}, {"d_beta", channel}},
         6,
         derived},
        // value + addend
        {"add", {{"addend", element}}, 1, exact},
        // value - subtrahend
        {"subtract", {{"subtrahend", element}}, 1, exact},
        // value * by
        {"multiply", {{"by", element}}, 1, exact},
        // The same of all rows and columns.
        {"gate", {{"by", image}}, 1, exact},
        // value * factor
        {"times", {}, 1, derived, false, {}, {{"factor", 1, -most, most}}},
        // The larger of value and other.
        {"maximum", {{"other", element}}, 1, exact},
        // The gradient of what is larger by `margin`; of equals, half of it.
        {"larger", {{"margin", element}}, 2, exact},
        // 0 where the element is dropped, else value times the layer's scale. It is its own gradient.
        {"dropout", {{"step", step}}, 1, derived, true},
        // The same, where all of an image's channel is dropped or kept.
        {"spatialdropout", {{"step", step}}, 1, derived, true},
        // value times that scale: the gradient through a dropout, where a mask behind it drops what was dropped
        {"kept", {{"step", step}}, 1, derived, true},
        // value and a random number of a normal distribution of the mean 0. The gradient of the value is that of the sum: no row.
        {"noise", {{"step", step}}, 60, derived, true, {}, {{"stddev", 0, 0, 1}}},
        // value, the gradient of the weight `of`, with that of l1 |of| + l2 of^2
        {"penalised", {{"of", element}}, 4, derived, false, {}, penalties},
        // (value - center) * factor
        {"normalise", {{"center", channel}, {"factor", channel}}, 2, derived},
        // The gradient of the logits of softmax and cross-entropy: value is the class's probability.
        {"onehotgradient", {{"labels", labels}, {"indices", indices}, {"step", step}}, 3, derived},
        // That of the logit of sigmoid and binary cross-entropy: value is the logit.
        {"binarygradient", {{"labels", labels}, {"indices", indices}, {"step", step}}, 12, derived},
        // Both with labels of which a share is spread over all classes.
        {"smoothedonehotgradient", {{"labels", labels}, {"indices", indices}, {"step", step}}, 3, derived, false, {}, smoothing},
        {"smoothedbinarygradient", {{"labels", labels}, {"indices", indices}, {"step", step}}, 13, derived, false, {}, smoothing},
        // That of the logits of units with a target each, of which smoothing takes a share to the middle of 0 and 1.
        {"crossentropygradient", {{"targets", targets}, {"indices", indices}, {"step", step}}, 14, derived, false, {}, smoothing},
        // That of what the squared error was taken of: value is what the unit makes.
        {"squarederrorgradient", {{"targets", targets}, {"indices", indices}, {"step", step}}, 3, derived},
    };
    return rows;
}

const PointwiseRow &find_row(std::string_view name) {
    const auto row = std::ranges::find(pointwise_rows(), name, &PointwiseRow::name);
    if (row == pointwise_rows().end()) throw std::invalid_argument(fmt::format("there is no pointwise function \"{}\"", name));
    return *row;
}

const std::vector<Activation> &all_activations() {
    const auto with = [](const std::string &row, std::vector<float> constants) {
        return Link{.row = row, .constants = std::move(constants)};
    };
    static const std::vector<Activation> activations = {
        {"elu", with("elu", {1})},
        {"exponential", {"exponential"}},
        {"gelu", {"gelu"}, Link{"approximategelu"}},
        {"hard_sigmoid", {"hardsigmoid"}},
        {"hard_silu", {"hardsilu"}},
        {"hard_swish", {"hardsilu"}},
        {"leaky_relu", with("leakyrelu", {0.2f})},
        {"relu", {"relu"}},
        {"relu6", with("boundedrelu", {6, 0, 0})},
        {"selu", {"selu"}},
        {"sigmoid", {"sigmoid"}},
        {"silu", {"silu"}},
        {"softplus", {"softplus"}},
        {"softsign", {"softsign"}},
        {"swish", {"silu"}},
        {"tanh", {"tanh"}},
    };
    return activations;
}

const std::vector<PointwiseLayer> &pointwise_layers() {
    static const std::vector<PointwiseLayer> layers = {
        {"elu", "elu", "elu"},
        {"leaky_relu", "leaky_re_lu", "leakyrelu"},
        {"relu", "re_lu", "boundedrelu", "relu"},
    };
    return layers;
}

bool draws(const Chain &chain) {
    return std::ranges::any_of(
        chain, [](const Link &link) { return link.row == "dropout" || link.row == "spatialdropout" || link.row == "noise"; });
}

}  // namespace halcyon
