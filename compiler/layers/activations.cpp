// Activations.
#include "compiler/layers/types.h"

#include "compiler/graph.h"
#include "compiler/layers/choices.h"
#include "compiler/layers/lower.h"
#include "compiler/layers/window.h"
#include "plan/initializers.h"
#include "plan/pointwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace halcyon {
namespace {

/// One row of plan/pointwise.cpp, whose constants are its options.
class Pointwise : public Layer {
public:
    Pointwise(const PointwiseLayer &type, Options &options) : link_{type.row} {
        bool is_plain = !type.plain_row.empty();
        for (const RowConstant &constant : find_row(type.row).constants) {
            link_.constants.push_back(float(options.number(constant.name.c_str(), constant.otherwise, constant.low, constant.high)));
            is_plain = is_plain && link_.constants.back() == float(constant.otherwise);
        }
        if (is_plain) link_ = {type.plain_row};
    }

    FeatureMap infer() const override { return in[0]; }
    int lower(Lowering &lowering, const std::vector<int> &inputs) const override { return lower_row(lowering, *this, link_, inputs[0]); }

private:
    Link link_;
};

/// A slope below zero, which is a weight: of each unit, of each channel, or of those that axes share.
class PRelu : public Layer {
public:
    explicit PRelu(Options &options)
        : shared_axes_(options.axes("shared_axes", 1, 3, {})), alpha_initializer_(options, "alpha_initializer", "zeros") {
        if (find_initializer(alpha_initializer_.name)->fans != Fans::none)
            throw std::invalid_argument(fmt::format("\"alpha_initializer\" cannot be {}, which is for kernels", alpha_initializer_.name));
    }

    FeatureMap infer() const override {
        if (in[0].flat && !shared_axes_.empty() && shared_axes_ != std::vector{1})
            throw std::invalid_argument("has a flat input: \"shared_axes\" must be [1] or none");
        return in[0];
    }

    std::vector<Weight> weights() const override {
        const auto [h, w, c, _] = of_alpha();
        Weight alpha{"alpha", in[0].flat ? std::vector{h * w * c} : std::vector{h, w, c}, {c, w, h}, true, alpha_initializer_.name};
        if (is_of_channels()) alpha.extents = {c};
        alpha.values = alpha_initializer_.values;
        return {alpha};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const std::string unit = is_of_channels() ? "" : "unit";
        const int input = inputs[0], alpha = alpha_of_units(lowering), output = lowering.activation(name, out);
        lowering.apply(name, {unit + "prelu", {{"alpha", alpha}}}, input, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            if (trainable) {
                const int d_alpha = lowering.gradient(alpha);
                lowering.call(name, is_of_channels() ? "prelu_bwd_alpha" : "prelu_bwd_unit_alpha", elementwise(in[0]),
                              {{"d_output", d_output}, {"input", input}}, {{"d_alpha", d_alpha}});
                lowering.add_gradient(name, alpha, d_alpha);
            }
            if (!lowering.wants_gradient(input)) return;
            const int d_input = lowering.gradient(input);
            lowering.apply(name, {unit + "prelumask", {{"at", input}, {"alpha", alpha}}}, d_output, d_input);
            lowering.add_gradient(name, input, d_input);
        });
        return output;
    }

private:
    /// The sizes of alpha. Where the input is flat, its one axis are rows, columns and channels.
    FeatureMap of_alpha() const {
        const auto size = [&](int axis, int whole) { return std::ranges::find(shared_axes_, axis) == shared_axes_.end() ? whole : 1; };
        const auto [h, w, c, flat] = in[0];
        return {size(1, h), size(flat ? 1 : 2, w), size(flat ? 1 : 3, c), flat};
    }

    bool is_of_channels() const {
        const auto [h, w, c, _] = of_alpha();
        return h == 1 && w == 1 && c == in[0].c;
    }

    /// The alpha of each channel or unit: the weight, or what makes it of one that they share.
    int alpha_of_units(Lowering &lowering) const {
        const int alpha = lowering.weight(*this, "alpha");
        const auto [h, w, c, _] = of_alpha();
        if (is_of_channels() || of_alpha() == in[0]) return alpha;
        const Shape sharing = Window{"window", {in[0].h / h, in[0].w / w}, {1, 1}}.over(in[0], c);
        const int units = lowering.units(name + "/alphas", in[0]);
        lowering.call(name, "shared_weights", sharing, {{"shared", alpha}}, {{"units", units}});
        lowering.on_backward(units, [=, this, &lowering](int d_units) {
            lowering.call(name, "shared_weights_bwd", sharing, {{"d_units", d_units}}, {{"d_shared", lowering.gradient(alpha)}});
        });
        return units;
    }

    std::vector<int> shared_axes_;
    InitializerChoice alpha_initializer_;
};

class ActivationLayer : public Layer {
public:
    explicit ActivationLayer(Options &options) : activation_(required(options)) {}

    FeatureMap infer() const override {
        if (activation_.name == "softmax") require_channels(in[0], "take the softmax of");
        return in[0];
    }
    std::string activation() const override { return activation_.name; }
    bool hands_on() const override { return activation_.name == "linear"; }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        return lower_activation(lowering, *this, activation_, inputs[0]);
    }

protected:
    explicit ActivationLayer(ActivationChoice activation) : activation_(std::move(activation)) {}

private:
    static Options &required(Options &options) {
        if (!options.holds_object("activation")) options.text("activation");
        return options;
    }

    ActivationChoice activation_;
};

class Softmax : public ActivationLayer {
public:
    explicit Softmax(Options &options) : ActivationLayer(ActivationChoice("softmax")), axis_(options) {}

    FeatureMap infer() const override {
        axis_.check(in[0]);
        return ActivationLayer::infer();
    }

private:
    ChannelAxis axis_;
};

}  // namespace

LayerTypes activations() {
    LayerTypes types = {
        {"activation", layer_type<ActivationLayer>("activation")},
        {"prelu", layer_type<PRelu>("p_re_lu")},
        {"softmax", layer_type<Softmax>("softmax")},
    };
    for (const PointwiseLayer &layer : pointwise_layers())
        types[layer.type] = {layer.keras_name, [&layer](Options &options) { return std::make_unique<Pointwise>(layer, options); }};
    return types;
}

}  // namespace halcyon
