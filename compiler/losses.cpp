#include "compiler/losses.h"

#include "compiler/graph.h"

#include <fmt/format.h>

#include <map>
#include <stdexcept>
#include <string>
#include <utility>

namespace halcyon {
namespace {

/// What the runtime binds for a loss.
Buffer bound(std::string name, std::string type, std::vector<int> extents) {
    return {.name = std::move(name), .type = std::move(type), .extents = std::move(extents), .home = Home::external};
}

/// A number for each unit.
Buffer unit_targets(const FeatureMap &in) { return bound("targets", "float32", {in.c, records_extent}); }

/// Throws where an image's output has several pixels. `channels`: what those of the one are.
void require_one_pixel(const FeatureMap &in, const char *channels) {
    if (in.h != 1 || in.w != 1)
        throw std::invalid_argument(fmt::format("its output is {}x{}x{}, and the loss takes one pixel, whose channels are the {}: end in a "
                                                "flatten and a dense layer, or bring the rows and columns down to 1",
                                                in.h, in.w, in.c, channels));
}

/// What the losses of classes share: probabilities, and the mean over the batch of what is computed from logits, as Keras's with
/// from_logits=True. Images have labels, unless a loss says otherwise.
class Crossentropy : public Loss {
public:
    explicit Crossentropy(float label_smoothing) : label_smoothing_(label_smoothing) {}

    void check() const override { require_one_pixel(in, "classes"); }

    std::vector<Buffer> targets() const override { return {bound("labels", "uint16", {records_extent})}; }

    std::vector<Buffer> metrics() const override {
        return {bound("probabilities", "float32", {classes(), 1, 1, batch_extent}), bound("loss", "float32", {batch_extent}),
                bound("correct", "float32", {batch_extent})};
    }

protected:
    void call_forward(Lowering &lowering, const char *core, int output) const {
        Operands inputs = read(lowering);
        inputs.insert("logits", output);
        lowering.call("loss", core, shape(), std::move(inputs),
                      {{"probabilities", lowering.external("probabilities")},
                       {"loss", lowering.external("loss")},
                       {"correct", lowering.external("correct")}});
    }

    /// The gradient of `output` is what `row`, or `smoothed_row` with label smoothing, makes of `value`.
    void apply_backward(Lowering &lowering, const char *row, const char *smoothed_row, int value, int output) const {
        const int d_output = lowering.gradient(output);
        AppliedLink link{row, read(lowering)};
        if (label_smoothing_ > 0) link.row = smoothed_row, link.constants = {label_smoothing_};
        lowering.apply("loss", std::move(link), value, d_output);
        lowering.add_gradient("loss", output, d_output);
    }

    /// What both directions read beside activations.
    Operands read(Lowering &lowering) const {
        Operands operands;
        for (const Buffer &answers : targets()) operands.insert(answers.name, lowering.external(answers.name));
        for (const char *name : {"indices", "step"}) operands.insert(name, lowering.external(name));
        return operands;
    }

    Shape shape() const {
        Shape shape;
        shape.in_c = in.c;
        shape.label_smoothing = label_smoothing_;
        return shape;
    }

private:
    float label_smoothing_;
};

/// What the losses of a softmax share.
class SoftmaxCrossentropy : public Crossentropy {
public:
    using Crossentropy::Crossentropy;

    std::string activation() const override { return "softmax"; }
    int classes() const override { return in.c; }

    void check() const override {
        Crossentropy::check();
        if (in.c < 2 || in.c > most_classes)
            throw std::invalid_argument(fmt::format("there can be 2 to {} classes, not {}", most_classes, in.c));
    }

private:
    static constexpr int most_classes = 65536;  // labels are uint16
};

class SparseCategoricalCrossentropy : public SoftmaxCrossentropy {
public:
    using SoftmaxCrossentropy::SoftmaxCrossentropy;

    void lower_forward(Lowering &lowering, int output) const override { call_forward(lowering, "softmax_cross_entropy_fwd", output); }

    void lower_backward(Lowering &lowering, int output) const override {
        apply_backward(lowering, "onehotgradient", "smoothedonehotgradient", lowering.external("probabilities"), output);
    }
};

/// Of shares of the classes. A label is a share of one.
class CategoricalCrossentropy : public SoftmaxCrossentropy {
public:
    using SoftmaxCrossentropy::SoftmaxCrossentropy;

    int units() const override { return in.c; }

    std::vector<Buffer> targets() const override { return {unit_targets(in)}; }

    void lower_forward(Lowering &lowering, int output) const override { call_forward(lowering, "categorical_cross_entropy_fwd", output); }

    void lower_backward(Lowering &lowering, int output) const override {
        const int d_output = lowering.gradient(output);
        Operands inputs = read(lowering);
        inputs.insert("probabilities", lowering.external("probabilities"));
        lowering.call("loss", "categorical_cross_entropy_bwd", shape(), std::move(inputs), {{"d_logits", d_output}});
        lowering.add_gradient("loss", output, d_output);
    }
};

/// One logit tells two classes apart: that of class 1.
class BinaryCrossentropy : public Crossentropy {
public:
    using Crossentropy::Crossentropy;

    std::string activation() const override { return "sigmoid"; }
    int classes() const override { return 2; }

