// The shipped model on the devices that this machine has: in continuous integration OpenCL's, which PoCL makes of the CPU.
#include "runtime/data/synthetic.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "runtime/weights/checkpoint.h"
#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/devices/device_calls.h"

#include "halcyon_cifar10.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

constexpr int images = 96, batch = 16;

/// Of a step of training, each of which costs the host some microseconds. Of its 37 calls those that sum over the batch may take two.
constexpr int most_launches = 44;

const Dataset &data() {
    static const Dataset data = make_synthetic(Split::train, images);
    return data;
}

std::unique_ptr<Network> make_network(const std::string &set) {
    auto network = std::make_unique<Network>(*halcyon_cifar10(), plan_of(*halcyon_cifar10()), set, 2, batch);
    network->initialize(5);
    network->bind_data(data().pixels.bytes(), data().labels);
    return network;
}

/// Steps `first` and those after it, with all that a recipe may ask for.
std::vector<TrainingStep> make_steps(int first, int count) {
    std::vector<TrainingStep> steps(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        TrainingStep &step = steps[static_cast<std::size_t>(i)];
        step.records.resize(batch);
        std::iota(step.records.begin(), step.records.end(), (first + i) * batch % images);
        step.values = {.seed = 3, .position = static_cast<std::uint32_t>((first + i) * batch), .flip_probability = 0.5F};
        step.values.dropout_rates = {0.25F, 0.25F, 0.25F, 0.25F};
        step.values.learning_rate = 1e-4F;
        step.values.update = first + i + 1;
    }
    return steps;
}

std::vector<double> train(Network &network, const std::vector<TrainingStep> &steps) {
    std::vector<double> losses;
    for (std::size_t done = 0; done < steps.size();) {
        const std::size_t at_once = std::min(steps.size() - done, static_cast<std::size_t>(network.steps_ahead()));
        for (const BatchResult &result : network.train(find_optimizer("adam"), std::span(steps).subspan(done, at_once)))
            losses.push_back(result.loss / batch);
        done += at_once;
    }
    return losses;
}

std::vector<float> weights(Network &network) {
    std::vector<float> weights(network.parameter_slab().begin(), network.parameter_slab().end());
    weights.insert(weights.end(), network.moving_slab().begin(), network.moving_slab().end());
    return weights;
}

/// Runs a check on a device's set, or says why this machine has none.
void on_device(const std::string &set, void (*check)(const std::string &set)) {
    if (const std::string reason = why_not(select_sets({set}).front()); !reason.empty()) {
        WARN("skipped: " << reason);
        return;
    }
    check(set);
}

/// What a number of steps at once asks of the device.
DeviceCalls calls_of(Network &network, int steps) {
    const std::vector<TrainingStep> training = make_steps(0, steps);
    DeviceCalls::counted = {};
    network.train(find_optimizer("adam"), training);
    return DeviceCalls::counted;
}

void check_steady_steps(const std::string &set) {
    const auto network = make_network(set);
    network->train(find_optimizer("adam"), make_steps(0, 1));
    const DeviceCalls two = calls_of(*network, 2), seven = calls_of(*network, 7);
    CHECK(seven.allocations == 0);
    CHECK(seven.copies == two.copies);  // which records, the steps' values; losses, hits: for all steps at once
    CHECK(two.copies == 4);
    CHECK(seven.launches % 7 == 0);
    CHECK(two.launches == seven.launches / 7 * 2);
    CHECK(seven.launches / 7 <= most_launches);
}

void check_steps_at_once(const std::string &set) {
    const auto at_once = make_network(set), one_by_one = make_network(set);
    const std::vector<TrainingStep> steps = make_steps(0, 5);
    const std::vector<double> losses = train(*at_once, steps);
    for (std::size_t i = 0; i < steps.size(); ++i) {
        CHECK(one_by_one->gradients(steps[i].records, steps[i].values).loss / batch == losses[i]);
        one_by_one->update(find_optimizer("adam"), steps[i].values);
    }
    CHECK(weights(*at_once) == weights(*one_by_one));
}

/// Two sets round differently, and Adam's first steps make of a rounding error in a gradient near zero a whole step of the learning rate:
/// the losses are close, not equal.
void check_losses(const std::string &set) {
    const auto device = make_network(set), host = make_network("reference");
    const std::vector<double> ours = train(*device, make_steps(0, 12)), theirs = train(*host, make_steps(0, 12));
    for (std::size_t i = 0; i < ours.size(); ++i) {
        CAPTURE(i, ours[i], theirs[i]);
        CHECK(std::abs(ours[i] - theirs[i]) <= (i == 0 ? 1e-5 : 2e-2) * theirs[i]);
    }
    CHECK(ours.back() < ours.front());
}

