#include "generators/pointwise.h"

#include "generators/layers/activations.h"
#include "generators/layers/batch_norm.h"
#include "generators/layers/comparisons.h"
#include "generators/layers/noise.h"
#include "generators/layers/sigmoid_cross_entropy.h"
#include "generators/layers/softmax_cross_entropy.h"
#include "generators/layers/step_values.h"
#include "generators/layers/targets_loss.h"

#include <algorithm>
#include <cmath>
#include <string_view>

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
    Expr image(const char *name, const Place &at) const { return funcs.at(name)(at.c, 0, 0, at.n); }
    Expr channel(const char *name, const Place &at) const { return funcs.at(name)(at.c); }

    /// A float for each channel, or for each unit.
    Expr weight(const char *name, const Place &at) const {
        return funcs.at(name).dimensions() == 1 ? channel(name, at) : funcs.at(name)(at.c, at.x, at.y);
    }

    float constant(std::string_view name) const {
        const std::vector<RowConstant> &constants = find_row(link.row).constants;
        return link.constants.at(std::size_t(std::ranges::find(constants, name, &RowConstant::name) - constants.begin()));
    }
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
    return {[operands](const Expr &value, const Place &at) { return operands.weight("scale", at) * value + operands.weight("shift", at); },
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

BoundLink subtract(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) { return value - operands.element("subtrahend", at); }, {}, {}};
}

BoundLink multiply(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) { return value * operands.element("by", at); }, {}, {}};
}

BoundLink gate(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) { return value * operands.image("by", at); }, {}, {}};
}

BoundLink times(const Operands &operands) {
    const float factor = operands.constant("factor");
    return {[factor](const Expr &value, const Place &) { return value * factor; }, {}, {}};
}

/// NaN where either is.
BoundLink maximum(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                const Expr other = operands.element("other", at);
                return unless_not_a_number(value, chosen(comparable(value) > comparable(other), value, other));
            },
            {},
            {}};
}

BoundLink larger(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                const Expr margin = operands.element("margin", at);
                const Expr passes = chosen(is_above(margin, 0), value, 0.0f);
                return unless_not_a_number(margin, chosen(magnitude_bits(margin) == 0, 0.5f * value, passes));
            },
            {},
            {}};
}

Expr scale_of(const Operands &operands) { return step_float(operands["step"], dropout_scale(operands.link.number)); }

template<bool spatial>
BoundLink dropout(const Operands &operands) {
    const DropoutMask mask(operands["step"], operands.link.number, spatial, operands.of.channels, operands.of.width);
    return {
        [=](const Expr &value, const Place &at) { return select(mask.dropped(at.c, at.x, at.y, at.n), 0.0f, value * scale_of(operands)); },
        {},
        {mask}};
}

BoundLink with_noise(const Operands &operands) {
    const float stddev = operands.constant("stddev");
    return {[=](const Expr &value, const Place &at) {
                return value + stddev * noise(operands["step"], operands.link.number, operands.of.channels, operands.of.width, at.c, at.x,
                                              at.y, at.n);
            },
            {},
            {}};
}

BoundLink kept(const Operands &operands) {
    return {[operands](const Expr &value, const Place &) { return value * scale_of(operands); }, {}, {}};
}

BoundLink penalised(const Operands &operands) {
    const float l1 = operands.constant("l1"), l2 = operands.constant("l2");
    return {[=](const Expr &value, const Place &at) {
                const Expr of = operands.element("of", at);
                const Expr sign = unless_not_a_number(of, select(magnitude_bits(of) == 0, 0.0f, bits_of(of) < 0, -1.0f, 1.0f));
                Expr sum = value;
                if (l1 != 0) sum += l1 * sign;
                if (l2 != 0) sum += (2 * l2) * of;
                return sum;
            },
            {},
            {}};
}

BoundLink normalise(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                return (value - operands.channel("center", at)) * operands.channel("factor", at);
            },
            {},
            {}};
}

/// Of a loss's labels; 0 where the row has none.
float label_smoothing_of(const Operands &operands) { return operands.link.constants.empty() ? 0 : operands.constant("label_smoothing"); }

BoundLink one_hot_gradient(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                return logit_gradient(value, at.c, at.n, operands["labels"], operands["indices"], operands["step"], operands.of.records,
                                      operands.of.words, operands.of.channels, label_smoothing_of(operands));
            },
            {},
            {}};
}

BoundLink binary_gradient(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                return binary_logit_gradient(value, at.n, operands["labels"], operands["indices"], operands["step"], operands.of.records,
                                             operands.of.words, label_smoothing_of(operands));
            },
            {},
            {}};
}

Expr target_at(const Operands &operands, const Place &at) {
    return target_of(operands["targets"], operands["indices"], operands.of.records, at.c, at.n);
}

