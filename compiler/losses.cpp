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

/// Keras's with from_logits=True, the mean over the batch: it takes in the softmax that a model may end in.
class SparseCategoricalCrossentropy : public Loss {
public:
    void check() const override {
        if (in.h != 1 || in.w != 1)
            throw std::invalid_argument(fmt::format(
                "its output is {}x{}x{}, and the loss takes one pixel, whose channels are the classes: end in a dense layer, or "
                "bring the rows and columns down to 1",
                in.h, in.w, in.c));
        if (in.c < 2 || in.c > most_classes)
            throw std::invalid_argument(fmt::format("there can be 2 to {} classes, not {}", most_classes, in.c));
    }

    std::vector<Buffer> targets() const override { return {bound("labels", "uint16", {records_extent})}; }

    std::vector<Buffer> metrics() const override {
        return {bound("probabilities", "float32", {in.c, 1, 1, batch_extent}), bound("loss", "float32", {batch_extent}),
                bound("correct", "float32", {batch_extent})};
    }

    void lower_forward(Lowering &lowering, int output) const override {
        Shape shape;
        shape.in_c = in.c;
        Operands inputs = read(lowering);
        inputs.insert("logits", output);
        lowering.call("loss", "softmax_cross_entropy_fwd", shape, std::move(inputs),
                      {{"probabilities", lowering.external("probabilities")},
                       {"loss", lowering.external("loss")},
                       {"correct", lowering.external("correct")}});
    }

    void lower_backward(Lowering &lowering, int output) const override {
        const int d_output = lowering.gradient(output);
        lowering.apply("loss", {"onehotgradient", read(lowering)}, lowering.external("probabilities"), d_output);
        lowering.add_gradient("loss", output, d_output);
    }

private:
    static constexpr int most_classes = 65536;  // labels are uint16

    /// What both directions read beside activations.
    static Operands read(Lowering &lowering) {
        return {{"labels", lowering.external("labels")}, {"indices", lowering.external("indices")}, {"step", lowering.external("step")}};
    }
};

template<typename L>
std::unique_ptr<Loss> make() {
    return std::make_unique<L>();
}

/// By Keras's names.
const std::map<std::string, std::unique_ptr<Loss> (*)()> &losses() {
    static const std::map<std::string, std::unique_ptr<Loss> (*)()> losses = {
        {"sparse_categorical_crossentropy", make<SparseCategoricalCrossentropy>},
    };
    return losses;
}

}  // namespace

std::unique_ptr<Loss> read_loss(Options &options) {
    std::vector<std::string> names;
    for (const auto &[name, make_loss] : losses()) names.push_back(name);
    options.text("loss");
    return losses().at(options.choice("loss", names, ""))();
}

}  // namespace halcyon
