// Convolutions, of which a dense layer is one.
#include "compiler/layers/types.h"

#include "compiler/graph.h"
#include "compiler/layers/choices.h"
#include "compiler/layers/lower.h"
#include "compiler/layers/window.h"
#include "plan/initializers.h"
#include "plan/pointwise.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace halcyon {
namespace {

/// The calls of a convolution, which a dense layer is as well, from `input` to `output`.
void lower_convolution(Lowering &lowering, const Layer &layer, Shape shape, int weights, int bias, const RegularizerChoice &regularizer,
                       int input, int output) {
    shape.batch = lowering.batch();
    lowering.call(layer.name, "conv2d_fwd", shape, {{"input", input}, {"weights", weights}, {"bias", bias}}, {{"output", output}});
    const auto lower_weights_gradient = [=, &lowering, &layer](int d_output) {
        const int d_loss = regularizer.is_none() ? lowering.gradient(weights) : lowering.unfinished_gradient(weights);
        lowering.call(layer.name, "conv2d_bwd_weights", shape, {{"input", input}, {"d_output", d_output}},
                      {{"d_weights", d_loss}, {"d_bias", lowering.gradient(bias)}});
        if (!regularizer.is_none())
            lowering.on_gradients([=, &lowering, &layer] {
                const AppliedLink penalty{"penalised", {{"of", weights}}, 0, {regularizer.l1, regularizer.l2}};
                lowering.apply_to_weights(layer.name, penalty, shape, d_loss, lowering.gradient(weights));
            });
    };
    lowering.on_backward(output, [=, &lowering, &layer](int d_output) {
        // The weights first: the input dies here, and its gradient may take its place.
        if (layer.trainable) lower_weights_gradient(d_output);
        if (!lowering.wants_gradient(input)) return;
        const int d_input = lowering.gradient(input);
        lowering.call(layer.name, "conv2d_bwd_data", shape, {{"d_output", d_output}, {"weights", weights}}, {{"d_input", d_input}});
        lowering.add_gradient(layer.name, input, d_input);
    });
}

/// What a layer's options say of one of its kernels.
struct KernelChoice {
    InitializerChoice initializer;
    RegularizerChoice regularizer;
    std::optional<Constraint> constraint;

    /// `rank`: the axes of the kernel.
    KernelChoice(Options &options, const std::string &prefix, int rank)
        : initializer(options, (prefix + "_initializer").c_str(), "glorot_uniform"),
          regularizer(options, (prefix + "_regularizer").c_str()),
          constraint(read_constraint(options, (prefix + "_constraint").c_str(), rank)) {}

    Weight started(Weight kernel) const {
        kernel.initializer = initializer.name, kernel.values = initializer.values, kernel.constraint = constraint;
        return kernel;
    }
};

/// What all convolutions share: a kernel, whose options begin with `prefix`, a bias and an activation.
class Convolution : public Layer {
public:
    /// `rank`: the axes of its kernel.
    explicit Convolution(Options &options, const std::string &prefix = "kernel", int rank = 4)
        : use_bias_(options.flag("use_bias", true)), activation_(options), kernel_choice_(options, prefix, rank),
          bias_initializer_(options, "bias_initializer", "zeros") {}

    std::vector<Weight> weights() const override {
        const Weight weight = kernel_choice_.started(kernel());
        std::vector<Weight> weights = {weight};
        if (use_bias_) {
            Weight bias{"bias", {out.c}, {out.c}, true, bias_initializer_.name};
            bias.values = bias_initializer_.values;
            const Fans fans = find_initializer(bias.initializer)->fans;
            if (fans == Fans::own) bias.fan_in = bias.fan_out = out.c;
            if (fans == Fans::of_kernel) bias.fan_in = weight.fan_in, bias.fan_out = weight.fan_out;
            weights.push_back(bias);
        }
        return weights;
    }

    std::string activation() const override { return activation_.name; }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int weights = lowering.weight(*this, kernel().name);
        const int bias = use_bias_ ? lowering.weight(*this, "bias") : lowering.constant(*this, "bias", Home::zeros, {out.c});
        const int linear = lowering.activation(activation_.name == "linear" ? name : name + "/linear", out);
        lower_convolution(lowering, *this, shape(), weights, bias, kernel_choice_.regularizer, inputs[0], linear);
        return lower_activation(lowering, *this, activation_, linear);
    }

protected:
    /// Its sizes; what it begins as is this class'.
    virtual Weight kernel() const = 0;
    virtual Shape shape() const = 0;

private:
    bool use_bias_;
    ActivationChoice activation_;
    KernelChoice kernel_choice_;
    InitializerChoice bias_initializer_;
};

Window read_window(Options &options) {
    Window window{"kernel", options.sizes("kernel_size"), options.sizes("strides", {1, 1}), read_padding(options)};
    window.dilation = options.sizes("dilation_rate", {1, 1});
    return window;
}

class Conv2d : public Convolution {
public:
    explicit Conv2d(Options &options)
        : Convolution(options), filters_(options.size("filters")), groups_(options.size("groups", 1)), window_(read_window(options)) {}