BoundLink cross_entropy_gradient(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                return unit_logit_gradient(value, target_at(operands, at), label_smoothing_of(operands)) *
                       unit_share(operands["step"], operands.of.channels);
            },
            {},
            {}};
}

BoundLink squared_error_gradient(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                return 2.0f * (value - target_at(operands, at)) * unit_share(operands["step"], operands.of.channels);
            },
            {},
            {}};
}

/// What a value goes through without operands.
template<Expr (*function)(const Expr &)>
BoundLink of_value(const Operands &) {
    return {[](const Expr &value, const Place &) { return function(value); }, {}, {}};
}

/// The gradient times the slope, which `slope` makes of the operand for each element.
template<Expr (*slope)(const Expr &)>
BoundLink times_slope(const Operands &operands) {
    const std::string operand = find_row(operands.link.row).operands.front().name;
    return {[=](const Expr &value, const Place &at) { return value * slope(operands.element(operand.c_str(), at)); }, {}, {}};
}

/// slope * x, and 0 of infinity where the slope is 0.
Expr leaked(const Expr &x, float slope) { return slope == 0 ? Expr(0.0f) : slope * x; }

BoundLink leaky_relu(const Operands &operands) {
    const float slope = operands.constant("negative_slope");
    return {[=](const Expr &value, const Place &) {
                return unless_not_a_number(value, chosen(is_above(value, 0), value, leaked(value, slope)));
            },
            {},
            {}};
}

BoundLink leaky_mask(const Operands &operands) {
    const float slope = operands.constant("negative_slope");
    return {[=](const Expr &value, const Place &at) {
                const Expr of = operands.element("of", at);
                return value * unless_not_a_number(of, select(is_above(of, 0), 1.0f, slope));
            },
            {},
            {}};
}

BoundLink prelu(const Operands &operands) {
    return {
        [operands](const Expr &value, const Place &at) { return chosen(is_above(value, 0), value, operands.weight("alpha", at) * value); },
        {},
        {}};
}

BoundLink prelu_mask(const Operands &operands) {
    return {[operands](const Expr &value, const Place &at) {
                const Expr of = operands.element("at", at);
                return value * unless_not_a_number(of, chosen(is_above(of, 0), 1.0f, operands.weight("alpha", at)));
            },
            {},
            {}};
}

/// Whether x, which is no NaN, reaches `most`, which may be infinite: then nothing does.
Expr reaches(const Expr &x, float most) { return std::isinf(most) ? Expr(false) : bits_of(x) >= bits_of(Expr(most)); }

BoundLink bounded_relu(const Operands &operands) {
    const float most = operands.constant("max_value"), slope = operands.constant("negative_slope"),
                threshold = operands.constant("threshold");
    return {[=](const Expr &value, const Place &) {
                const Expr above = chosen(reaches(value, most), most, value);
                return unless_not_a_number(value, chosen(is_above(value, threshold), above, leaked(value - threshold, slope)));
            },
            {},
            {}};
}

BoundLink bounded_mask(const Operands &operands) {
    const float most = operands.constant("max_value"), slope = operands.constant("negative_slope");
    return {[=](const Expr &value, const Place &at) {
                const Expr of = operands.element("of", at);
                return value * unless_not_a_number(of, select(reaches(of, most), 0.0f, is_above(of, 0), 1.0f, slope));
            },
            {},
            {}};
}

// Klambauer et al., Self-normalizing neural networks, 2017.
constexpr float selu_scale = 1.05070098f, selu_alpha = 1.67326324f;

/// scale * value where that is positive, else scale * alpha * (exp(value) - 1).
BoundLink exponential_linear(float scale, float alpha) {
    return {[=](const Expr &value, const Place &) {
                return chosen(is_above(value, 0), scale * value, scale * alpha * exponential_minus_one(value));
            },
            {},
            {}};
}

BoundLink exponential_linear_gradient(const Operands &operands, float scale, float alpha) {
    return {[=](const Expr &value, const Place &at) {
                const Expr of = operands.element("of", at);
                return value * unless_not_a_number(of, select(is_above(of, 0), scale, of + scale * alpha));
            },
            {},
            {}};
}

BoundLink elu(const Operands &operands) { return exponential_linear(1, operands.constant("alpha")); }
BoundLink elu_gradient(const Operands &operands) { return exponential_linear_gradient(operands, 1, operands.constant("alpha")); }
BoundLink selu(const Operands &) { return exponential_linear(selu_scale, selu_alpha); }
BoundLink selu_gradient(const Operands &operands) { return exponential_linear_gradient(operands, selu_scale, selu_alpha); }

// Values of activations, and slopes of what their gradients read.

Expr silu(const Expr &x) { return x * sigmoid(x); }
Expr gelu(const Expr &x) { return x * normal_share(x); }
Expr soft_sign(const Expr &x) { return x / (1.0f + magnitude(x)); }
Expr hard_silu(const Expr &x) { return x * hard_sigmoid(x); }

