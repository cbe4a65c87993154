#include "plan/pointwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace halcyon {

const std::vector<PointwiseRow> &pointwise_rows() {
    using enum Beside;
    using enum Exactness;
    static const std::vector<PointwiseRow> rows = {
        // max(value, 0)
        {"relu", {}, 1, exact, false, PointwiseLayer{"relu", "re_lu", "mask", "of", PointwiseLayer::Reads::output}},
        // The gradient of a ReLU's input: value where `of`, the ReLU's output, is positive.
        {"mask", {{"of", element}}, 1, exact},
        // scale * value + shift
        {"affine", {{"scale", channel}, {"shift", channel}}, 2, exact},
        // The same where `of` is what an affine function made the ReLU's input of.
        {"affinemask", {{"of", element}, {"scale", channel}, {"shift", channel}}, 3, exact},
        // The gradient of what a batch norm normalised: value is that of what it made.
        {"normgradient",
         {{"input", element}, {"gamma", channel}, {"mean", channel}, {"inv_std", channel}, {"d_gamma", channel}, {"d_beta", channel}},
         6,
         derived},
        // value + addend
        {"add", {{"addend", element}}, 1, exact},
        // 0 where the element is dropped, else value times the layer's scale. It is its own gradient.
        {"dropout", {{"step", step}}, 1, derived, true},
        // value times that scale: the gradient through a dropout, where a mask behind it drops what was dropped
        {"kept", {{"step", step}}, 1, derived, true},
        // (value - center) * factor
        {"normalise", {{"center", channel}, {"factor", channel}}, 2, derived},
        // The gradient of the logits of softmax and cross-entropy: value is the class's probability.
        {"onehotgradient", {{"labels", labels}, {"indices", indices}, {"step", step}}, 3, derived},
        // That of the logit of sigmoid and binary cross-entropy: value is the logit.
        {"binarygradient", {{"labels", labels}, {"indices", indices}, {"step", step}}, 12, derived},
    };
    return rows;
}

const PointwiseRow &find_row(std::string_view name) {
    const auto row = std::ranges::find(pointwise_rows(), name, &PointwiseRow::name);
    if (row == pointwise_rows().end()) throw std::invalid_argument(fmt::format("there is no pointwise function \"{}\"", name));
    return *row;
}

bool draws(const Chain &chain) { return std::ranges::find(chain, "dropout", &Link::row) != chain.end(); }

}  // namespace halcyon
