// A compiled network with its weights: what a trainer, a benchmark or a test calls. One step of training is
//
//     BatchResult batch = network.gradients(records, step);   // forward, loss, backward
//     // network.gradient_slab() holds the gradients: the place to combine them with other machines'
//     network.update(find_optimizer("adam"), step);
//
// and train() makes several of those.
#pragma once

#include "plan/optimizers.h"
#include "plan/plan.h"
#include "runtime/engine/memory.h"
#include "runtime/engine/step_words.h"
#include "runtime/model.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// One step of training: what Network::train() takes.
struct TrainingStep {
    std::vector<std::int32_t> records;
    StepValues values;
    std::vector<std::int32_t> augment = {};  // augment_words (plan/augment.h) for each record; empty: the images as they are
};

/// Called between a step's backward pass and its update, with the gradients of all weights as they lie in the slab: here they are combined
/// with other machines', or clipped. What it throws ends the training before that update. Where kernels run on a device it gets the host's
/// copy, which goes back to the device for the update: a step then waits for two copies, and one for the host.
using AfterGradients = std::function<void(std::span<float> gradients)>;

/// Sums over the images of a batch, added in order; the loss is weighted by class where the step says so.
struct BatchResult {
    double loss = 0;
    double metric = 0;  // the plan's: 1 for each image whose class is right, or the mean over its units of what is reported of them
};

/// The plan of a compiled model. Throws std::runtime_error where its library or plan is of another version, or not whole.
Plan plan_of(const halcyon_model &model);

/// The names of the plan's sets, for choose_set().
std::vector<std::string> compiled_sets(const Plan &plan);

/// One network on one schedule set. Not to be called from two threads at once; two networks are independent of each other.
class Network {
public:
    /// `plan` is plan_of(model), which callers have at hand already: its text takes longer to read than the weights to initialise. `set` is
    /// one of its sets that this machine can run (choose_set() in runtime/engine/machine.h picks one); `threads` >= 1 counts the caller.
    /// The weights are zero until initialize() or until they are written. Throws std::runtime_error where the model has no such set or
    /// lacks a kernel, and like ThreadPool and Memory where there are not so many threads or is no room for so many images.
    Network(const halcyon_model &model, Plan plan, std::string_view set, int threads, int max_batch);
    ~Network();
    Network(const Network &) = delete;
    Network &operator=(const Network &) = delete;

    const Plan &plan() const;
    const std::string &set() const;
    int max_batch() const;

    /// What the constructor took to load all kernels into a device; 0 on the host.
    double prepare_seconds() const;

    /// Every weight by its initializer, a function of `seed` alone; gradients and the optimizer's state to zero.
    void initialize(std::uint32_t seed);

    // Programs keep what they make of the weights until a span of these is asked for or they are trained, and a device has copies of its
    // own: after every run, ask anew before reading or writing.

    /// The slabs, padding between the weights (always zero) included. `optimizer_slab` is a slab laid out like the parameters' for each of
    /// the most slots that an optimizer has: Adam's moments, or SGD's velocity and nothing.
    std::span<float> parameter_slab();
    std::span<float> gradient_slab();
    std::span<float> moving_slab();
    std::span<float> optimizer_slab();

    /// A weight in its slab, row-major as in Keras.
    std::span<float> weight(const Parameter &parameter);
    /// The gradient of a trainable weight. Throws std::invalid_argument for a moving statistic.
    std::span<float> gradient(const Parameter &parameter);
    /// The optimizer's state of a trainable weight, by the number of the slot (Optimizer::slots).
    std::span<float> optimizer_state(const Parameter &parameter, int slot);

    /// From here on there is room for averages of the trained weights, which updates make of them that are asked to (UpdateOptions).
    void keep_averages();

    /// The averages, laid out like the parameters; empty where none are kept.
    std::span<float> average_slab();
    std::span<float> average(const Parameter &parameter);

    /// Exchanges the trained weights and their averages, where these are kept.
    void swap_averages();

