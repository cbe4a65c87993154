#include "compiler/layers.h"

#include "compiler/graph.h"
#include "plan/initializers.h"
#include "plan/shape.h"
#include "plan/step.h"
#include "plan/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <stdexcept>

namespace halcyon {
namespace {

/// What numbers that images are rescaled or normalised by may have at most; a scale's inverse too.
constexpr double most_value = 1e12;

/// Of flattened rows and columns Keras takes every value for a channel.
void require_channels(const FeatureMap &in, const char *verb) {
    if (in.flat && (in.h > 1 || in.w > 1))
        throw std::invalid_argument(fmt::format("cannot {} what flatten made of rows and columns; put it before the flatten", verb));
}

void require_spatial(const FeatureMap &in) {
    if (in.flat) throw std::invalid_argument(fmt::format("needs rows, columns and channels, but its input is flat ({})", to_string(in)));
}

/// Rows above and below, columns left and right of a layer's input, or as many as "same" asks for.
struct Padding {
    bool same = false;
    int top = 0, bottom = 0, left = 0, right = 0;

    static Padding of(const std::array<int, 4> &margins) { return {false, margins[0], margins[1], margins[2], margins[3]}; }
    int largest_of_rows() const { return std::max(top, bottom); }
    int largest_of_columns() const { return std::max(left, right); }
};

/// The window of a convolution or a pool, as a model file names it.
struct Window {
    std::string what;  // "kernel" or "pool", for messages
    std::array<int, 2> size;
    std::array<int, 2> strides;
    Padding padding = {};
    bool ceil_mode = false;  // PyTorch's: a last window may reach beyond the padding, but does not begin there
    std::array<int, 2> dilation = {1, 1};

    /// The sizes and padding of a kernel, by Keras's rules. Throws std::invalid_argument where the window does not fit.
    Shape over(const FeatureMap &in, int out_c) const {
        const std::int64_t taps = std::int64_t{size[0]} * size[1];
        if (taps > most_floats) throw std::invalid_argument(fmt::format("{} has {} taps; the most is {}", name(), taps, most_floats));
        Shape shape = elementwise(in);
        shape.out_c = out_c;
        shape.kernel_h = size[0], shape.kernel_w = size[1];
        shape.stride_h = strides[0], shape.stride_w = strides[1];
        shape.dilation_h = dilation[0], shape.dilation_w = dilation[1];
        const std::array<int, 2> spans = {span(0), span(1)};
        if (padding.same) {
            shape.out_h = (in.h + strides[0] - 1) / strides[0];
            shape.out_w = (in.w + strides[1] - 1) / strides[1];
            // The smaller half of the padding comes first.
            shape.pad_top = std::max((shape.out_h - 1) * strides[0] + spans[0] - in.h, 0) / 2;
            shape.pad_left = std::max((shape.out_w - 1) * strides[1] + spans[1] - in.w, 0) / 2;
        } else {
            // Every window holds a value, so that a pool has something to take the maximum or the mean of.
            if (padding.largest_of_rows() >= spans[0] || padding.largest_of_columns() >= spans[1])
                throw std::invalid_argument(fmt::format("\"padding\" must be smaller than {}", name()));
            const int rows = padding.top + in.h + padding.bottom, columns = padding.left + in.w + padding.right;
            if (spans[0] > rows || spans[1] > columns)
                throw std::invalid_argument(fmt::format("{} does not fit in its {}x{} input", name(), rows, columns));
            shape.out_h = windows(rows, spans[0], strides[0], padding.top + in.h);
            shape.out_w = windows(columns, spans[1], strides[1], padding.left + in.w);
            shape.pad_top = padding.top, shape.pad_left = padding.left;
        }
        return shape;
    }

    /// How many windows fit in so much; of those that reach beyond, the last begins before `end`.
    int windows(int extent, int size, int stride, int end) const {
        const int whole = (extent - size) / stride + 1;
        const bool one_more = ceil_mode && (extent - size) % stride > 0 && whole * stride < end;
        return one_more ? whole + 1 : whole;
    }

    /// The rows (axis 0) or columns from the first tap to the last.
    int span(int axis) const {
        const std::int64_t span = (std::int64_t{size[axis]} - 1) * dilation[axis] + 1;
        if (span > largest_size) throw std::invalid_argument(fmt::format("{} spans {} pixels; the most is {}", name(), span, largest_size));
        return int(span);
    }

    /// "pool 2", "kernel 1x3", "kernel 3 dilated by 2".
    std::string name() const {
        const auto sizes = [](const std::array<int, 2> &of) {
            return of[0] == of[1] ? fmt::to_string(of[0]) : fmt::format("{}x{}", of[0], of[1]);
        };
        const bool dilated = dilation[0] > 1 || dilation[1] > 1;
        return fmt::format("{} {}{}", what, sizes(size), dilated ? " dilated by " + sizes(dilation) : "");
    }
};

Padding read_padding(Options &options) {
    if (options.holds_array("padding")) return Padding::of(options.margins("padding"));
    return {.same = options.choice("padding", {"valid", "same"}, "valid") == "same"};
}

/// The activation that a layer goes through: by its name, or {"type": name, its options}.
struct ActivationChoice {
    std::string name;
    std::optional<Link> link = {};  // none of linear, nor of softmax