    void lower_forward(Lowering &lowering, int output) const override { call_forward(lowering, "sigmoid_cross_entropy_fwd", output); }

    void lower_backward(Lowering &lowering, int output) const override {
        apply_backward(lowering, "binarygradient", "smoothedbinarygradient", output, output);
    }
};

/// What the losses of units share that have a target each: the mean over units of what is computed from each.
class TargetsLoss : public Loss {
public:
    int units() const override { return in.c; }

    void check() const override { require_one_pixel(in, "units"); }

    std::vector<Buffer> targets() const override { return {unit_targets(in)}; }

    std::vector<Buffer> metrics() const override {
        return {bound("predicted", "float32", {in.c, 1, 1, batch_extent}), bound("loss", "float32", {batch_extent}),
                bound("metric", "float32", {batch_extent})};
    }

protected:
    static void call_forward(Lowering &lowering, const char *core, const Shape &shape, const char *input, int output) {
        lowering.call(
            "loss", core, shape, {{input, output}, {"targets", lowering.external("targets")}, {"indices", lowering.external("indices")}},
            {{"predicted", lowering.external("predicted")}, {"loss", lowering.external("loss")}, {"metric", lowering.external("metric")}});
    }

    static void apply_backward(Lowering &lowering, const char *row, std::vector<float> constants, int output) {
        const int d_output = lowering.gradient(output);
        AppliedLink link{
            row,
            {{"targets", lowering.external("targets")}, {"indices", lowering.external("indices")}, {"step", lowering.external("step")}}};
        link.constants = std::move(constants);
        lowering.apply("loss", std::move(link), output, d_output);
        lowering.add_gradient("loss", output, d_output);
    }

    Shape shape() const {
        Shape shape;
        shape.in_c = in.c;
        return shape;
    }
};

/// Each of several units says whether its label is an image's: the mean of the units' binary cross-entropies.
class UnitsCrossentropy : public TargetsLoss {
public:
    explicit UnitsCrossentropy(float label_smoothing) : label_smoothing_(label_smoothing) {}

    std::string activation() const override { return "sigmoid"; }

    void lower_forward(Lowering &lowering, int output) const override {
        Shape smoothed = shape();
        smoothed.label_smoothing = label_smoothing_;
        call_forward(lowering, "binary_cross_entropy_fwd", smoothed, "logits", output);
    }

    void lower_backward(Lowering &lowering, int output) const override {
        apply_backward(lowering, "crossentropygradient", {label_smoothing_}, output);
    }

private:
    float label_smoothing_;
};

class MeanSquaredError : public TargetsLoss {
public:
    std::string activation() const override { return ""; }
    Metric metric() const override { return Metric::mean_absolute_error; }

    void lower_forward(Lowering &lowering, int output) const override {
        call_forward(lowering, "squared_error_fwd", shape(), "values", output);
    }

    void lower_backward(Lowering &lowering, int output) const override { apply_backward(lowering, "squarederrorgradient", {}, output); }
};

/// What a loss of a model file is made with.
struct LossOptions {
    float label_smoothing = 0;
};

template<typename L>
std::unique_ptr<Loss> of_classes(const FeatureMap &, const LossOptions &options) {
    return std::make_unique<L>(options.label_smoothing);
}

/// One unit tells classes apart, as sigmoid and labels of 0 and 1 do; several have labels each.
std::unique_ptr<Loss> binary_crossentropy(const FeatureMap &in, const LossOptions &options) {
    if (in.c == 1) return std::make_unique<BinaryCrossentropy>(options.label_smoothing);
    return std::make_unique<UnitsCrossentropy>(options.label_smoothing);
}

std::unique_ptr<Loss> mean_squared_error(const FeatureMap &, const LossOptions &) { return std::make_unique<MeanSquaredError>(); }

struct LossType {
    std::unique_ptr<Loss> (*make)(const FeatureMap &in, const LossOptions &options);
    bool smooths_labels = true;
};

/// By Keras's names.
const std::map<std::string, LossType> &losses() {
    static const std::map<std::string, LossType> losses = {
        {"binary_crossentropy", {binary_crossentropy}},
        {"categorical_crossentropy", {of_classes<CategoricalCrossentropy>}},
        {"mean_squared_error", {mean_squared_error, false}},
        {"sparse_categorical_crossentropy", {of_classes<SparseCategoricalCrossentropy>}},
    };
    return losses;
}

MakeLoss made(const LossType &type, const LossOptions &options) {
    return [make = type.make, options](const FeatureMap &in) {
        std::unique_ptr<Loss> loss = make(in, options);
        loss->in = in;
        return loss;
    };
}

}  // namespace

MakeLoss read_loss(Options &options) {
    std::vector<std::string> names;
    for (const auto &[name, type] : losses()) names.push_back(name);
    if (!options.holds_object("loss")) options.text("loss");  // it must be there
    NamedOptions chosen(options, "loss", names);
    const LossType &type = losses().at(chosen.name);
    LossOptions of_loss;
    if (type.smooths_labels) of_loss.label_smoothing = float(chosen.own.number("label_smoothing", 0, 0, 1));
    chosen.own.finish();
    return made(type, of_loss);
}

}  // namespace halcyon
