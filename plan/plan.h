// The plan: what the compiler decides and the runtime executes. It is written as plan.json, which is readable and diffable, and the same
// text is embedded in the model's library, so that what a user reads is what runs.
#pragma once

#include "plan/constraints.h"
#include "plan/kernel.h"
#include "plan/menu.h"
#include "plan/metric.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace halcyon {

/// Raised whenever plan.json's meaning changes; the runtime refuses a library of another version.
constexpr int plan_version = 4;

/// What a buffer's bytes belong to.
enum class Home {
    arena_batch,  // activations: offset and size are bytes *per image*, the runtime multiplies by its largest batch
    arena_fixed,  // statistics and workspaces
    parameters,   // the slab of trainable weights
    gradients,    // a slab laid out like `parameters`
    moving,       // the slab of moving statistics and the weights of frozen layers: saved, not trained
    optimizer,    // slabs laid out like `parameters`, one after the other: as many as an optimizer has at most
    prepared,     // what a program's first calls make of the weights, kept until these change
    zeros,        // what never changes, and begins at the offset 0: the bias of a layer without one, the beta of a batch norm
    ones,         // the same: the gamma of a batch norm without one
    external,     // bound by the runtime by name, as Lowering::external() and lower_augmentation() list them
};

/// Whether what lies there never changes.
constexpr bool is_constant(Home home) { return home == Home::zeros || home == Home::ones; }

/// Offsets are multiples of this many bytes: a cache line, the widest vector, and what OpenCL devices ask of a part of a buffer (128 for
/// PoCL, 512 for NVIDIA's). The largest batch multiplies those of activations, so that they stay multiples.
constexpr std::int64_t buffer_alignment = 512;

/// `bytes` rounded up to whole alignments.
constexpr std::int64_t align_buffer(std::int64_t bytes) { return (bytes + buffer_alignment - 1) / buffer_alignment * buffer_alignment; }

struct Buffer {
    std::string name;  // "conv2d_1", "conv2d_1/kernel", "d conv2d_1/kernel", ...
    std::string type;  // "float32", "int32", "uint32", "uint16", "uint8"

    /// In Halide's order, innermost first. Activations are (c, x, y, n) and stored in the set's order; everything else is dense as listed.
    std::vector<int> extents;

    Home home = Home::arena_batch;
    std::int64_t offset = 0;            // bytes from the start of its home, a multiple of buffer_alignment
    std::int64_t bytes = 0;             // without alignment; per image for arena_batch; 0 for external
    int first_call = 0, last_call = 0;  // the lifetime, for buffers in the arenas
};

struct Call {
    Kernel kernel;
    std::string layer;                                  // for messages and tables
    std::string entry;                                  // the menu entry taken
    std::string reason;                                 // why: "first that accepts", "pinned", or what the entries before it said
    std::string symbol;                                 // the compiled function
    std::vector<int> arguments;                         // indices into Program::buffers: inputs, outputs, workspaces
    double flops = 0;                                   // an image (a call, where the kernel does not see the batch)
    std::int64_t bytes_per_image = 0, bytes_fixed = 0;  // read and written
};

/// A sequence of calls: "input" and "input_float" (a batch of images as the layers read it, of records that are bytes or float32), then on
/// that "gradients" (forward and backward), "infer" and "infer_one", for a single image; the optimizers by their names. "augment" and
/// "augment_float" make the images of an augmented batch, which "input" then takes for records. Where a model's first layers are frozen,
/// "features" makes what they make of a batch, from which "gradients" and "infer" begin, and "input_features" gathers that of records which
/// were made before.
struct Program {
    std::string name;
    std::vector<Buffer> buffers;
    std::vector<Call> calls;
    int prepared_calls = 0;  // so many of the first depend on the weights alone: they are due only after these have changed
    std::int64_t arena_bytes_per_image = 0, arena_bytes_fixed = 0;
};

/// A compiled kernel, planned or (with --all-entries) only there to be tested and compared.
struct CompiledKernel {
    Kernel kernel;
    std::string entry, symbol;
    std::vector<Buffer> arguments;  // name, type and extents only
};

struct SetPlan {
    std::string set;
    std::string target;
    StorageOrder order = StorageOrder::hwnc;
    std::vector<std::string> fusions;  // one line each: what was fused where
    std::vector<Program> programs;
    std::int64_t prepared_bytes = 0;  // of all programs
    std::vector<CompiledKernel> kernels;
};

/// A weight, as Keras names it; its bytes lie in the slab `home` at `offset`, row-major as in Keras.
struct Parameter {
    std::string name;        // "conv2d/kernel"
    std::vector<int> shape;  // Keras's: kernels are (h, w, in, out) or (in, out)
    Home home = Home::parameters;
    std::int64_t offset = 0;

    /// What it begins as: an initializer (plan/initializers.h), whose options `values` has; "given", the model file's own `values`;
    /// "image_mean" and "image_variance", which are 0 and 1 until they are taken from the images to train on.
    std::string initializer;
    int fan_in = 0, fan_out = 0;
    std::vector<float> values = {};
    std::optional<Constraint> constraint = {};  // of a trained weight
};

std::size_t elements_of(const Parameter &parameter);

struct LayerSummary {
    std::string name, type;
    std::vector<int> output_shape;  // Keras's: (h, w, c) or (c)
    std::int64_t parameters = 0;
};

struct Plan {
    int version = plan_version;
    std::string model;
    int in_h = 0, in_w = 0, in_c = 0;
    int classes = 0;  // that images are told apart by; 0 where units are no classes
    int targets = 0;  // numbers that each image is to become, one a unit of the last layer; 0 where images have labels alone
    Metric metric = Metric::accuracy;
    int dropout_layers = 0;
    std::vector<double> dropout_rates;  // those layers' own; empty where all are 0
    std::vector<LayerSummary> layers;
    int feature_layers = 0;  // so many of the first make features, which training leaves as they are
    std::vector<Parameter> parameters;
    std::int64_t trainable = 0, non_trainable = 0;       // numbers of weights
    std::int64_t parameter_bytes = 0, moving_bytes = 0;  // sizes of the slabs
    std::vector<SetPlan> sets;

    /// What the network makes of an image: a number for each class, or for each target.
    int predictions() const { return targets > 0 ? targets : classes; }

    /// Whether targets are shares of the classes. A label does as well: it is a share of 1 of its class.
    bool has_class_shares() const { return classes > 0 && targets > 0; }

    /// Targets of units that are no classes.
    int units() const { return classes > 0 ? 0 : targets; }

    /// Whether these are labels from 0 to 1, and predictions their probabilities.
    bool has_unit_labels() const { return units() > 0 && !is_error(metric); }
};

std::string to_json(const Plan &plan);

/// Throws std::runtime_error where `text` is no plan of this version.
Plan parse_plan(std::string_view text);

}  // namespace halcyon
