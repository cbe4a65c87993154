// A layer: its output's shape, its weights, its forward calls and its backward calls.
#pragma once

#include "compiler/layers/feature_map.h"
#include "plan/constraints.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace halcyon {

class Lowering;

struct Weight {
    std::string name;          // "kernel"
    std::vector<int> shape;    // Keras's, row-major
    std::vector<int> extents;  // Halide's, innermost first
    bool trainable = true;     // false: a moving statistic, which no layer trains
    std::string initializer;   // Parameter::initializer
    std::int64_t fan_in = 0, fan_out = 0;
    std::vector<float> values = {};  // of "given"
    std::optional<Constraint> constraint = {};
};

class Layer;

/// scale x + offset
struct Rescaled {
    double scale = 1, offset = 0;
};

/// What the layers at the beginning of a model make of an image, which they leave to the input kernel: rescaled, normalised by the one
/// layer that does so, and rescaled again.
struct InputScaling {
    Rescaled before, after;
    const Layer *normalization = nullptr;

    /// What the next rescaling adds to.
    Rescaled &last() { return normalization ? after : before; }
};

class Layer {
public:
    virtual ~Layer() = default;

    std::string name, type;
    std::vector<int> inputs;     // indices of the layers it reads; image_input: the image
    std::vector<FeatureMap> in;  // of each input
    FeatureMap out;

    /// False: training leaves its weights as they are, and a batch norm takes its moving statistics, which stay as they are too.
    bool trainable = true;

    /// How many inputs it reads: exactly one, or (add) two and more.
    virtual bool takes_many() const { return false; }

    /// The output's shape, from `in`. Throws std::invalid_argument with the reason where `in` does not fit.
    virtual FeatureMap infer() const = 0;

    /// In Keras's order.
    virtual std::vector<Weight> weights() const { return {}; }

    bool trains(const Weight &weight) const { return trainable && weight.trainable; }

    /// True of layers that the input kernel does the work of: only such stand before it.
    virtual bool scales_input() const { return false; }

    /// Adds what such a layer does. Throws std::invalid_argument with the reason where it can do no more.
    virtual void add_to(InputScaling &) const {}

    /// The activation that the output goes through; "linear": none.
    virtual std::string activation() const { return "linear"; }

    /// Set where the loss takes the activation in.
    bool leaves_activation = false;

    /// Of a layer that drops: its own rate, which a recipe's is taken before.
    virtual std::optional<double> dropout_rate() const { return {}; }

    /// True where the output is the input, in another shape at most: what is left to the loss is left to it through such a layer as well.
    virtual bool hands_on() const { return false; }

    /// Appends the forward calls, and where `lowering` records a training step leaves the backward ones to it. `inputs` and the result are
    /// values.
    virtual int lower(Lowering &lowering, const std::vector<int> &inputs) const = 0;
};

constexpr int image_input = -1;

}  // namespace halcyon
