// Normalisations by statistics of the activations.
#include "compiler/layers/types.h"

#include "compiler/graph.h"
#include "compiler/layers/choices.h"
#include "compiler/layers/window.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace halcyon {
namespace {

/// The scale and shift of a normalisation, one for each channel or unit, each of which it may do without.
class GammaAndBeta {
public:
    explicit GammaAndBeta(Options &options) : center_(options.flag("center", true)), scale_(options.flag("scale", true)) {}

    /// As Weight::shape and Weight::extents.
    std::vector<Weight> weights(const std::vector<int> &shape, const std::vector<int> &extents) const {
        std::vector<Weight> weights;
        if (scale_) weights.push_back({"gamma", shape, extents, true, "ones"});
        if (center_) weights.push_back({"beta", shape, extents, true, "zeros"});
        return weights;
    }

    bool are_weights() const { return scale_ || center_; }

    int gamma(Lowering &lowering, const Layer &layer, const std::vector<int> &extents) const {
        return scale_ ? lowering.weight(layer, "gamma") : lowering.constant(layer, "gamma", Home::ones, extents);
    }

    int beta(Lowering &lowering, const Layer &layer, const std::vector<int> &extents) const {
        return center_ ? lowering.weight(layer, "beta") : lowering.constant(layer, "beta", Home::zeros, extents);
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
        std::vector<Weight> weights = gamma_and_beta_.weights({c}, {c});
        weights.push_back({"moving_mean", {c}, {c}, false, "zeros"});
        weights.push_back({"moving_variance", {c}, {c}, false, "ones"});
        return weights;
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int input = inputs[0];
        const Shape shape = elementwise(in[0]);
        const int gamma = gamma_and_beta_.gamma(lowering, *this, {in[0].c}), beta = gamma_and_beta_.beta(lowering, *this, {in[0].c});
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
                const int d_input = lowering.gradient(input), no_shift = lowering.constant(*this, "no_shift", Home::zeros, {in[0].c});
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
        : epsilon_(float(options.number("epsilon", 1e-3, 1e-12, 1))), gamma_and_beta_(options) {}

    FeatureMap infer() const override {
        check();
        return in[0];
    }

    std::vector<Weight> weights() const override { return gamma_and_beta_.weights(weight_shape(), weight_extents()); }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int input = inputs[0], groups = this->groups();
        const auto [rows, columns] = window();
        Shape shape = Window{"window", {rows, columns}, {rows, columns}}.over(in[0], 2 * groups), statistics_shape = shape;
        statistics_shape.epsilon = epsilon_;
        const FeatureMap of_groups = {shape.out_h, shape.out_w, shape.out_c};
        const int gamma = gamma_and_beta_.gamma(lowering, *this, weight_extents());
        const int beta = gamma_and_beta_.beta(lowering, *this, weight_extents());
        const int statistics = lowering.activation(name + "/statistics", of_groups), output = lowering.activation(name, out);
        // Units scale in a pass behind, whose own gradient goes before that of what is normalised.
        const bool of_units = has_unit_weights();
        const int normalised = of_units ? lowering.activation(name + "/normalised", out) : output;
        const int scale = of_units ? lowering.constant(*this, "no_scale", Home::ones, {in[0].c}) : gamma;
        const int shift = of_units ? lowering.constant(*this, "no_shift", Home::zeros, {in[0].c}) : beta;
        lowering.call(name, "group_norm_stats", statistics_shape, {{"input", input}}, {{"statistics", statistics}});
        lowering.call(name, "group_norm_fwd", shape, {{"input", input}, {"statistics", statistics}, {"gamma", scale}, {"beta", shift}},
                      {{"output", normalised}});
        if (of_units) lowering.apply(name, {"unitaffine", {{"scale", gamma}, {"shift", beta}}}, normalised, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            if (trainable && gamma_and_beta_.are_weights())
                lowering.call(name, of_units ? "group_norm_bwd_unit_weights" : "group_norm_bwd_weights", shape,
                              {{"d_output", d_output}, {"input", input}, {"statistics", statistics}},
                              {{"d_gamma", lowering.gradient(gamma)}, {"d_beta", lowering.gradient(beta)}});
            if (!lowering.wants_gradient(input)) return;
            int d_normalised = d_output;
            if (of_units) {
                const int no_shift = lowering.constant(*this, "no_shift", Home::zeros, weight_extents());
                d_normalised = lowering.gradient(normalised);
                lowering.apply(name, {"unitaffine", {{"scale", gamma}, {"shift", no_shift}}}, d_output, d_normalised);
            }
            const int means = lowering.activation(name + "/means", of_groups), d_input = lowering.gradient(input);
            Operands read = {{"d_output", d_normalised}, {"input", input}, {"statistics", statistics}, {"gamma", scale}};
            lowering.call(name, "group_norm_bwd_means", shape, read, {{"means", means}});
            read.insert("means", means);
            lowering.call(name, "group_norm_bwd_data", shape, read, {{"d_input", d_input}});
            lowering.add_gradient(name, input, d_input);
        });
        return output;
    }

protected:
    /// Throws std::invalid_argument where the input does not fit.
    virtual void check() const = 0;
    virtual int groups() const = 0;
    /// Rows and columns.
    virtual std::array<int, 2> window() const = 0;
    /// Of gamma and beta.
    virtual std::vector<int> weight_shape() const { return {in[0].c}; }
    virtual bool has_unit_weights() const { return false; }

private:
    std::vector<int> weight_extents() const { return has_unit_weights() ? std::vector{in[0].c, in[0].w, in[0].h} : std::vector{in[0].c}; }