    FeatureMap infer() const override {
        require_spatial(in[0]);
        if (in[0].c % groups_ || filters_ % groups_)
            throw std::invalid_argument(
                fmt::format("\"groups\" must divide its {} input channels and {} filters, not {}", in[0].c, filters_, groups_));
        return {shape().out_h, shape().out_w, filters_};
    }

protected:
    Weight kernel() const override {
        const auto [h, w] = window_.size;
        const int c = in[0].c / groups_;
        const std::int64_t taps = std::int64_t(h) * w;
        return {"kernel", {h, w, c, filters_}, {filters_, c, w, h}, true, "", taps * c, taps * filters_};
    }

    Shape shape() const override {
        Shape shape = window_.over(in[0], filters_);
        shape.groups = groups_;
        return shape;
    }

private:
    int filters_, groups_;
    Window window_;
};

/// Windows that make `multiplier` outputs of each channel: a convolution in as many groups as there are channels. Keras's kernel, (h, w, c,
/// multiplier), lies in memory as such a convolution's.
struct Depthwise {
    Window window;
    int multiplier;

    explicit Depthwise(Options &options) : window(read_window(options)), multiplier(options.size("depth_multiplier", 1)) {}

    FeatureMap outputs(const FeatureMap &in) const {
        require_spatial(in);
        const std::int64_t channels = std::int64_t{in.c} * multiplier;
        if (channels > largest_size) throw std::invalid_argument(fmt::format("makes {} channels; the most is {}", channels, largest_size));
        const Shape made = shape(in);
        return {made.out_h, made.out_w, made.out_c};
    }

    Weight kernel(const std::string &name, const FeatureMap &in) const {
        const auto [h, w] = window.size;
        const std::int64_t taps = std::int64_t(h) * w;
        return {name, {h, w, in.c, multiplier}, {in.c * multiplier, 1, w, h}, true, "", taps * in.c, taps * multiplier};
    }

    Shape shape(const FeatureMap &in) const {
        Shape shape = window.over(in, in.c * multiplier);
        shape.groups = in.c;
        return shape;
    }
};

class DepthwiseConv2d : public Convolution {
public:
    explicit DepthwiseConv2d(Options &options) : Convolution(options, "depthwise"), depthwise_(options) {}

    FeatureMap infer() const override { return depthwise_.outputs(in[0]); }

protected:
    Weight kernel() const override { return depthwise_.kernel("kernel", in[0]); }
    Shape shape() const override { return depthwise_.shape(in[0]); }

private:
    Depthwise depthwise_;
};

/// A depthwise convolution without bias, and one with windows of one tap on what it makes.
class SeparableConv2d : public Convolution {
public:
    explicit SeparableConv2d(Options &options)
        : Convolution(options, "pointwise"), filters_(options.size("filters")), depthwise_(options),
          depthwise_choice_(options, "depthwise", 4) {}

    FeatureMap infer() const override {
        const FeatureMap between = depthwise_.outputs(in[0]);
        return {between.h, between.w, filters_};
    }

    std::vector<Weight> weights() const override {
        std::vector<Weight> weights = Convolution::weights();
        weights.insert(weights.begin(), depthwise_choice_.started(depthwise_.kernel("depthwise_kernel", in[0])));
        return weights;
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const FeatureMap between = depthwise_.outputs(in[0]);
        const int weights = lowering.weight(*this, "depthwise_kernel");
        const int bias = lowering.constant(*this, "depthwise_bias", Home::zeros, {between.c});
        const int output = lowering.activation(name + "/depthwise", between);
        lower_convolution(lowering, *this, depthwise_.shape(in[0]), weights, bias, depthwise_choice_.regularizer, inputs[0], output);
        return Convolution::lower(lowering, {output});
    }

protected:
    Weight kernel() const override {
        const int c = depthwise_.outputs(in[0]).c;
        return {"pointwise_kernel", {1, 1, c, filters_}, {filters_, c, 1, 1}, true, "", c, filters_};
    }

    Shape shape() const override { return Window{"kernel", {1, 1}, {1, 1}}.over(depthwise_.outputs(in[0]), filters_); }

private:
    int filters_;
    Depthwise depthwise_;
    KernelChoice depthwise_choice_;
};

/// A convolution whose kernel covers its whole input where that is flat: Keras's (h*w*c, units) lies in memory as (h, w, c, units). Of rows
/// and columns the kernel covers a pixel.
class Dense : public Convolution {
public:
    explicit Dense(Options &options) : Convolution(options, "kernel", 2), units_(options.size("units")) {}

    FeatureMap infer() const override { return {shape().out_h, shape().out_w, units_, in[0].flat}; }

protected:
    Weight kernel() const override {
        const auto [h, w] = window();
        const int features = h * w * in[0].c;
        return {"kernel", {features, units_}, {units_, in[0].c, w, h}, true, "", features, units_};
    }

    Shape shape() const override { return Window{"kernel", window(), {1, 1}}.over(in[0], units_); }

private:
    std::array<int, 2> window() const { return in[0].flat ? std::array{in[0].h, in[0].w} : std::array{1, 1}; }

    int units_;
};

}  // namespace

LayerTypes convolutions() {
    return {
        {"conv2d", layer_type<Conv2d>("conv2d")},
        {"dense", layer_type<Dense>("dense")},
        {"depthwise_conv2d", layer_type<DepthwiseConv2d>("depthwise_conv2d")},
        {"separable_conv2d", layer_type<SeparableConv2d>("separable_conv2d")},
    };
}

}  // namespace halcyon
