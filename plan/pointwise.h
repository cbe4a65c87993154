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
    labels,   // the data set's classes
    indices,  // the record of each image of the batch
    step,     // the step buffer
};

struct RowOperand {
    std::string name;
    Beside beside;
};

/// A row that is a layer and an activation of its own.
struct PointwiseLayer {
    std::string type;        // in a model file: of a layer, and of an "activation"
    std::string keras_name;  // what Keras calls the first such layer without a name

    /// The row that makes the gradient of its input of that of its output, and that row's operand for each element: what this row made, or
    /// what it was applied to.
    enum class Reads { output, input };
    std::string gradient, operand;
    Reads reads;
};

struct PointwiseRow {
    std::string name;                  // letters only: names of kernels are made of them, and are taken apart again
    std::vector<RowOperand> operands;  // at most one for each element
    double flops;                      // a value
    Exactness exactness;
    bool is_layer_of_dropout = false;  // it has a number: which of the network's dropout layers
    std::optional<PointwiseLayer> layer = {};
};

const std::vector<PointwiseRow> &pointwise_rows();

/// Throws std::invalid_argument for an unknown name.
const PointwiseRow &find_row(std::string_view name);

/// A row in a chain.
struct Link {
    std::string row;
    int dropout = 0;  // the number of the dropout layer, where the row is one's

    /// The kernel's input that the operand for each element is the same as, by its place among the inputs; -1: an input of its own.
    int same_as = -1;

    bool operator==(const Link &) const = default;
};

/// Rows that are applied to a value one after the other.
using Chain = std::vector<Link>;

/// Whether a row of the chain drops: it draws random numbers.
bool draws(const Chain &chain);

}  // namespace halcyon
