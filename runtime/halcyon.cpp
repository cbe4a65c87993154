#include "runtime/halcyon.h"

#include "runtime/checkpoint.h"
#include "runtime/machine.h"
#include "runtime/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <new>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

using namespace halcyon;

struct halcyon_network {
    std::optional<Network> network;       // empty where it could not be opened
    std::vector<std::int32_t> records;    // 0, 1, 2, ...: the batch is the whole data set
    std::vector<std::uint8_t> no_labels;  // of images to predict
    std::string error;

    Network &get() {
        if (!network) throw std::runtime_error("the network could not be opened: close it");
        return *network;
    }

    /// Binds a batch; returns the numbers of its records.
    std::span<const std::int32_t> bind(const std::uint8_t *images, const std::uint8_t *labels, int count) {
        get().bind_data(images, labels, count);
        if (count < 1 || count > get().max_batch())
            throw std::invalid_argument(fmt::format("a batch of {} images: it must have 1 to {}", count, get().max_batch()));
        return std::span(records).first(static_cast<std::size_t>(count));
    }
};

namespace {

/// Runs `action` on an open network and turns what it throws into a status and a message.
template<typename Action>
halcyon_status guarded(halcyon_network *handle, Action &&action) noexcept {
    try {
        action();
        return HALCYON_OK;
    } catch (const std::exception &error) {
        try {
            handle->error = error.what();
        } catch (...) {  // no memory for the message: the status still tells of the failure
        }
        return HALCYON_FAILED;
    }
}

}  // namespace

halcyon_status halcyon_open(const halcyon_model *model, const char *schedule, int threads, int max_batch, halcyon_network **network) {
    halcyon_network *handle = *network = new (std::nothrow) halcyon_network;
    if (!handle) return HALCYON_FAILED;
    return guarded(handle, [&] {
        Plan plan = plan_of(*model);
        const Set &set = choose_set(schedule, compiled_sets(plan));
        handle->network.emplace(*model, std::move(plan), set.name, threads, max_batch);
        handle->records.resize(static_cast<std::size_t>(max_batch));
        std::iota(handle->records.begin(), handle->records.end(), 0);
        handle->no_labels.resize(handle->records.size());
    });
}

void halcyon_close(halcyon_network *network) { delete network; }

const char *halcyon_last_error(const halcyon_network *network) { return network ? network->error.c_str() : "there is no memory"; }

halcyon_status halcyon_initialize(halcyon_network *network, uint32_t seed) {
    return guarded(network, [&] { network->get().initialize(seed); });
}

halcyon_status halcyon_load_weights(halcyon_network *network, const char *path) {
    return guarded(network, [&] { load_weights(path, network->get()); });
}

halcyon_status halcyon_save_weights(halcyon_network *network, const char *path) {
    return guarded(network, [&] { save_weights(path, network->get(), {}); });
}

halcyon_status halcyon_predict(halcyon_network *network, const uint8_t *images, int count, float *probabilities) {
    return guarded(network, [&] {
        network->get().infer(network->bind(images, network->no_labels.data(), count));
        std::ranges::copy(network->get().probabilities(), probabilities);
    });
}

halcyon_status halcyon_train_step(halcyon_network *network, const uint8_t *images, const uint8_t *labels, int count,
                                  const halcyon_step *step, double *loss) {
    return guarded(network, [&] {
        const std::span<const std::int32_t> records = network->bind(images, labels, count);
        TrainingStep training;
        training.records.assign(records.begin(), records.end());
        training.values.seed = step->seed;
        training.values.epoch = static_cast<std::uint32_t>(step->update);  // every step draws its own random numbers
        training.values.update = step->update;
        training.values.learning_rate = step->learning_rate;
        training.values.flip_probability = step->flip_probability;
        training.values.dropout_rates.assign(static_cast<std::size_t>(network->get().plan().dropout_layers), step->dropout_rate);
        const BatchResult batch = network->get().train(Optimizer::adam, {&training, 1}).front();
        if (loss) *loss = batch.loss / count;
    });
}
