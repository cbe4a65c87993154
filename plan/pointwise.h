// The pointwise functions: what a kernel can apply to each value that its core reads or writes. A row is all there is to say about one, but
// for its expression (generators/pointwise.h) and its oracle (tests/kernels/oracle.cpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// How a result may be compared with the naive oracle's.
enum class Exactness {
    exact,    // adds, multiplies and compares only: bit-equal on small integers
    derived,  // divides, takes roots or draws random numbers: within a tolerance derived from the number of terms and their magnitudes
};

/// Where an operand of a row lies beside the value that the row is applied to.
enum class Beside {
    element,  // a float for each value: an activation of the same extents
    channel,  // a float for each channel
    unit,     // a float for each element of an image, the same for all images
    image,    // a float for each channel of each image
    labels,   // the data set's classes
    targets,  // a float of the data set for each channel
    indices,  // the record of each image of the batch
    step,     // the step buffer
};

struct RowOperand {
    std::string name;
    Beside beside;
};

/// A number in a row's expression: an option of the layer that it is, by Keras's name.
struct RowConstant {
    std::string name;
    double otherwise;  // Keras's default of the layer; it may lie beyond the range
    double low, high;

    bool takes(double value) const { return (value >= low && value <= high) || value == otherwise; }
};

/// The row that makes the gradient of a row's input of that of its output. It has the same constants.
struct RowGradient {
    std::string row;
    std::string operand;  // its only one, for each element: what the row made, or what it was applied to
    enum class Reads { output, input } reads;
};

struct PointwiseRow {
    std::string name;                  // letters only: names of kernels are made of them, and are taken apart again
    std::vector<RowOperand> operands;  // at most one for each element
    double flops;                      // a value
    Exactness exactness;
    bool is_numbered = false;                  // it has a number: which of the network's layers of dropout, or of noise
    std::optional<RowGradient> gradient = {};  // of what can be a layer or an activation
    std::vector<RowConstant> constants = {};
};

const std::vector<PointwiseRow> &pointwise_rows();

/// Throws std::invalid_argument for an unknown name.
const PointwiseRow &find_row(std::string_view name);

/// A row in a chain.
struct Link {
    std::string row;
    int number = 0;  // of the layer of dropout or of noise, where the row is one's

    /// The kernel's input that the operand for each element is the same as, by its place among the inputs; -1: an input of its own.
    int same_as = -1;

    std::vector<float> constants = {};  // the row's, in its order

    bool operator==(const Link &) const = default;
};

/// Rows that are applied to a value one after the other.
using Chain = std::vector<Link>;

/// What "activation" can name in a model file, but for linear and softmax.
struct Activation {
    std::string name;  // Keras's
    Link link;
    std::optional<Link> approximate = {};  // with Keras's option of that name, where it has it
};
const std::vector<Activation> &all_activations();

/// A layer that is a row, with the row's constants as its options.
struct PointwiseLayer {
    std::string type;        // in a model file
    std::string keras_name;  // what Keras calls the first such layer without a name
    std::string row;
    std::string plain_row = {};  // what it is where all constants have their defaults, if that is another
};
const std::vector<PointwiseLayer> &pointwise_layers();

/// Whether a row of the chain draws random numbers.
bool draws(const Chain &chain);

}  // namespace halcyon