    explicit ActivationChoice(Options &options) {
        std::vector<std::string> names = {"linear"};
        for (const Activation &activation : all_activations()) names.push_back(activation.name);
        names.push_back("softmax");
        NamedOptions chosen(options, "activation", names, "linear");
        name = chosen.name;
        if (const Activation *activation = row())
            link = activation->approximate && chosen.own.flag("approximate", false) ? activation->approximate : activation->link;
        chosen.own.finish();
    }

    explicit ActivationChoice(std::string name) : name(std::move(name)) {}

private:
    const Activation *row() const {
        const auto found = std::ranges::find(all_activations(), name, &Activation::name);
        return found == all_activations().end() ? nullptr : &*found;
    }
};

/// The "axis" of layers over the channels, which are the last.
class ChannelAxis {
public:
    explicit ChannelAxis(Options &options) : axis_(options.has("axis") ? options.numbers("axis", -1, 3) : std::vector<double>{-1}) {}

    void check(const FeatureMap &in) const {
        if (axis_.size() > 1 || (axis_[0] != -1 && axis_[0] != (in.flat ? 1 : 3)))
            throw std::invalid_argument("\"axis\" must be -1, the channels");
    }

private:
    std::vector<double> axis_;
};

/// What a weight begins as: by the name of an initializer, or {"type": name, its options}.
struct InitializerChoice {
    std::string name;
    std::vector<float> values = {};  // Parameter::values

    InitializerChoice(Options &options, const char *key, const std::string &otherwise) {
        std::vector<std::string> names;
        for (const Initializer &initializer : all_initializers()) names.push_back(initializer.name);
        NamedOptions chosen(options, key, names, otherwise);
        name = chosen.name;
        for (const InitializerOption &option : find_initializer(name)->options)
            values.push_back(float(chosen.own.number(option.name.c_str(), option.otherwise, option.low, option.high)));
        chosen.own.finish();
    }
};

/// What a weight adds to the loss, l1 |w| + l2 w^2.
struct RegularizerChoice {
    float l1 = 0, l2 = 0;

    RegularizerChoice(Options &options, const char *key) {
        if (!options.has(key)) return;
        NamedOptions type(options, key, {"l1", "l2", "l1_l2"});
        const auto factor = [&](const char *name) {
            return float(type.own.number(name, type.name == name ? 0.01 : 0, 0, find_row("penalised").constants.front().high));
        };
        if (type.name != "l2") l1 = factor("l1");
        if (type.name != "l1") l2 = factor("l2");
        type.own.finish();
    }

    bool is_none() const { return l1 == 0 && l2 == 0; }
};

/// What a weight is held to.
std::optional<Constraint> read_constraint(Options &options, const char *key, int rank) {
    if (!options.has(key)) return {};
    const std::vector<std::string> names(constraint_names.begin(), constraint_names.end());
    auto [own, name] = NamedOptions(options, key, names);
    Constraint constraint{Constraint::Type(std::ranges::find(names, name) - names.begin())};
    if (constraint.type == Constraint::Type::max_norm) constraint.max_value = float(own.number("max_value", 2, 0, most_value));
    if (constraint.type != Constraint::Type::non_neg) constraint.axes = own.axes("axis", rank, {0});
    own.finish();
    return constraint;
}

int lower_row(Lowering &lowering, const Layer &layer, const Link &link, int input) {
    const int output = lowering.activation(layer.name, layer.out);
    lowering.apply(layer.name, {.row = link.row, .constants = link.constants}, input, output);
    lowering.on_backward(output, [=, &lowering, &layer](int d_output) {
        const RowGradient &gradient = *find_row(link.row).gradient;
        const int d_input = lowering.gradient(input), read = gradient.reads == RowGradient::Reads::output ? output : input;
        lowering.apply(layer.name, {.row = gradient.row, .operands = {{gradient.operand, read}}, .constants = link.constants}, d_output,
                       d_input);
        lowering.add_gradient(layer.name, input, d_input);
    });
    return output;
}

/// A call with one input and one output, whatever it names them, and the call that takes the gradient back. That may read either again, by
/// the same name.
int lower_call(Lowering &lowering, const Layer &layer, const char *core, const char *backward, const Shape &shape, int input) {
    const std::string &read = find_core(core).inputs.front().name, &made = find_core(core).outputs.front().name;
    const int output = lowering.activation(layer.name, layer.out);
    lowering.call(layer.name, core, shape, {{read, input}}, {{made, output}});
    lowering.on_backward(output, [=, &lowering, &layer](int d_output) {
        const int d_input = lowering.gradient(input);
        Operands again;
        for (const Argument &argument : find_core(backward).inputs)
            again.insert(argument.name, argument.name == read ? input : argument.name == made ? output : d_output);
        lowering.call(layer.name, backward, shape, std::move(again), {{find_core(backward).outputs.front().name, d_input}});
        lowering.add_gradient(layer.name, input, d_input);
    });
    return output;
}

/// `input` where the activation is linear, or left to the loss.
int lower_activation(Lowering &lowering, const Layer &layer, const ActivationChoice &activation, int input) {
    if (layer.leaves_activation || activation.name == "linear") return input;
    return activation.link ? lower_row(lowering, layer, *activation.link, input)
                           : lower_call(lowering, layer, "softmax_fwd", "softmax_bwd", elementwise(layer.out), input);
}

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
        const int bias = use_bias_ ? lowering.weight(*this, "bias") : lowering.constant(*this, "bias", Home::zeros, out.c);
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
        const int bias = lowering.constant(*this, "depthwise_bias", Home::zeros, between.c);
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

/// The scale and shift of a normalisation, one for each channel, each of which it may do without.
class GammaAndBeta {
public:
    explicit GammaAndBeta(Options &options) : center_(options.flag("center", true)), scale_(options.flag("scale", true)) {}

