#include "generators/pointwise.h"

#include "generators/layers/batch_norm.h"
#include "generators/layers/comparisons.h"
#include "generators/layers/sigmoid_cross_entropy.h"
#include "generators/layers/softmax_cross_entropy.h"
#include "generators/layers/step_values.h"

namespace halcyon {
namespace {

using Halide::Expr;
using Halide::Func;

/// What a row's expression is made of.
struct Operands {
    Link link;
    std::map<std::string, Func> funcs;
    ChainedActivation of;

    const Func &operator[](const char *name) const { return funcs.at(name); }
    Expr element(const char *name, const Place &at) const { return funcs.at(name)(at.c, at.x, at.y, at.n); }
    Expr channel(const char *name, const Place &at) const { return funcs.at(name)(at.c); }
};

BoundLink relu(const Operands &) {
    return {[](const Expr &value, const Place &) { return rectified(value); }, {}, {}};
}

BoundLink mask(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) { return through_relu(operands.element("of", at), value); }, {}, {}};
}

BoundLink affine_mask(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                const Expr affine = operands.channel("scale", at) * operands.element("of", at) + operands.channel("shift", at);
                return through_relu(rectified(affine), value);
            },
            {},
            {}};
}

BoundLink affine(const Operands &operands) {
    return {
        [operands](const Expr &value, const Place &at) { return operands.channel("scale", at) * value + operands.channel("shift", at); },
        {},
        {}};
}

BoundLink norm_gradient(const Operands &operands) {
    const NormGradient gradient(operands["gamma"], operands["mean"], operands["inv_std"], operands["d_gamma"], operands["d_beta"],
                                values_a_channel(operands.of.images, operands.of.width, operands.of.height));
    return {
        [=](const Expr &value, const Place &at) { return gradient(value, operands.element("input", at), at.c); }, {gradient.factors}, {}};
}

BoundLink add(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) { return value + operands.element("addend", at); }, {}, {}};
}

Expr scale_of(const Operands &operands) { return step_float(operands["step"], dropout_scale(operands.link.dropout)); }

BoundLink dropout(const Operands &operands) {
    const DropoutMask mask(operands["step"], operands.link.dropout, operands.of.channels, operands.of.width);
    return {
        [=](const Expr &value, const Place &at) { return select(mask.dropped(at.c, at.x, at.y, at.n), 0.0f, value * scale_of(operands)); },
        {},
        {mask}};
}

BoundLink kept(const Operands &operands) {
    return {[operands](const Expr &value, const Place &) { return value * scale_of(operands); }, {}, {}};
}

BoundLink normalise(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                return (value - operands.channel("center", at)) * operands.channel("factor", at);
            },
            {},
            {}};
}

BoundLink one_hot_gradient(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                return logit_gradient(value, at.c, at.n, operands["labels"], operands["indices"], operands["step"], operands.of.records,
                                      operands.of.words, operands.of.channels);
            },
            {},
            {}};
}

BoundLink binary_gradient(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                return binary_logit_gradient(value, at.n, operands["labels"], operands["indices"], operands["step"], operands.of.records,
                                             operands.of.words);
            },
            {},
            {}};
}

const std::map<std::string, BoundLink (*)(const Operands &), std::less<>> expressions = {
    {"relu", relu},
    {"mask", mask},
    {"affinemask", affine_mask},
    {"affine", affine},
    {"normgradient", norm_gradient},
    {"add", add},
    {"dropout", dropout},
    {"kept", kept},
    {"normalise", normalise},
    {"onehotgradient", one_hot_gradient},
    {"binarygradient", binary_gradient},
};

}  // namespace

BoundLink bind_link(const Link &link, const std::map<std::string, Func> &operands, const ChainedActivation &of) {
    return expressions.at(link.row)(Operands{link, operands, of});
}

}  // namespace halcyon
