// The step buffer: everything that changes from step to step or by recipe, in one small uint32 buffer that the runtime writes and the
// kernels read, so that a recorded step can be replayed. Floats are stored by their bits.
#pragma once

namespace halcyon {

/// The most numbers that a recipe can set of an optimizer.
constexpr int most_optimizer_settings = 4;

enum StepField : int {
    step_seed,           // uint32
    step_epoch,          // uint32, from 0
    step_position,       // uint32, the place in the epoch of the batch's first image
    step_inverse_batch,  // float, 1 / images in the global batch
    step_learning_rate,  // float, as Optimizer::correct leaves it (plan/optimizers.h)
    step_first_setting,  // floats: the optimizer's settings in the order of its row, likewise
    // uint32: an image is flipped where its 16 random bits are below it; 0 never, 65536 always
    step_flip_threshold = step_first_setting + most_optimizer_settings,
    step_first_dropout,  // two words a dropout layer, see dropout_threshold() and dropout_scale()
};

/// uint32: an element is dropped where its 16 random bits are below it: round(rate * 65536).
constexpr int dropout_threshold(int layer) { return step_first_dropout + 2 * layer; }

/// The rates that these 16 bits tell from 0 and from 1.
constexpr bool is_dropout_rate(double rate) { return rate == 0 || (rate >= 1.0 / 65536 && rate <= 65535.0 / 65536); }
constexpr const char *dropout_rate_range = "0 or a number from 1/65536 to 65535/65536";

/// float: what kept elements are multiplied by: 1 / (1 - rate).
constexpr int dropout_scale(int layer) { return step_first_dropout + 2 * layer + 1; }

/// float: what the loss of an image of class `label` is multiplied by: 1 but where training weights the classes. These are the last of the
/// buffer's `words`, so that the loss need not know how many dropout layers there are.
constexpr int class_weight(int words, int classes, int label) { return words - classes + label; }

/// Words in the step buffer of a model with this many dropout layers and classes.
constexpr int step_words(int dropout_layers, int classes) { return step_first_dropout + 2 * dropout_layers + classes; }

/// The random streams: numbers from different streams are independent.
enum RandomStream : unsigned {
    stream_shuffle = 0,
    stream_flip = 1,
    stream_init = 2,
    stream_split = 3,
    stream_vertical_flip = 4,
    stream_crop = 5,
    stream_affine = 6,
    stream_brightness = 7,
    stream_contrast = 8,
    stream_erase = 9,
    stream_first_dropout = 16,
    stream_first_noise = 1 << 16,  // behind the dropouts of any model
};

}  // namespace halcyon
