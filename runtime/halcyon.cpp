#include "runtime/halcyon.h"

#include "plan/errors.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "runtime/training/metrics.h"
#include "runtime/weights/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace halcyon;

struct halcyon_network {
    std::unique_ptr<Network> network;   // null where it could not be opened
    bool has_weights = false;           // initialized or loaded
    std::vector<std::int32_t> records;  // 0, 1, 2, ...: the batch is the whole data set
    std::string error;

    Network &get() {
        if (!network) throw std::runtime_error("the network could not be opened: close it");
        return *network;
    }

    Network &get_with_weights() {
        Network &open = get();
        if (!has_weights) throw std::runtime_error("the network has no weights yet: initialize it or load them");
        return open;
    }

    std::size_t image_bytes() {
        const Plan &plan = get().plan();
        return static_cast<std::size_t>(plan.in_h) * static_cast<std::size_t>(plan.in_w) * static_cast<std::size_t>(plan.in_c);
    }

    /// The images of a batch.
    std::span<const std::uint8_t> batch_of(const std::uint8_t *images, int count) {
        if (count < 1 || count > get().max_batch())
            throw std::invalid_argument(fmt::format("a batch of {} images: it must have 1 to {}", count, get().max_batch()));
        return {images, static_cast<std::size_t>(count) * image_bytes()};
    }

    /// The numbers of its records.
    std::span<const std::int32_t> records_of(int count) const { return std::span(records).first(static_cast<std::size_t>(count)); }
};

namespace {

/// A step's after_gradients returned what is not 0.
struct StepEnded {
    int status;
};

/// Runs `action` on a network and turns what it throws into a status and a message.
template<typename Action>
halcyon_status guarded(halcyon_network *handle, Action &&action) noexcept {
    if (!handle) return HALCYON_FAILED;
    try {
        try {
            action();
            return HALCYON_OK;
        } catch (const StepEnded &ended) {
            handle->error = fmt::format("after_gradients returned {}: the step ended before its update", ended.status);
            return ended.status;
        } catch (const std::exception &error) {
            handle->error = message_of(error);
        } catch (...) {
            handle->error = message_of(std::exception());
        }
    } catch (...) {                       // no memory for the message
        handle->error = "out of memory";  // short enough to need none
    }
    return HALCYON_FAILED;
}

/// Throws where an argument that must point to something does not.
void require(const void *pointer, const char *argument) {
    if (!pointer) throw std::invalid_argument(fmt::format("`{}` is a null pointer", argument));
}

/// The hook of a step that a C program gave; empty where it gave none.
AfterGradients after_gradients_of(const halcyon_step &step) {
    if (!step.after_gradients) return {};
    return [&step](std::span<float> gradients) {
        if (const int status = step.after_gradients(step.user, gradients.data(), gradients.size())) throw StepEnded{status};
    };
}

/// What the network takes for a C program's step. Throws std::invalid_argument where it cannot tell the step's random numbers from others.
TrainingStep training_step(const Plan &plan, std::span<const std::int32_t> records, const halcyon_step &step) {
    // Every update draws its own.
    constexpr std::int64_t last_update = std::numeric_limits<std::uint32_t>::max();
    if (step.update < 1 || step.update > last_update)
        throw std::invalid_argument(fmt::format("an update of number {}: it must be 1 to {}", step.update, last_update));
    TrainingStep training;
    training.records.assign(records.begin(), records.end());
    training.values.seed = step.seed;
    training.values.epoch = static_cast<std::uint32_t>(step.update);
    training.values.update = step.update;
    training.values.learning_rate = step.learning_rate;
    training.values.flip_probability = step.flip_probability;
    if (step.dropout_rate != 0) training.values.dropout_rates.assign(static_cast<std::size_t>(plan.dropout_layers), step.dropout_rate);
    return training;
}

}  // namespace