    std::vector<Weight> weights(int channels) const {
        std::vector<Weight> weights;
        if (scale_) weights.push_back({"gamma", {channels}, {channels}, true, "ones"});
        if (center_) weights.push_back({"beta", {channels}, {channels}, true, "zeros"});
        return weights;
    }

    bool are_weights() const { return scale_ || center_; }

    int gamma(Lowering &lowering, const Layer &layer) const {
        return scale_ ? lowering.weight(layer, "gamma") : lowering.constant(layer, "gamma", Home::ones, layer.in[0].c);
    }

    int beta(Lowering &lowering, const Layer &layer) const {
        return center_ ? lowering.weight(layer, "beta") : lowering.constant(layer, "beta", Home::zeros, layer.in[0].c);
    }

private:
    bool center_, scale_;
};

class BatchNormalization : public Layer {
public:
    explicit BatchNormalization(Options &options)
        : momentum_(float(options.number("momentum", 0.99, 0, 1))), epsilon_(float(options.number("epsilon", 1e-3, 1e-12, 1))),
          gamma_and_beta_(options), unbiased_variance_(options.flag("unbiased_variance", false)) {}

    FeatureMap infer() const override {
        require_channels(in[0], "normalise");
        return in[0];
    }

    std::vector<Weight> weights() const override {
        const int c = in[0].c;
        std::vector<Weight> weights = gamma_and_beta_.weights(c);
        weights.push_back({"moving_mean", {c}, {c}, false, "zeros"});
        weights.push_back({"moving_variance", {c}, {c}, false, "ones"});
        return weights;
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int input = inputs[0];
        const Shape shape = elementwise(in[0]);
        const int gamma = gamma_and_beta_.gamma(lowering, *this), beta = gamma_and_beta_.beta(lowering, *this);
        const int moving_mean = lowering.weight(*this, "moving_mean"), moving_variance = lowering.weight(*this, "moving_variance");
        const int scale = lowering.vector(name + "/scale", in[0].c), shift = lowering.vector(name + "/shift", in[0].c);
        const int output = lowering.activation(name, out);

        if (!lowering.training() || !trainable) {
            Shape fold;
            fold.in_c = in[0].c;
            fold.epsilon = epsilon_;
            lowering.call(name, "batch_norm_fold", fold,
                          {{"gamma", gamma}, {"beta", beta}, {"moving_mean", moving_mean}, {"moving_variance", moving_variance}},
                          {{"scale", scale}, {"shift", shift}});
            lowering.apply(name, {"affine", {{"scale", scale}, {"shift", shift}}}, input, output);
            lowering.on_backward(output, [=, this, &lowering](int d_output) {
                const int d_input = lowering.gradient(input), no_shift = lowering.constant(*this, "no_shift", Home::zeros, in[0].c);
                lowering.apply(name, {"affine", {{"scale", scale}, {"shift", no_shift}}}, d_output, d_input);
                lowering.add_gradient(name, input, d_input);
            });
            return output;
        }

        Shape statistics = shape;
        statistics.epsilon = epsilon_;
        statistics.momentum = momentum_;
        statistics.unbiased = unbiased_variance_;
        const int mean = lowering.vector(name + "/mean", in[0].c), inv_std = lowering.vector(name + "/inv_std", in[0].c);
        lowering.call(name, "batch_norm_stats", statistics, {{"input", input}, {"gamma", gamma}, {"beta", beta}},
                      {{"mean", mean},
                       {"inv_std", inv_std},
                       {"scale", scale},
                       {"shift", shift},
                       {"moving_mean", moving_mean},
                       {"moving_variance", moving_variance}});
        lowering.apply(name, {"affine", {{"scale", scale}, {"shift", shift}}}, input, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            const int d_gamma = lowering.gradient(gamma), d_beta = lowering.gradient(beta);
            lowering.call(name, "batch_norm_bwd_stats", shape,
                          {{"d_output", d_output}, {"input", input}, {"mean", mean}, {"inv_std", inv_std}},
                          {{"d_gamma", d_gamma}, {"d_beta", d_beta}});
            if (!lowering.wants_gradient(input)) return;
            const int d_input = lowering.gradient(input);
            lowering.apply(
                name,
                {"normgradient",
                 {{"input", input}, {"gamma", gamma}, {"mean", mean}, {"inv_std", inv_std}, {"d_gamma", d_gamma}, {"d_beta", d_beta}}},
                d_output, d_input);
            lowering.add_gradient(name, input, d_input);
        });
        return output;
    }

private:
    float momentum_, epsilon_;
    GammaAndBeta gamma_and_beta_;
    bool unbiased_variance_;
};

/// What layer and group normalisation share: each image's own statistics of groups of its channels, in windows side by side.
class GroupedNormalization : public Layer {
public:
    explicit GroupedNormalization(Options &options)
        : axis_(options), epsilon_(float(options.number("epsilon", 1e-3, 1e-12, 1))), gamma_and_beta_(options) {}