    float epsilon_;
    GammaAndBeta gamma_and_beta_;
};

/// Of a pixel's channels, or of all that an image has.
class LayerNormalization : public GroupedNormalization {
public:
    explicit LayerNormalization(Options &options) : GroupedNormalization(options), axes_(options.axes("axis", -3, 3, {-1})) {}

protected:
    void check() const override {
        const std::vector<std::vector<int>> channels = {{-1}, {in[0].flat ? 1 : 3}}, image = {{-3, -2, -1}, {1, 2, 3}};
        const auto is_of = [&](const std::vector<std::vector<int>> &axes) { return std::ranges::find(axes, axes_) != axes.end(); };
        if (in[0].flat && !is_of(channels)) throw std::invalid_argument("has a flat input: \"axis\" must be -1, all of it");
        if (!is_of(channels) && !is_of(image))
            throw std::invalid_argument("\"axis\" must be -1, the channels, or [1, 2, 3], rows, columns and channels");
    }
    int groups() const override { return 1; }
    std::array<int, 2> window() const override { return is_of_image() ? std::array{in[0].h, in[0].w} : std::array{1, 1}; }
    std::vector<int> weight_shape() const override {
        const auto [h, w, c, flat] = in[0];
        return flat ? std::vector{h * w * c} : is_of_image() ? std::vector{h, w, c} : std::vector{c};
    }
    bool has_unit_weights() const override { return is_of_image() && in[0].h * in[0].w > 1; }

private:
    bool is_of_image() const { return in[0].flat || axes_.size() > 1; }

    std::vector<int> axes_;
};

/// Of all pixels.
class GroupNormalization : public GroupedNormalization {
public:
    explicit GroupNormalization(Options &options)
        : GroupedNormalization(options), axis_(options), groups_(options.number("groups", 32, -1, largest_size)) {}

protected:
    void check() const override {
        require_channels(in[0], "normalise");
        axis_.check(in[0]);
        if (groups_ != -1 && (groups_ < 1 || groups_ != std::floor(groups_) || in[0].c % int(groups_) != 0))
            throw std::invalid_argument(
                fmt::format("\"groups\" must divide the {} channels, or be -1 for as many; it is {}", in[0].c, groups_));
    }
    int groups() const override { return groups_ == -1 ? in[0].c : int(groups_); }
    std::array<int, 2> window() const override { return {in[0].h, in[0].w}; }

private:
    ChannelAxis axis_;
    double groups_;
};

}  // namespace

LayerTypes normalizations() {
    return {
        {"batch_normalization", layer_type<BatchNormalization>("batch_normalization")},
        {"group_normalization", layer_type<GroupNormalization>("group_normalization")},
        {"layer_normalization", layer_type<LayerNormalization>("layer_normalization")},
    };
}

}  // namespace halcyon