/// A checkpoint of one side goes on on the other, weights and optimizer's state alike.
void check_checkpoints(const std::string &set) {
    const TemporaryFolder temporary;
    for (const auto &[from, to] : {std::pair<std::string, std::string>{set, "reference"}, {"reference", set}}) {
        CAPTURE(from, to);
        const auto begun = make_network(from), resumed = make_network(to);
        train(*begun, make_steps(0, 3));
        save_checkpoint(temporary / "last", *begun, find_optimizer("adam"), {});
        load_checkpoint(temporary / "last", *resumed, find_optimizer("adam"));
        CHECK(weights(*resumed) == weights(*begun));
        const std::vector<double> same_side = train(*begun, make_steps(3, 2)), other_side = train(*resumed, make_steps(3, 2));
        CHECK(std::abs(same_side[0] - other_side[0]) <= 1e-5 * same_side[0]);
        CHECK(std::abs(same_side[1] - other_side[1]) <= 1e-3 * same_side[1]);
    }
}

void check_slabs(const std::string &set) {
    const auto network = make_network(set);
    CHECK((network->cuda_stream() != nullptr) == (set == "cuda"));
    const std::vector<TrainingStep> steps = make_steps(0, 2);
    network->gradients(steps[0].records, steps[0].values);
    const std::vector<float> gradients(network->gradient_slab().begin(), network->gradient_slab().end());
    const std::vector<float> before = weights(*network);
    std::ranges::fill(network->gradient_slab(), 0.0F);  // what another machine's gradients would do, in the extreme
    network->update(find_optimizer("sgd"), steps[0].values);
    CHECK(std::ranges::any_of(gradients, [](float value) { return value != 0; }));
    CHECK(weights(*network) == before);
    network->gradients(steps[0].records, steps[0].values);
    CHECK(std::ranges::equal(network->gradient_slab(), gradients));
}

/// What is called after the gradients has them on the host, and what it makes of them is what the device updates with.
void check_after_gradients(const std::string &set) {
    const auto halved = make_network(set), plain = make_network(set);
    std::vector<TrainingStep> whole = make_steps(0, 3), half = whole;
    for (TrainingStep &step : half) step.values.learning_rate /= 2;
    std::vector<std::vector<float>> seen;
    halved->train(find_optimizer("sgd"), whole, [&](std::span<float> gradients) {
        seen.emplace_back(gradients.begin(), gradients.end());
        for (float &gradient : gradients) gradient /= 2;
    });
    plain->train(find_optimizer("sgd"), half);
    CHECK(weights(*halved) == weights(*plain));
    REQUIRE(seen.size() == whole.size());
    CHECK(std::ranges::equal(plain->gradient_slab(), seen.back()));
}

void check_other_data(const std::string &set) {
    const auto network = make_network(set);
    const std::vector<std::int32_t> records = {0, 1, 2};
    constexpr std::size_t count = 3, bytes = count * 32 * 32 * 3;
    const auto probabilities = [&](std::size_t first) {
        network->bind_data(data().pixels.bytes().subspan(first, bytes), std::span(data().labels).first(count));
        network->infer(records);
        return std::vector<float>(network->predictions().begin(), network->predictions().end());
    };
    const std::vector<float> before = probabilities(0);
    DeviceCalls::counted = {};
    CHECK(probabilities(bytes) != before);
    CHECK(probabilities(0) == before);
    CHECK(DeviceCalls::counted.allocations == 0);
}

}  // namespace

TEST_CASE("a steady step copies and allocates nothing, in few launches: cuda") { on_device("cuda", check_steady_steps); }
TEST_CASE("a steady step copies and allocates nothing, in few launches: opencl") { on_device("opencl", check_steady_steps); }

TEST_CASE("steps at once are steps one by one, to the bit: cuda") { on_device("cuda", check_steps_at_once); }
TEST_CASE("steps at once are steps one by one, to the bit: opencl") { on_device("opencl", check_steps_at_once); }

TEST_CASE("a device's losses are the host's: cuda") { on_device("cuda", check_losses); }
TEST_CASE("a device's losses are the host's: opencl") { on_device("opencl", check_losses); }

TEST_CASE("what one side saved the other goes on with: cuda") { on_device("cuda", check_checkpoints); }
TEST_CASE("what one side saved the other goes on with: opencl") { on_device("opencl", check_checkpoints); }

TEST_CASE("other data of the same size take the place of those before: cuda") { on_device("cuda", check_other_data); }
TEST_CASE("other data of the same size take the place of those before: opencl") { on_device("opencl", check_other_data); }

TEST_CASE("what is called after the gradients gets a device's on the host: cuda") { on_device("cuda", check_after_gradients); }
TEST_CASE("what is called after the gradients gets a device's on the host: opencl") { on_device("opencl", check_after_gradients); }

TEST_CASE("the host reads and writes a device's slabs between runs: cuda") { on_device("cuda", check_slabs); }
TEST_CASE("the host reads and writes a device's slabs between runs: opencl") { on_device("opencl", check_slabs); }