halcyon_status halcyon_open(const halcyon_model *model, const char *schedule, int threads, int max_batch, halcyon_network **network) {
    if (!network) return HALCYON_FAILED;
    halcyon_network *handle = *network = new (std::nothrow) halcyon_network;
    return guarded(handle, [&] {
        require(model, "model");
        require(schedule, "schedule");
        Plan plan = plan_of(*model);
        const Set &set = choose_set(schedule, compiled_sets(plan));
        auto opened = std::make_unique<Network>(*model, std::move(plan), set.name, threads, max_batch);
        handle->records.resize(static_cast<std::size_t>(max_batch));
        std::iota(handle->records.begin(), handle->records.end(), 0);
        handle->network = std::move(opened);
    });
}

void halcyon_close(halcyon_network *network) { delete network; }

const char *halcyon_last_error(const halcyon_network *network) {
    return network ? network->error.c_str() : "there is no network: a null pointer, or no memory";
}

halcyon_status halcyon_initialize(halcyon_network *network, uint32_t seed) {
    return guarded(network, [&] {
        network->get().initialize(seed);
        network->has_weights = true;
    });
}

halcyon_status halcyon_load_weights(halcyon_network *network, const char *path) {
    return guarded(network, [&] {
        require(path, "path");
        load_weights(path, network->get());
        network->has_weights = true;
    });
}

halcyon_status halcyon_save_weights(halcyon_network *network, const char *path) {
    return guarded(network, [&] {
        require(path, "path");
        save_weights(path, network->get_with_weights(), {});
    });
}

halcyon_status halcyon_predict(halcyon_network *network, const uint8_t *images, int count, float *predictions) {
    return guarded(network, [&] {
        require(images, "images");
        require(predictions, "predictions");
        Network &model = network->get_with_weights();
        model.bind_images(network->batch_of(images, count));
        model.infer(network->records_of(count));
        const std::span<const float> results = model.predictions();
        if (!all_finite(results)) throw std::runtime_error("the predictions are not finite: the weights have diverged or are damaged");
        std::ranges::copy(results, predictions);
    });
}

namespace {

/// A step on images whose labels or targets are `answers`: an image's are `an_image` side by side.
template<typename T>
halcyon_status train_step(halcyon_network *network, const uint8_t *images, const T *answers, const char *name, int count,
                          std::size_t (*an_image)(const Plan &), const halcyon_step *step, double *loss) {
    return guarded(network, [&] {
        require(images, "images");
        require(answers, name);
        require(step, "step");
        Network &model = network->get_with_weights();
        const Optimizer &optimizer = find_optimizer(step->optimizer ? step->optimizer : "adam");
        const std::span<const std::uint8_t> batch_images = network->batch_of(images, count);
        model.bind_data(batch_images, std::span(answers, static_cast<std::size_t>(count) * an_image(model.plan())));
        const TrainingStep training = training_step(model.plan(), network->records_of(count), *step);
        const BatchResult batch = model.train(optimizer, {&training, 1}, after_gradients_of(*step)).front();
        if (!std::isfinite(batch.loss))
            throw std::runtime_error(
                fmt::format("the loss became {}: initialize the network or load weights, and try a lower learning rate", batch.loss));
        if (loss) *loss = batch.loss / count;
    });
}

}  // namespace

halcyon_status halcyon_train_step(halcyon_network *network, const uint8_t *images, const uint16_t *labels, int count,
                                  const halcyon_step *step, double *loss) {
    const auto one = [](const Plan &) { return std::size_t{1}; };
    return train_step(network, images, labels, "labels", count, one, step, loss);
}

halcyon_status halcyon_train_step_on_targets(halcyon_network *network, const uint8_t *images, const float *targets, int count,
                                             const halcyon_step *step, double *loss) {
    const auto all = [](const Plan &plan) { return static_cast<std::size_t>(std::max(plan.targets, 1)); };
    return train_step(network, images, targets, "targets", count, all, step, loss);
}