Expr sigmoid_slope(const Expr &of) { return of * (1.0f - of); }
Expr tanh_slope(const Expr &of) { return (1.0f - of) * (1.0f + of); }
Expr itself(const Expr &of) { return of; }
Expr silu_slope(const Expr &x) { return sigmoid(x) * (1.0f + x * sigmoid(-x)); }
Expr gelu_slope(const Expr &x) { return normal_share(x) + 0.398942280f * x * exponential(-0.5f * x * x); }

/// x times the share that the approximation takes: sigmoid(2 u) = (1 + tanh(u)) / 2 for u = sqrt(2 / pi) (x + 0.044715 x^3).
Expr approximate_gelu(const Expr &x) { return x * sigmoid(x * (1.59576912f + 0.0713548162f * x * x)); }

/// 0 far below, 1 far above: within 1e-30 at 10.
Expr approximate_gelu_slope(const Expr &x) {
    const Expr at = clamp(x, -10.0f, 10.0f), square = at * at;
    const Expr twice_u = at * (1.59576912f + 0.0713548162f * square), share = sigmoid(twice_u);
    return unless_not_a_number(x, share + at * share * sigmoid(-twice_u) * (1.59576912f + 0.214064449f * square));
}

Expr soft_sign_slope(const Expr &x) {
    const Expr inverse = 1.0f / (1.0f + magnitude(x));
    return inverse * inverse;
}

/// 1 / 6 where the output lies between 0 and 1.
Expr hard_sigmoid_slope(const Expr &of) { return unless_not_a_number(of, select(is_above(of, 0) && !reaches(of, 1), 1.0f / 6, 0.0f)); }

/// 0 up to -3, 1 from 3.
Expr hard_silu_slope(const Expr &x) {
    const Expr at = clamp(x, -3.0f, 3.0f);
    return unless_not_a_number(x, select(at == -3.0f, 0.0f, at == 3.0f, 1.0f, at / 3.0f + 0.5f));
}

const std::map<std::string, BoundLink (*)(const Operands &), std::less<>> expressions = {
    {"relu", relu},
    {"mask", mask},
    {"leakyrelu", leaky_relu},
    {"leakymask", leaky_mask},
    {"prelu", prelu},
    {"prelumask", prelu_mask},
    {"unitprelu", prelu},
    {"unitprelumask", prelu_mask},
    {"boundedrelu", bounded_relu},
    {"boundedmask", bounded_mask},
    {"elu", elu},
    {"elugradient", elu_gradient},
    {"selu", selu},
    {"selugradient", selu_gradient},
    {"sigmoid", of_value<sigmoid>},
    {"sigmoidgradient", times_slope<sigmoid_slope>},
    {"tanh", of_value<hyperbolic_tangent>},
    {"tanhgradient", times_slope<tanh_slope>},
    {"exponential", of_value<exponential>},
    {"exponentialgradient", times_slope<itself>},
    {"silu", of_value<silu>},
    {"silugradient", times_slope<silu_slope>},
    {"gelu", of_value<gelu>},
    {"gelugradient", times_slope<gelu_slope>},
    {"approximategelu", of_value<approximate_gelu>},
    {"approximategelugradient", times_slope<approximate_gelu_slope>},
    {"softplus", of_value<soft_plus>},
    {"softplusgradient", times_slope<sigmoid>},
    {"softsign", of_value<soft_sign>},
    {"softsigngradient", times_slope<soft_sign_slope>},
    {"hardsigmoid", of_value<hard_sigmoid>},
    {"hardsigmoidgradient", times_slope<hard_sigmoid_slope>},
    {"hardsilu", of_value<hard_silu>},
    {"hardsilugradient", times_slope<hard_silu_slope>},
    {"affinemask", affine_mask},
    {"affine", affine},
    {"unitaffine", affine},
    {"normgradient", norm_gradient},
    {"add", add},
    {"subtract", subtract},
    {"multiply", multiply},
    {"gate", gate},
    {"times", times},
    {"maximum", maximum},
    {"larger", larger},
    {"dropout", dropout<false>},
    {"spatialdropout", dropout<true>},
    {"kept", kept},
    {"noise", with_noise},
    {"penalised", penalised},
    {"normalise", normalise},
    {"onehotgradient", one_hot_gradient},
    {"binarygradient", binary_gradient},
    {"smoothedonehotgradient", one_hot_gradient},
    {"smoothedbinarygradient", binary_gradient},
    {"crossentropygradient", cross_entropy_gradient},
    {"squarederrorgradient", squared_error_gradient},
};

}  // namespace

BoundLink bind_link(const Link &link, const std::map<std::string, Func> &operands, const ChainedActivation &of) {
    return expressions.at(link.row)(Operands{link, operands, of});
}

}  // namespace halcyon