    /// A data set where the kernels read it: `images` has in_h * in_w * in_c values a record, interleaved (c innermost, then x, y),
    /// `answers` a label a record, or the plan's targets where it has such. A NaN among floats of images reaches the loss. On the host both
    /// must outlive its use; a device gets a copy. Throws std::invalid_argument for no record, images of another size, more than kernels
    /// can address, answers of the other kind, a label that is no class, and a target that the loss does not take.
    PlacedData place(const Records &images, const Answers &answers);

    /// How many values the model's frozen layers make of an image; 0 where it has none at its beginning.
    std::size_t feature_values() const;
    /// The most images whose features the kernels can address as a data set.
    std::size_t addressable_features() const;

    /// What they make of 1 .. max_batch records of images, one record's after the other's, interleaved like images. It is the same in
    /// training and in inference, and in every step. Throws like gradients(), and std::invalid_argument where `features` does not have
    /// feature_values() for each record, or the bound data are features.
    void make_features(std::span<const std::int32_t> records, std::span<float> features);

    /// Such features as a data set: steps and infer() then begin behind the frozen layers, and come to the same bits. There is no
    /// augmentation and no flip of them. Otherwise like place().
    PlacedData place_features(std::span<const float> features, const Answers &answers);

    /// The data that records are numbers of, which must outlive its use.
    void bind_data(const PlacedData &data);
    /// The same for data that the network places, like place(); a device's copy is of now, and is used again for as many records.
    void bind_data(const Records &images, const Answers &answers);
    /// The same of images alone, to infer.
    void bind_images(const Records &images);

    /// Forward in training mode and backward, over 1 .. max_batch records: leaves the gradients of the mean loss in gradient_slab() and
    /// updates the moving statistics. Throws std::invalid_argument for a record, batch or value of the step out of range, before anything
    /// is changed, and std::runtime_error for a kernel's failure, which leaves weights as they were and moving statistics perhaps changed.
    BatchResult gradients(std::span<const std::int32_t> records, const StepValues &step);

    /// What a step with these words trains on, as a data set has its images: valid until the next call of any program. Throws like
    /// gradients(), and std::invalid_argument for other than augment_words for each record.
    Records augment(std::span<const std::int32_t> records, std::span<const std::int32_t> words);

    /// One step with what is in gradient_slab(): the optimizer, around it what the step's options ask for, and the weights' constraints.
    /// Throws like gradients(), and std::runtime_error where the model was compiled without that optimizer; a kernel's failure may leave
    /// some weights changed.
    void update(const Optimizer &optimizer, const StepValues &step);

    /// How many steps train() takes at once: 1 on the host; as many on a device as it computes while the host prepares and reads others.
    int steps_ahead() const;

    /// 1 .. steps_ahead() steps in turn, each gradients(), `after_gradients` where it is given, and update(). Without it a device neither
    /// waits for the host between them nor copies anything from or to it. Returns their results, which the next call overwrites. Throws
    /// like those three; the steps before the one that failed are done.
    std::span<const BatchResult> train(const Optimizer &optimizer, std::span<const TrainingStep> steps,
                                       const AfterGradients &after_gradients = {});

    /// Forward with the moving statistics and without dropout, over 1 .. max_batch records. Throws like gradients().
    BatchResult infer(std::span<const std::int32_t> records);

    /// Of the last infer(): the probabilities of the classes, or what the units make, those of an image side by side.
    std::span<const float> predictions();

    /// The stream of the kernels of the set cuda, a CUstream in the device's primary context, for libraries that are to work in their
    /// order; null for other sets.
    void *cuda_stream() const;

    /// Calls of halide_malloc by the kernels since construction: no more after the first step.
    std::int64_t allocations() const;

private:
    struct Implementation;

    void train_step(const Optimizer &optimizer, int row, const TrainingStep &step, const AfterGradients &after_gradients);

    std::unique_ptr<Implementation> self_;
};

}  // namespace halcyon