    FeatureMap infer() const override {
        require_channels(in[0], "normalise");
        axis_.check(in[0]);
        check();
        return in[0];
    }

    std::vector<Weight> weights() const override { return gamma_and_beta_.weights(in[0].c); }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int input = inputs[0], groups = this->groups();
        const auto [rows, columns] = window();
        Shape shape = Window{"window", {rows, columns}, {rows, columns}}.over(in[0], 2 * groups), statistics_shape = shape;
        statistics_shape.epsilon = epsilon_;
        const FeatureMap of_groups = {shape.out_h, shape.out_w, shape.out_c};
        const int gamma = gamma_and_beta_.gamma(lowering, *this), beta = gamma_and_beta_.beta(lowering, *this);
        const int statistics = lowering.activation(name + "/statistics", of_groups), output = lowering.activation(name, out);
        lowering.call(name, "group_norm_stats", statistics_shape, {{"input", input}}, {{"statistics", statistics}});
        lowering.call(name, "group_norm_fwd", shape, {{"input", input}, {"statistics", statistics}, {"gamma", gamma}, {"beta", beta}},
                      {{"output", output}});
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            const Operands read = {{"d_output", d_output}, {"input", input}, {"statistics", statistics}};
            if (trainable && gamma_and_beta_.are_weights())
                lowering.call(name, "group_norm_bwd_weights", shape, read,
                              {{"d_gamma", lowering.gradient(gamma)}, {"d_beta", lowering.gradient(beta)}});
            if (!lowering.wants_gradient(input)) return;
            const int means = lowering.activation(name + "/means", of_groups), d_input = lowering.gradient(input);
            Operands with_gamma = read;
            with_gamma.insert("gamma", gamma);
            lowering.call(name, "group_norm_bwd_means", shape, with_gamma, {{"means", means}});
            with_gamma.insert("means", means);
            lowering.call(name, "group_norm_bwd_data", shape, with_gamma, {{"d_input", d_input}});
            lowering.add_gradient(name, input, d_input);
        });
        return output;
    }

protected:
    virtual void check() const {}
    virtual int groups() const = 0;
    /// Rows and columns.
    virtual std::array<int, 2> window() const = 0;

private:
    ChannelAxis axis_;
    float epsilon_;
    GammaAndBeta gamma_and_beta_;
};

/// Of a pixel's channels.
class LayerNormalization : public GroupedNormalization {
public:
    using GroupedNormalization::GroupedNormalization;

protected:
    int groups() const override { return 1; }
    std::array<int, 2> window() const override { return {1, 1}; }
};

/// Of all pixels.
class GroupNormalization : public GroupedNormalization {
public:
    explicit GroupNormalization(Options &options)
        : GroupedNormalization(options), groups_(options.number("groups", 32, -1, largest_size)) {}

protected:
    void check() const override {
        if (groups_ != -1 && (groups_ < 1 || groups_ != std::floor(groups_) || in[0].c % int(groups_) != 0))
            throw std::invalid_argument(
                fmt::format("\"groups\" must divide the {} channels, or be -1 for as many; it is {}", in[0].c, groups_));
    }
    int groups() const override { return groups_ == -1 ? in[0].c : int(groups_); }
    std::array<int, 2> window() const override { return {in[0].h, in[0].w}; }

private:
    double groups_;
};

int lower_max_pool(Lowering &lowering, const Layer &layer, const Shape &shape, int input) {
    return lower_call(lowering, layer, "max_pool2d_fwd", "max_pool2d_bwd", shape, input);
}

int lower_average_pool(Lowering &lowering, const Layer &layer, const Shape &shape, int input) {
    return lower_call(lowering, layer, "average_pool2d_fwd", "average_pool2d_bwd", shape, input);
}

/// A window that slides over each channel. What becomes of it is `lower_window`'s.
template<int (*lower_window)(Lowering &, const Layer &, const Shape &, int input)>
class Pooling2d : public Layer {
public:
    explicit Pooling2d(Options &options) {
        const std::array<int, 2> pool = options.sizes("pool_size", {2, 2});
        window_ = {"pool", pool, options.sizes("strides", pool), read_padding(options), options.flag("ceil_mode", false)};
        if (window_.ceil_mode && window_.padding.same)
            throw std::invalid_argument(
                "\"ceil_mode\" is for \"padding\" valid or [top, bottom, left, right]: with same no value is left out");
    }

