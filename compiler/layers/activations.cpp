// Activations.
#include "compiler/layers/types.h"

#include "compiler/graph.h"
#include "compiler/layers/choices.h"
#include "compiler/layers/lower.h"
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

/// A slope below zero for each channel, which is a weight.
class PRelu : public Layer {
public:
    explicit PRelu(Options &options)
        : shared_axes_(options.has("shared_axes") ? options.numbers("shared_axes", 1, 3) : std::vector<double>{}),
          alpha_initializer_(options, "alpha_initializer", "zeros") {
        if (find_initializer(alpha_initializer_.name)->fans != Fans::none)
            throw std::invalid_argument(fmt::format("\"alpha_initializer\" cannot be {}, which is for kernels", alpha_initializer_.name));
    }

    FeatureMap infer() const override {
        require_channels(in[0], "rectify");
        if (in[0].flat && !shared_axes_.empty())
            throw std::invalid_argument("has an alpha for each value of a flat input: nothing is shared");
        if (!in[0].flat && (!shares(1, in[0].h) || !shares(2, in[0].w) || std::ranges::find(shared_axes_, 3) != shared_axes_.end()))
            throw std::invalid_argument("has an alpha for each channel: \"shared_axes\" must be [1, 2], the rows and columns");
        return in[0];
    }

    std::vector<Weight> weights() const override {
        const int c = in[0].c;
        Weight alpha{"alpha", in[0].flat ? std::vector<int>{c} : std::vector<int>{1, 1, c}, {c}, true, alpha_initializer_.name};
        alpha.values = alpha_initializer_.values;
        return {alpha};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int input = inputs[0], alpha = lowering.weight(*this, "alpha"), output = lowering.activation(name, out);
        lowering.apply(name, {"prelu", {{"alpha", alpha}}}, input, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            if (trainable)
                lowering.call(name, "prelu_bwd_alpha", elementwise(in[0]), {{"d_output", d_output}, {"input", input}},
                              {{"d_alpha", lowering.gradient(alpha)}});
            if (!lowering.wants_gradient(input)) return;
            const int d_input = lowering.gradient(input);
            lowering.apply(name, {"prelumask", {{"at", input}, {"alpha", alpha}}}, d_output, d_input);
            lowering.add_gradient(name, input, d_input);
        });
        return output;
    }

private:
    bool shares(int axis, int size) const { return size == 1 || std::ranges::find(shared_axes_, axis) != shared_axes_.end(); }

    std::vector<double> shared_axes_;
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
