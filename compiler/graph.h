// The graph: a program as a list of kernel calls on values, each written once (SSA), and the lowering of a model's layers to it.
#pragma once

#include "compiler/model.h"
#include "compiler/operands.h"
#include "plan/plan.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace halcyon {

/// A row of a chain with its operands, by the row's names for them.
struct AppliedLink {
    std::string row;
    Operands operands = {};
    int number = 0;                     // as Link::number
    std::vector<float> constants = {};  // as Link::constants

    bool operator==(const AppliedLink &) const = default;
};

using AppliedChain = std::vector<AppliedLink>;

struct Operation {
    std::string core;
    std::string layer;  // for messages and tables
    Shape shape;
    Operands inputs = {}, outputs = {};               // the core's
    std::map<std::string, AppliedChain> chains = {};  // by the places of the core that they are at

    /// The chain at a place; empty where there is none.
    const AppliedChain &chain(const std::string &place) const;

    /// Whether the core or a link reads `value`.
    bool reads(int value) const;

    /// What is read, by the core and by the links.
    std::vector<int> values_read() const;

    /// The kernel that is called: an operand that is one of the inputs already is no argument of its own.
    Kernel kernel() const;

    /// The values of its arguments, in their order.
    std::vector<int> arguments() const;
};

struct Graph {
    std::string model, name;     // the model's and the program's
    std::vector<Buffer> values;  // those in an arena have no place yet
    std::vector<Operation> operations;
    bool keeps_weights = false;  // inference: the weights stay the same from run to run

    /// Moves the operations that depend on weights alone before all others, gives what they make the home `prepared`, and returns their
    /// number.
    int move_preparations_first();
};

/// Where each weight lies in the slabs.
struct Slabs {
    std::vector<Parameter> parameters;
    std::vector<std::vector<int>> extents;  // of each parameter, in Halide's order
    std::int64_t trainable = 0, non_trainable = 0;
    std::int64_t parameter_bytes = 0, moving_bytes = 0;

    /// The index of a parameter, by Keras's name.
    int find(const std::string &name) const;
};

/// Every weight starts at a multiple of 64 bytes; what lies between them is never written but by the optimizers, which keep zeros there.
Slabs lay_out_slabs(const Model &model);

/// "input", and "input_float" for records of float32: the images of a batch, as the layers read them.
Graph lower_input(const Model &model, const Slabs &slabs, bool floats);

/// The number of layers at the beginning that make an image's features: what they make of it is the same in each step of training, and of
/// all that the layers behind read what the last one makes alone. 0 where none of them is frozen.
int feature_layers(const Model &model);

/// "features": what those layers make of the images that "input" makes, for training and inference alike. "input_features": the
/// same for a batch of records that are features. Nothing where there are no such layers.
std::vector<Graph> lower_features(const Model &model, const Slabs &slabs);

/// "gradients": the forward pass in training mode behind the features, the loss and the backward pass.
Graph lower_training(const Model &model, const Slabs &slabs);

/// The forward pass with moving statistics and the loss: "infer" for any `batch` (0), behind the features; "infer_one" for a batch of 1, of
/// all layers.
Graph lower_inference(const Model &model, const Slabs &slabs, int batch = 0);

/// A program of each optimizer's name (plan/optimizers.h): one call on the whole slabs.
std::vector<Graph> lower_optimizers(const Model &model, const Slabs &slabs);

/// "augment", and "augment_float" for a data set of floats: one call that makes a batch's images of records of the data set.
std::vector<Graph> lower_augmentation(const Model &model);

/// What a layer sees while it is lowered. Forward calls are appended at once; in training a layer leaves a function for each value it
/// makes, and these are called in reverse order with the value's whole gradient: reverse-mode differentiation over the tape.
class Lowering {
public:
    enum class Mode { training, inference };

    /// `batch`: as Shape::batch.
    Lowering(const Model &model, const Slabs &slabs, std::string name, Mode mode, int batch = 0);

    bool training() const { return mode_ == Mode::training; }
    int batch() const { return batch_; }

    /// A new value of a layer's making. A name taken already gets a number: "conv2d #2".
    int activation(const std::string &name, const FeatureMap &map);
    int vector(const std::string &name, int size);

    /// The same of a float for each element of an image, which all images share.
    int units(const std::string &name, const FeatureMap &map);

    /// A weight of `layer`, by its short name; the same value whenever it is asked for.
    int weight(const Layer &layer, const std::string &name);

    /// What stands for a weight that `layer` does without: `home` is zeros or ones. Its gradient is written and read by nobody else.
    int constant(const Layer &layer, const std::string &name, Home home, std::vector<int> extents);

    /// A value that the runtime binds by name: images, step, input, features; a batch's numbers among the images, image_indices, and among
    /// the labels, indices: augmented images have numbers of their own; and the loss's targets and metrics. Images are of either type.
    int external(const std::string &name, const std::string &type = "");

    /// A new value that holds a gradient of `value`. A weight's lies in the slab of gradients, where the weight lies in its own. That of a
    /// weight that is not trained is nobody's: a layer that is not trainable need not make it.
    int gradient(int value);

    /// A new value like a weight, for what becomes its gradient when the backward pass is over.
    int unfinished_gradient(int weight);

    /// The number of the next dropout layer.
    int next_dropout() { return dropouts_++; }

    /// The same of the layers of noise.
    int next_noise() { return noises_++; }

    void call(const std::string &layer, const std::string &core, const Shape &shape, Operands inputs, Operands outputs);

    /// A pass that applies one row to `input`, over (c, x, y, n), and writes `output`.
    void apply(const std::string &layer, AppliedLink link, int input, int output);

    /// The same over a convolution's weights, which `shape` has.
    void apply_to_weights(const std::string &layer, AppliedLink link, const Shape &shape, int input, int output);

    /// Whether the calls so far make the same of an image in each step: they read no weights that are trained and draw nothing, and no
    /// moving statistic moves.
    bool is_the_same_each_step() const { return is_the_same_each_step_; }

    /// True where something trainable lies before `value`.
    bool wants_gradient(int value) const { return wants_gradient_[value]; }

    /// In training: `backward` is called with the gradient of `value`, if there is one, after everything that reads `value` had its turn.
    void on_backward(int value, std::function<void(int gradient)> backward);

    /// In training: `finish` is called once the backward pass is over, when the gradients of all weights are there.
    void on_gradients(std::function<void()> finish) { finish_.push_back(std::move(finish)); }

    /// Adds `gradient` to what has arrived for `value` so far, where that wants one; `layer` is where it comes from.
    void add_gradient(const std::string &layer, int value, int gradient);

    /// Calls what on_backward() was given, last first, then what on_gradients() was.
    void run_backward();

    Graph finish() && { return std::move(graph_); }

private:
    struct Step {
        int value;
        std::function<void(int)> backward;
    };

    int new_value(Buffer buffer);
    void append(Operation operation);
    std::string unique(const std::string &name);

    const Model &model_;
    const Slabs &slabs_;
    Mode mode_;
    int batch_;
    Graph graph_;
    int dropouts_ = 0, noises_ = 0;
    bool is_the_same_each_step_ = true;
    std::vector<std::function<void()>> finish_;
    std::map<std::string, int> named_;           // weights and externals
    std::map<std::string, int> uses_;            // of each name
    std::vector<bool> wants_gradient_;           // by value
    std::vector<std::optional<int>> gradients_;  // by value: the sum so far
    std::vector<Step> tape_;
};

}  // namespace halcyon