    FeatureMap infer() const override {
        require_spatial(in[0]);
        const Shape shape = window_.over(in[0], in[0].c);
        return {shape.out_h, shape.out_w, shape.out_c};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        return lower_window(lowering, *this, window_.over(in[0], in[0].c), inputs[0]);
    }

private:
    Window window_;
};

/// The same with one window over all rows and columns.
template<int (*lower_window)(Lowering &, const Layer &, const Shape &, int input)>
class GlobalPooling2d : public Layer {
public:
    explicit GlobalPooling2d(Options &options) : keepdims_(options.flag("keepdims", false)) {}

    FeatureMap infer() const override {
        require_spatial(in[0]);
        return {1, 1, in[0].c, !keepdims_};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const std::array<int, 2> everything = {in[0].h, in[0].w};
        return lower_window(lowering, *this, Window{"pool", everything, everything}.over(in[0], in[0].c), inputs[0]);
    }

private:
    bool keepdims_;
};

/// Zeros around the rows and columns: the sums of windows of one tap, of which the outer ones hold nothing.
class ZeroPadding2d : public Layer {
public:
    explicit ZeroPadding2d(Options &options) : padding_(Padding::of(options.margins_of_axes("padding", {1, 1, 1, 1}))) {}

    FeatureMap infer() const override {
        require_spatial(in[0]);
        return {padding_.top + in[0].h + padding_.bottom, padding_.left + in[0].w + padding_.right, in[0].c};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        Shape shape = elementwise(in[0]);
        shape.out_h = out.h, shape.out_w = out.w, shape.out_c = out.c;
        shape.pad_top = padding_.top, shape.pad_left = padding_.left;
        return lower_call(lowering, *this, "window_sum2d_fwd", "window_sum2d_bwd", shape, inputs[0]);
    }

private:
    Padding padding_;
};

/// Every pixel becomes a window of its size: what the gradient of a sum over windows does. Its own gradient is that sum.
class UpSampling2d : public Layer {
public:
    explicit UpSampling2d(Options &options) : size_(options.sizes("size", {2, 2})) {
        options.choice("interpolation", {"nearest"}, "nearest");
    }

    FeatureMap infer() const override {
        require_spatial(in[0]);
        const std::int64_t rows = std::int64_t{in[0].h} * size_[0], columns = std::int64_t{in[0].w} * size_[1];
        if (std::max(rows, columns) > largest_size)
            throw std::invalid_argument(fmt::format("makes {}x{} pixels; the most is {} of each", rows, columns, largest_size));
        return {int(rows), int(columns), in[0].c};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const Shape shape = Window{"size", size_, size_}.over(out, out.c);
        return lower_call(lowering, *this, "window_sum2d_bwd", "window_sum2d_fwd", shape, inputs[0]);
    }

private:
    std::array<int, 2> size_;
};

/// Its gradient is dropped by the same row: the same elements fall to the same random numbers.
class Dropout : public Layer {
public:
    explicit Dropout(Options &options, std::string row = "dropout")
        : row_(std::move(row)), rate_(options.number("rate", 0, is_dropout_rate, dropout_rate_range)) {}

    FeatureMap infer() const override { return in[0]; }
    std::optional<double> dropout_rate() const override { return rate_; }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int input = inputs[0];
        if (!lowering.training()) return input;
        const AppliedLink dropout{row_, {{"step", lowering.external("step")}}, lowering.next_dropout()};
        const int output = lowering.activation(name, out);
        lowering.apply(name, dropout, input, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            const int d_input = lowering.gradient(input);
            lowering.apply(name, dropout, d_output, d_input);
            lowering.add_gradient(name, input, d_input);
        });
        return output;
    }

private:
    std::string row_;
    double rate_;
};

/// The same, but each channel of an image is dropped or kept as one.
class SpatialDropout2d : public Dropout {
public:
    explicit SpatialDropout2d(Options &options) : Dropout(options, "spatialdropout") {}

    FeatureMap infer() const override {
        require_spatial(in[0]);
        return in[0];
    }
};

/// Noise in training, of which no gradient comes.
class GaussianNoise : public Layer {
public:
    explicit GaussianNoise(Options &options) : stddev_(options.number("stddev", 0, 1)) {}

    FeatureMap infer() const override { return in[0]; }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int input = inputs[0];
        if (!lowering.training() || stddev_ == 0) return input;
        const int output = lowering.activation(name, out);
        lowering.apply(name, {"noise", {{"step", lowering.external("step")}}, lowering.next_noise(), {float(stddev_)}}, input, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) { lowering.add_gradient(name, input, d_output); });
        return output;
    }

private:
    double stddev_;
};

/// Neither a kernel nor a copy: what comes after it reads (c, x, y, n).
class Flatten : public Layer {
public:
    explicit Flatten(Options &) {}
    FeatureMap infer() const override { return {in[0].h, in[0].w, in[0].c, true}; }
    bool hands_on() const override { return true; }
    int lower(Lowering &, const std::vector<int> &inputs) const override { return inputs[0]; }
};

