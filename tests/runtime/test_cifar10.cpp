// The shipped model on every set that this machine can run: what holds of whole steps, whatever the schedules.
#include "runtime/devices/device.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "runtime/engine/random.h"
#include "tests/catch.h"
#include "tests/runtime/small_stacks.h"

#include "halcyon_cifar10.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

using namespace halcyon;
using namespace halcyon::tests;

namespace {

constexpr int image_bytes = 32 * 32 * 3, record_count = 64;

/// Images of random bytes and random labels.
struct Data {
    std::vector<std::uint8_t> images = std::vector<std::uint8_t>(std::size_t{record_count} * image_bytes);
    std::vector<std::uint16_t> labels = std::vector<std::uint16_t>(record_count);
    std::vector<std::int32_t> records = std::vector<std::int32_t>(record_count);

    Data() {
        for (std::uint32_t i = 0; i < images.size(); ++i) images[i] = static_cast<std::uint8_t>(philox2x32({i, 0}, 1)[0]);
        for (std::uint32_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint16_t>(philox2x32({i, 1}, 1)[0] % 10);
        std::iota(records.begin(), records.end(), 0);
    }

    std::span<const std::int32_t> first(int batch) const { return std::span(records).first(std::size_t(batch)); }
};

const Data data;

StepValues step_values(int update) {
    StepValues step;
    step.seed = 3;
    step.position = 64 * static_cast<std::uint32_t>(update - 1);
    step.update = update;
    step.learning_rate = 1e-3F;
    step.flip_probability = 0.5F;
    step.dropout_rates = {0.25F, 0.25F, 0.25F, 0.25F};
    return step;
}

std::vector<std::string> runnable_sets() {
    std::vector<std::string> names;
    const Plan plan = plan_of(*halcyon_cifar10());
    for (const SetPlan &compiled : plan.sets) {
        const Set set = select_sets({compiled.set}).front();
        if (why_not(set).empty())
            names.push_back(set.name);
        else
            WARN(set.name << " does not run here: " << why_not(set));
    }
    return names;
}

/// The weights, bit for bit, after a few steps of different batch sizes.
std::vector<float> train(const std::string &set, int threads) {
    Network network(*halcyon_cifar10(), plan_of(*halcyon_cifar10()), set, threads, record_count);
    network.initialize(5);
    network.bind_data(data.images, data.labels);
    int update = 1;
    for (const int batch : {33, 7, 1}) {
        network.gradients(data.first(batch), step_values(update));
        network.update(find_optimizer("adam"), step_values(update++));
    }
    std::vector<float> weights(network.parameter_slab().begin(), network.parameter_slab().end());
    weights.insert(weights.end(), network.moving_slab().begin(), network.moving_slab().end());
    for (const int batch : {33, 1}) {
        network.infer(data.first(batch));
        weights.insert(weights.end(), network.predictions().begin(), network.predictions().end());
    }
    return weights;
}

}  // namespace

TEST_CASE("no kernel allocates in a steady step") {
    for (const std::string &set : runnable_sets()) {
        Network network(*halcyon_cifar10(), plan_of(*halcyon_cifar10()), set, 2, record_count);
        network.initialize(1);
        network.bind_data(data.images, data.labels);
        const auto run = [&](int batch) {
            network.gradients(data.first(batch), step_values(1));
            network.update(find_optimizer("adam"), step_values(1));
            network.update(find_optimizer("sgd"), step_values(1));
            network.infer(data.first(batch));
        };
        for (const int batch : {1, 7, 64}) {
            CAPTURE(set, batch);
            run(batch);
            const std::int64_t before = network.allocations();
            run(batch);
            CHECK(network.allocations() == before);
        }
    }
}

TEST_CASE("any number of threads computes the same bits") {
    for (const std::string &set : runnable_sets()) {
        CAPTURE(set);
        const std::vector<float> alone = train(set, 1);
        CHECK(train(set, 2) == alone);
        CHECK(train(set, 5) == alone);
    }
}

TEST_CASE("a thread of any stack computes the same bits") {
    for (const std::string &set : runnable_sets()) {
        if (device_of(set)) continue;  // whose kernels have stacks of their own
        CAPTURE(set);
        const std::vector<float> expected = train(set, 2);
        for (const std::size_t kib : {64, 1024}) {
            CAPTURE(kib);
            std::vector<float> weights;
            const SmallStacks small(kib << 10);
            std::thread([&] { weights = train(set, 2); }).join();
            CHECK(weights == expected);
        }
    }
}

TEST_CASE("inference follows the weights, whoever changes them") {
    const std::string set = runnable_sets().front();
    const auto make = [&] {
        auto network = std::make_unique<Network>(*halcyon_cifar10(), plan_of(*halcyon_cifar10()), set, 2, record_count);
        network->initialize(5);
        network->bind_data(data.images, data.labels);
        return network;
    };
    const auto probabilities = [&](Network &network, int batch) {
        network.infer(data.first(batch));
        return std::vector<float>(network.predictions().begin(), network.predictions().end());
    };
    for (const int batch : {1, 3}) {
        CAPTURE(batch);
        const auto used = make(), fresh = make();
        const std::vector<float> before = probabilities(*used, batch);
        for (Network *network : {used.get(), fresh.get()}) {
            network->gradients(data.first(8), step_values(1));
            network->update(find_optimizer("adam"), step_values(1));
        }
        const std::vector<float> trained = probabilities(*used, batch);
        CHECK(trained != before);
        CHECK(trained == probabilities(*fresh, batch));

        // The moving statistics alone, and a weight by hand.
        for (Network *network : {used.get(), fresh.get()}) network->gradients(data.first(8), step_values(2));
        const std::vector<float> moved = probabilities(*used, batch);
        const auto other = make();
        std::ranges::copy(used->parameter_slab(), other->parameter_slab().begin());
        std::ranges::copy(used->moving_slab(), other->moving_slab().begin());
        CHECK(moved != trained);
        CHECK(moved == probabilities(*other, batch));
        used->weight(used->plan().parameters.front())[0] += 1;
        CHECK(probabilities(*used, batch) != moved);
    }
}

TEST_CASE("an image alone gets the probabilities that it gets in a batch") {
    for (const std::string &set : runnable_sets()) {
        CAPTURE(set);
        Network network(*halcyon_cifar10(), plan_of(*halcyon_cifar10()), set, 2, record_count);
        network.initialize(5);
        network.bind_data(data.images, data.labels);
        network.gradients(data.first(33), step_values(1));
        network.update(find_optimizer("adam"), step_values(1));
        network.infer(data.first(2));
        const std::vector<float> together(network.predictions().begin(), network.predictions().end());
        const std::vector<std::int32_t> second = {data.first(2)[1]};
        network.infer(second);
        for (std::size_t i = 0; i < network.predictions().size(); ++i)
            CHECK(std::abs(network.predictions()[i] - together[together.size() / 2 + i]) < 1e-5);
    }
}

TEST_CASE("training on one batch lowers its loss") {
    for (const std::string &set : runnable_sets()) {
        CAPTURE(set);
        Network network(*halcyon_cifar10(), plan_of(*halcyon_cifar10()), set, 2, record_count);
        network.initialize(1);
        network.bind_data(data.images, data.labels);
        const auto loss = [&](int update) {
            StepValues step = step_values(update);
            step.flip_probability = 0;
            step.dropout_rates.assign(4, 0);
            const double sum = network.gradients(data.first(16), step).loss;
            network.update(find_optimizer("adam"), step);
            return sum / 16;
        };
        const double first = loss(1);
        double last = 0;
        for (int update = 2; update <= 8; ++update) last = loss(update);
        CHECK(std::isfinite(first));
        CHECK(last < first / 2);  // random labels are learnt by heart in a few steps
    }
}
