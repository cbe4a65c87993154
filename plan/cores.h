// The list of cores: every kernel that Halcyon can compile is one of these in a shape, with chains of pointwise functions (plan/kernel.h).
// The planner, the generator, the tests and the benchmarks are stamped out of it.
#pragma once

#include "plan/pointwise.h"
#include "plan/shape.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// What an argument holds: its type, and its extents in any shape.
enum class Role {
    input,         // float32 (in_c, in_w, in_h, image): activations that the layer reads, or their gradient
    output,        // float32 (out_c, out_w, out_h, image)
    others,        // float32 (out_c - in_c, in_w, in_h, image): the channels of a concatenation that the input has not
    pooled,        // float32 (out_c, pooled_w, pooled_h, image)
    in_images,     // float32 (in_c, 1, 1, image)
    out_images,    // float32 (out_c, 1, 1, image)
    in_units,      // float32 (in_c, in_w, in_h)
    out_units,     // float32 (out_c, out_w, out_h)
    pooled_units,  // float32 (out_c, pooled_w, pooled_h)
    in_channels,   // float32 (in_c)
    out_channels,  // float32 (out_c)
    weights,       // float32 (out_c, in_c / groups, kernel_w, kernel_h)
    tile_weights,  // the same, or in Winograd's tiles where the shape says so
    both_classes,  // float32 (2, 1, 1, image)
    per_image,     // float32 (image)
    records,       // uint8 or, where the shape says so, float32 (in_c, in_w, in_h, record)
    images,        // the same of as many records as the batch has images
    labels,        // uint16 (record)
    in_targets,    // float32 (in_c, record)
    out_targets,   // float32 (out_c, record)
    indices,       // int32 (image)
    augment,       // int32 (augment_words, image)
    step,          // uint32 (the words of plan/step.h)
    slab,          // float32 (elements)
};

struct Argument {
    std::string name;
    Role role;
    bool updated = false;  // an output that is read as well: updated in place
};

/// What of a shape a core has, and so what its name shows.
enum class Sizes {
    activation,          // in_h, in_w, in_c
    window,              // a pool's: out_c is in_c
    concatenation,       // in_h, in_w, in_c, out_c
    convolution,         // out_c as well; dilation, groups, tile and batch
    pooled_convolution,  // a pool behind a convolution as well
    weights,             // in_c, out_c and the window; groups and tile
    channels,            // in_c
    slab,                // elements
};

/// The constants of batch normalisation that a core has.
enum class Constants { none, epsilon, epsilon_and_momentum };

struct Core {
    std::string name;
    std::vector<Argument> inputs;   // in the order of the compiled function's arguments
    std::vector<Argument> outputs;  // after the inputs and those of the chains; the entry's workspaces follow
    std::vector<Argument> between;  // values on the way from the ones to the others that a chain can be applied to
    Sizes sizes;
    Constants constants;
    Exactness exactness;
    std::function<double(const Shape &)> flops;  // floating-point operations an image (a call, for optimizers and folds)

    /// An argument or a value between by its name; null where there is none.
    const Argument *find(std::string_view name) const;
};

const std::vector<Core> &all_cores();

/// Throws std::invalid_argument for an unknown name.
const Core &find_core(std::string_view name);

}  // namespace halcyon