/// The same where rows, columns and channels stay, as they are or flat: others would lie in memory in another way.
class Reshape : public Layer {
public:
    explicit Reshape(Options &options) : target_(options.target_shape("target_shape")) {}

    FeatureMap infer() const override {
        const auto [h, w, c, _] = in[0];
        const FeatureMap made = {h, w, c, target_.size() == 1};
        const std::vector<int> sizes = made.flat ? std::vector<int>{h * w * c} : std::vector<int>{h, w, c};
        const auto fits = [](int target, int size) { return target == -1 || target == size; };
        if (!std::ranges::equal(target_, sizes, fits))
            throw std::invalid_argument(fmt::format("cannot reshape {} to [{}]: only to [{}] or [{}, {}, {}]", to_string(in[0]),
                                                    fmt::join(target_, ", "), h * w * c, h, w, c));
        return made;
    }

    bool hands_on() const override { return true; }
    int lower(Lowering &, const std::vector<int> &inputs) const override { return inputs[0]; }

private:
    std::vector<int> target_;
};

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

/// What makes one value of several.
class Merge : public Layer {
public:
    explicit Merge(Options &) {}

    bool takes_many() const override { return true; }
};

/// The shape that all have.
FeatureMap one_shape(const std::vector<FeatureMap> &in, const char *verb) {
    for (const FeatureMap &map : in)
        if (map != in[0]) throw std::invalid_argument(fmt::format("cannot {} {} and {}", verb, to_string(in[0]), to_string(map)));
    return in[0];
}

int sum_of(Lowering &lowering, const Layer &layer, const std::vector<int> &inputs) {
    int sum = inputs[0];
    for (std::size_t i = 1; i < inputs.size(); ++i) {
        const int output = lowering.activation(layer.name, layer.out);
        lowering.apply(layer.name, {"add", {{"addend", inputs[i]}}}, sum, output);
        sum = output;
    }
    return sum;
}

class Add : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override { return one_shape(in, "add"); }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int sum = sum_of(lowering, *this, inputs);
        lowering.on_backward(sum, [=, this, &lowering](int d_output) {
            for (int input : inputs) lowering.add_gradient(name, input, d_output);
        });
        return sum;
    }
};

class Average : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override { return one_shape(in, "average"); }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const AppliedLink share{.row = "times", .constants = {1 / float(inputs.size())}};
        const int sum = sum_of(lowering, *this, inputs), mean = lowering.activation(name, out);
        lowering.apply(name, share, sum, mean);
        lowering.on_backward(mean, [=, this, &lowering](int d_mean) {
            const int d_input = lowering.gradient(mean);
            lowering.apply(name, share, d_mean, d_input);
            for (int input : inputs) lowering.add_gradient(name, input, d_input);
        });
        return mean;
    }
};

class Subtract : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override {
        if (in.size() != 2) throw std::invalid_argument(fmt::format("takes two inputs, has {}", in.size()));
        return one_shape(in, "subtract");
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int output = lowering.activation(name, out);
        lowering.apply(name, {"subtract", {{"subtrahend", inputs[1]}}}, inputs[0], output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            lowering.add_gradient(name, inputs[0], d_output);
            if (!lowering.wants_gradient(inputs[1])) return;
            const int d_input = lowering.gradient(inputs[1]);
            lowering.apply(name, {.row = "times", .constants = {-1}}, d_output, d_input);
            lowering.add_gradient(name, inputs[1], d_input);
        });
        return output;
    }
};

/// Of what is equal, either has half of the gradient.
class Maximum : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override { return one_shape(in, "compare"); }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        int largest = inputs[0];
        for (std::size_t i = 1; i < inputs.size(); ++i) largest = larger_of(lowering, largest, inputs[i]);
        return largest;
    }

private:
    int larger_of(Lowering &lowering, int first, int second) const {
        const int output = lowering.activation(name, out);
        lowering.apply(name, {"maximum", {{"other", second}}}, first, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            const int margin = lowering.gradient(output), d_first = lowering.gradient(first);
            lowering.apply(name, {"subtract", {{"subtrahend", second}}}, first, margin);
            lowering.apply(name, {"larger", {{"margin", margin}}}, d_output, d_first);
            lowering.add_gradient(name, first, d_first);
            if (!lowering.wants_gradient(second)) return;
            const int d_second = lowering.gradient(second);
            lowering.apply(name, {"subtract", {{"subtrahend", d_first}}}, d_output, d_second);
            lowering.add_gradient(name, second, d_second);
        });
        return output;
    }
};

/// Inputs of one pixel are the same for all rows and columns.
class Multiply : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override {
        FeatureMap largest = in[0];
        for (const FeatureMap &map : in)
            if (is_gate(largest, map)) largest = map;
        for (const FeatureMap &map : in)
            if (map != largest && !is_gate(map, largest))
                throw std::invalid_argument(fmt::format("cannot multiply {} and {}", to_string(largest), to_string(map)));
        return largest;
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const std::size_t begin = std::size_t(std::ranges::find(in, out) - in.begin());
        int product = inputs[begin];
        for (std::size_t i = 0; i < inputs.size(); ++i)
            if (i != begin) product = product_of(lowering, product, inputs[i], in[i].h * in[i].w < out.h * out.w);
        return product;
    }

