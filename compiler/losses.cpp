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

/// What the losses of classes share: labels, probabilities, and the mean over the batch of what is computed from logits, as Keras's with
/// from_logits=True.
class Crossentropy : public Loss {
public:
    explicit Crossentropy(float label_smoothing) : label_smoothing_(label_smoothing) {}

    void check() const override {
        if (in.h != 1 || in.w != 1)
            throw std::invalid_argument(fmt::format("its output is {}x{}x{}, and the loss takes one pixel, whose channels are the "
                                                    "classes: end in a flatten and a dense layer, or bring the rows and columns down to 1",
                                                    in.h, in.w, in.c));
    }

    std::vector<Buffer> targets() const override { return {bound("labels", "uint16", {records_extent})}; }

    std::vector<Buffer> metrics() const override {
        return {bound("probabilities", "float32", {classes(), 1, 1, batch_extent}), bound("loss", "float32", {batch_extent}),
                bound("correct", "float32", {batch_extent})};
    }

protected:
    void call_forward(Lowering &lowering, const char *core, int output) const {
        Shape shape;
        shape.in_c = in.c;
        shape.label_smoothing = label_smoothing_;
        Operands inputs = read(lowering);
        inputs.insert("logits", output);
        lowering.call("loss", core, shape, std::move(inputs),
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

private:
    /// What both directions read beside activations.
    static Operands read(Lowering &lowering) {
        return {{"labels", lowering.external("labels")}, {"indices", lowering.external("indices")}, {"step", lowering.external("step")}};
    }

    float label_smoothing_;
};

class SparseCategoricalCrossentropy : public Crossentropy {
public:
    using Crossentropy::Crossentropy;

    std::string activation() const override { return "softmax"; }
    int classes() const override { return in.c; }

    void check() const override {
        Crossentropy::check();
        if (in.c < 2 || in.c > most_classes)
            throw std::invalid_argument(fmt::format("there can be 2 to {} classes, not {}", most_classes, in.c));
    }

    void lower_forward(Lowering &lowering, int output) const override { call_forward(lowering, "softmax_cross_entropy_fwd", output); }

    void lower_backward(Lowering &lowering, int output) const override {
        apply_backward(lowering, "onehotgradient", "smoothedonehotgradient", lowering.external("probabilities"), output);
    }

private:
    static constexpr int most_classes = 65536;  // labels are uint16
};

/// One logit tells two classes apart: that of class 1.
class BinaryCrossentropy : public Crossentropy {
public:
    using Crossentropy::Crossentropy;

    std::string activation() const override { return "sigmoid"; }
    int classes() const override { return 2; }

    void check() const override {
        Crossentropy::check();
        if (in.c != 1) throw std::invalid_argument(fmt::format("binary_crossentropy takes 1 unit, for classes 0 and 1, not {}", in.c));
    }

    void lower_forward(Lowering &lowering, int output) const override { call_forward(lowering, "sigmoid_cross_entropy_fwd", output); }

    void lower_backward(Lowering &lowering, int output) const override {
        apply_backward(lowering, "binarygradient", "smoothedbinarygradient", output, output);
    }
};

template<typename L>
std::unique_ptr<Loss> make(float label_smoothing) {
    return std::make_unique<L>(label_smoothing);
}

/// By Keras's names.
const std::map<std::string, std::unique_ptr<Loss> (*)(float label_smoothing)> &losses() {
    static const std::map<std::string, std::unique_ptr<Loss> (*)(float label_smoothing)> losses = {
        {"binary_crossentropy", make<BinaryCrossentropy>},
        {"categorical_crossentropy", make<SparseCategoricalCrossentropy>},  // Keras's of labels that are one-hot: here they are classes
        {"sparse_categorical_crossentropy", make<SparseCategoricalCrossentropy>},
    };
    return losses;
}

}  // namespace

std::unique_ptr<Loss> read_loss(Options &options) {
    std::vector<std::string> names;
    for (const auto &[name, make_loss] : losses()) names.push_back(name);
    if (!options.holds_object("loss")) {
        options.text("loss");
        return losses().at(options.choice("loss", names, ""))(0);
    }
    Options own(options.object("loss"), "loss");
    own.text("type");
    const std::string type = own.choice("type", names, "");
    std::unique_ptr<Loss> loss = losses().at(type)(float(own.number("label_smoothing", 0, 0, 1)));
    own.finish();
    return loss;
}

}  // namespace halcyon