private:
    static bool is_gate(const FeatureMap &map, const FeatureMap &of) { return map.h * map.w == 1 && map.c == of.c && !of.flat; }

    int product_of(Lowering &lowering, int first, int second, bool gates) const {
        const AppliedLink by_second{gates ? "gate" : "multiply", {{"by", second}}};
        const int output = lowering.activation(name, out);
        lowering.apply(name, by_second, first, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            if (lowering.wants_gradient(first)) {
                const int d_first = lowering.gradient(first);
                lowering.apply(name, by_second, d_output, d_first);
                lowering.add_gradient(name, first, d_first);
            }
            if (!lowering.wants_gradient(second)) return;
            const int d_each = lowering.gradient(gates ? output : second);
            lowering.apply(name, {"multiply", {{"by", first}}}, d_output, d_each);
            if (!gates) return lowering.add_gradient(name, second, d_each);
            const int d_second = lowering.gradient(second);
            const std::array<int, 2> everything = {out.h, out.w};
            lowering.call(name, "window_sum2d_fwd", Window{"sum", everything, everything}.over(out, out.c), {{"input", d_each}},
                          {{"output", d_second}});
            lowering.add_gradient(name, second, d_second);
        });
        return output;
    }
};

/// Along the channels.
class Concatenate : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override {
        std::int64_t channels = 0;
        for (const FeatureMap &map : in) {
            require_channels(map, "concatenate");
            if (map.h != in[0].h || map.w != in[0].w || map.flat != in[0].flat)
                throw std::invalid_argument(fmt::format("cannot concatenate {} and {}", to_string(in[0]), to_string(map)));
            channels += map.c;
        }
        if (channels > largest_size) throw std::invalid_argument(fmt::format("has {} channels; the most is {}", channels, largest_size));
        return {in[0].h, in[0].w, int(channels), in[0].flat};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        int all = inputs[0], channels = in[0].c;
        for (std::size_t i = 1; i < inputs.size(); ++i) {
            all = lower_two(lowering, all, channels, inputs[i], in[i].c);
            channels += in[i].c;
        }
        return all;
    }

private:
    int lower_two(Lowering &lowering, int first, int first_c, int second, int second_c) const {
        const FeatureMap both{out.h, out.w, first_c + second_c, out.flat};
        const auto shape_of = [=](int channels) {
            Shape shape = elementwise({both.h, both.w, channels});
            shape.out_h = both.h, shape.out_w = both.w, shape.out_c = both.c;
            return shape;
        };
        const int output = lowering.activation(name, both);
        lowering.call(name, "concatenate", shape_of(first_c), {{"first", first}, {"second", second}}, {{"output", output}});
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            const auto split = [&](const char *core, int input, int channels) {
                if (!lowering.wants_gradient(input)) return;
                const int d_input = lowering.gradient(input);
                lowering.call(name, core, shape_of(channels), {{"d_output", d_output}}, {{"d_input", d_input}});
                lowering.add_gradient(name, input, d_input);
            };
            split("first_channels", first, first_c);
            split("last_channels", second, second_c);
        });
        return output;
    }
};

class Rescaling : public Layer {
public:
    explicit Rescaling(Options &options)
        : scale_(options.number("scale", -most_value, most_value)), offset_(options.number("offset", 0, -most_value, most_value)) {}

    FeatureMap infer() const override { return in[0]; }
    bool scales_input() const override { return true; }

    void add_to(InputScaling &scaling) const override {
        Rescaled &last = scaling.last();
        last = {last.scale * scale_, last.offset * scale_ + offset_};
        const auto in_range = [](double value) { return std::abs(value) <= most_value; };
        if (!in_range(last.scale) || !in_range(1 / last.scale) || !in_range(last.offset))
            throw std::invalid_argument(fmt::format("with those before it the scale is {:.3g}, the offset {:.3g}; a magnitude of either is "
                                                    "{:.0e} at most, of a scale {:.0e} at least",
                                                    last.scale, last.offset, most_value, 1 / most_value));
    }

    int lower(Lowering &, const std::vector<int> &inputs) const override { return inputs[0]; }

private:
    double scale_, offset_;
};

/// Keras's, with the channel as its axis. What it does is in the input kernel, but its mean and variance are weights.
class Normalization : public Layer {
public:
    explicit Normalization(Options &options) {
        const bool mean = options.has("mean"), variance = options.has("variance");
        if (mean != variance)
            throw std::invalid_argument("\"mean\" and \"variance\" go together: give both, or none to take them from the images");
        if (!mean) return;
        mean_ = options.numbers("mean", -most_value, most_value);
        variance_ = options.numbers("variance", 0, most_value);
        if (mean_.size() != variance_.size())
            throw std::invalid_argument(fmt::format("\"mean\" has {} values, \"variance\" {}", mean_.size(), variance_.size()));
    }

    FeatureMap infer() const override {
        if (mean_.size() > 1 && int(mean_.size()) != in[0].c)
            throw std::invalid_argument(fmt::format("\"mean\" has {} values, the image {} channels", mean_.size(), in[0].c));
        return in[0];
    }

    std::vector<Weight> weights() const override { return {statistic("mean", mean_), statistic("variance", variance_)}; }

    bool scales_input() const override { return true; }

    void add_to(InputScaling &scaling) const override {
        if (scaling.normalization)
            throw std::invalid_argument(fmt::format("the image is normalised already, by \"{}\"", scaling.normalization->name));
        scaling.normalization = this;
    }

    int lower(Lowering &, const std::vector<int> &inputs) const override { return inputs[0]; }

private:
    /// One value stands for all channels.
    Weight statistic(const std::string &statistic, const std::vector<double> &given) const {
        const int c = in[0].c;
        Weight weight{statistic, {c}, {c}, false, "image_" + statistic};
        if (given.empty()) return weight;
        weight.initializer = "given";
        for (int i = 0; i < c; ++i) weight.values.push_back(float(given.size() == 1 ? given[0] : given[std::size_t(i)]));
        return weight;
    }

    std::vector<double> mean_, variance_;  // empty: to be taken from the images
};

struct LayerType {
    std::string keras_name;
    std::function<std::unique_ptr<Layer>(Options &)> make;
};

template<typename L>
LayerType layer_type(std::string keras_name) {
    return {std::move(keras_name), [](Options &options) { return std::make_unique<L>(options); }};
}

std::map<std::string, LayerType> all_layer_types() {
    std::map<std::string, LayerType> types = {
        {"activation", layer_type<ActivationLayer>("activation")},
        {"add", layer_type<Add>("add")},
        {"average", layer_type<Average>("average")},
        {"average_pooling2d", layer_type<Pooling2d<lower_average_pool>>("average_pooling2d")},
        {"batch_normalization", layer_type<BatchNormalization>("batch_normalization")},
        {"concatenate", layer_type<Concatenate>("concatenate")},
        {"conv2d", layer_type<Conv2d>("conv2d")},
        {"dense", layer_type<Dense>("dense")},
        {"depthwise_conv2d", layer_type<DepthwiseConv2d>("depthwise_conv2d")},
        {"dropout", layer_type<Dropout>("dropout")},
        {"flatten", layer_type<Flatten>("flatten")},
        {"gaussian_noise", layer_type<GaussianNoise>("gaussian_noise")},
        {"global_average_pooling2d", layer_type<GlobalPooling2d<lower_average_pool>>("global_average_pooling2d")},
        {"global_max_pooling2d", layer_type<GlobalPooling2d<lower_max_pool>>("global_max_pooling2d")},
        {"group_normalization", layer_type<GroupNormalization>("group_normalization")},
        {"layer_normalization", layer_type<LayerNormalization>("layer_normalization")},
        {"maximum", layer_type<Maximum>("maximum")},
        {"max_pooling2d", layer_type<Pooling2d<lower_max_pool>>("max_pooling2d")},
        {"multiply", layer_type<Multiply>("multiply")},
        {"normalization", layer_type<Normalization>("normalization")},
        {"rescaling", layer_type<Rescaling>("rescaling")},
        {"prelu", layer_type<PRelu>("p_re_lu")},
        {"reshape", layer_type<Reshape>("reshape")},
        {"separable_conv2d", layer_type<SeparableConv2d>("separable_conv2d")},
        {"softmax", layer_type<Softmax>("softmax")},
        {"spatial_dropout2d", layer_type<SpatialDropout2d>("spatial_dropout2d")},
        {"subtract", layer_type<Subtract>("subtract")},
        {"up_sampling2d", layer_type<UpSampling2d>("up_sampling2d")},
        {"zero_padding2d", layer_type<ZeroPadding2d>("zero_padding2d")},
    };
    for (const PointwiseLayer &layer : pointwise_layers())
        types[layer.type] = {layer.keras_name, [&layer](Options &options) { return std::make_unique<Pointwise>(layer, options); }};
    return types;
}

const std::map<std::string, LayerType> &layer_types() {
    static const std::map<std::string, LayerType> types = all_layer_types();
    return types;
}

const LayerType &find_type(const std::string &type) {
    const auto found = layer_types().find(type);
    if (found != layer_types().end()) return found->second;
    std::vector<std::string> names;
    for (const auto &[name, layer_type] : layer_types()) names.push_back(name);
    throw std::invalid_argument(fmt::format("unknown type \"{}\"; there are {}", shortened(type, 100), fmt::join(names, ", ")));
}

}  // namespace

Shape elementwise(const FeatureMap &map) {
    Shape shape;
    shape.in_h = map.h, shape.in_w = map.w, shape.in_c = map.c;
    return shape;
}

std::string to_string(const FeatureMap &map) {
    return map.flat ? fmt::to_string(map.h * map.w * map.c) : fmt::format("{}x{}x{}", map.h, map.w, map.c);
}

std::unique_ptr<Layer> make_layer(const std::string &type, Options &options) { return find_type(type).make(options); }

std::string default_name(const std::string &type, int index) {
    const std::string &name = find_type(type).keras_name;
    return index == 0 ? name : fmt::format("{}_{}", name, index);
}

}  // namespace halcyon
