// Ten Adam steps of the shipped network beside Keras's: make_golden.py says what is in the file and how it was made.
#include "halcyon_cifar10.h"

#include "plan/winograd.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "runtime/engine/random.h"
#include "runtime/weights/safetensors.h"
#include "tests/catch.h"
#include "tests/tensors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

constexpr float learning_rate = 1e-3F;
constexpr float epsilon = std::numeric_limits<float>::epsilon();

using Floats = std::vector<float>;

class Golden {
public:
    Golden() : file_(read_safetensors(GOLDEN_FILE)) {}

    Floats tensor(const std::string &name) const { return tensor_values<float>(file_, name); }

    std::uint32_t number(const std::string &key) const { return static_cast<std::uint32_t>(std::stoul(file_.metadata.at(key))); }

private:
    TensorFile file_;
};

/// The images and labels of make_golden.py's batch().
struct Batch {
    std::vector<std::uint8_t> images;
    std::vector<std::uint16_t> labels;
    std::vector<std::int32_t> records;

    explicit Batch(const Golden &golden) : labels(golden.number("batch")), records(labels.size()) {
        constexpr std::uint32_t pixels = 32 * 32, counters = 3 * pixels / 8;
        const std::uint32_t seed = golden.number("images_seed");
        std::iota(records.begin(), records.end(), 0);
        for (std::uint32_t image = 0; image < labels.size(); ++image) {
            std::vector<std::uint8_t> planes;
            for (std::uint32_t i = 0; i < counters; ++i)
                for (const std::uint32_t word : philox2x32({i, image}, seed))
                    for (int shift = 0; shift < 32; shift += 8) planes.push_back(static_cast<std::uint8_t>(word >> shift));
            for (std::uint32_t i = 0; i < 3 * pixels; ++i) images.push_back(planes[i % 3 * pixels + i / 3]);
            labels[image] = static_cast<std::uint16_t>(philox2x32({counters, image}, seed)[0] % 10);
        }
    }
};

double norm(std::span<const float> values) {
    double sum = 0;
    for (const float value : values) sum += double(value) * value;
    return std::sqrt(sum);
}

double distance(std::span<const float> a, std::span<const float> b) {
    REQUIRE(a.size() == b.size());
    Floats difference(a.size());
    std::ranges::transform(a, b, difference.begin(), std::minus<>());
    return norm(difference);
}

Floats samples_of(std::span<const float> weight, std::size_t count) {
    Floats samples(count);
    for (std::size_t j = 0; j < count; ++j) samples[j] = weight[j * weight.size() / count];
    return samples;
}

/// What ten steps of Adam leave uncertain in an element of a weight: beta2 = 0.999 is a float, half an ulp (2^-25) of it is 3e-5 of
/// 1 - beta2, and a step of learning_rate goes with that one's root. Keras takes 1 - beta2 from the double in one place and from the float
/// in another.
double adam_rounding(int steps) { return steps * learning_rate * 0.5 * 0x1p-25 / 1e-3; }

double sum_of_magnitudes(std::span<const float> values) {
    return std::accumulate(values.begin(), values.end(), 0.0, [](double sum, float value) { return sum + std::abs(value); });
}

/// How many times larger the sums of absolute values, and so the rounding errors, are in tiles than in a direct convolution of ones: along
/// an axis sum over a of |A'| |G 1| |B' 1| beside 3; over both axes their root mean square is the mean square along one, beside 9.
double rounding_growth(const WinogradTile &tile) {
    double squares = 0;
    for (const std::vector<float> &row : tile.output) {
        double magnitude = 0;
        for (std::size_t a = 0; a < row.size(); ++a)
            magnitude += std::abs(row[a]) * sum_of_magnitudes(tile.weights[a]) * sum_of_magnitudes(tile.input[a]);
        squares += magnitude * magnitude / double(tile.output.size());
    }
    return squares / 9;
}

/// Of the convolutions that a set's programs call.
double rounding_growth(const Plan &plan, const std::string &set) {
    double growth = 1;
    for (const SetPlan &set_plan : plan.sets)
        if (set_plan.set == set)
            for (const Program &program : set_plan.programs)
                for (const Call &call : program.calls)
                    if (const WinogradTile *tile = winograd_tile(call.entry)) growth = std::max(growth, rounding_growth(*tile));
    return growth;
}

/// A weight is as far from Keras's as rounding can bring two such runs: `spread` is the distance between Keras's own in float32 and in
/// float64. Ours is another draw from the same distribution, whose tail eight times that covers, or `growth` times as much where tiles
/// round more; where Keras's run came to lie on the exact one by chance, the floor is an ulp an element and what the optimizer's constants
/// leave uncertain.
void check_weights(Network &network, const Golden &golden, int steps, double growth) {
    for (const Parameter &parameter : network.plan().parameters) {
        const std::string name = "step" + std::to_string(steps) + "/" + parameter.name;
        const std::span<const float> weight = network.weight(parameter);
        const Floats expected = golden.tensor(name + "/samples");
        const Floats spread = golden.tensor(name + "/spread");
        const double element = parameter.home == Home::parameters ? adam_rounding(steps) : 0;
        CAPTURE(name);
        CHECK(distance(samples_of(weight, expected.size()), expected) <=
              8 * growth * spread[0] + epsilon * norm(expected) + element * std::sqrt(expected.size()));
        CHECK(std::abs(norm(weight) - golden.tensor(name + "/norm")[0]) <=
              8 * growth * spread[1] + epsilon * norm(weight) + element * std::sqrt(weight.size()));
    }
}

void check_initial_weights(Network &network, const Golden &golden) {
    for (const Parameter &parameter : network.plan().parameters) {
        const std::span<const float> weight = network.weight(parameter);
        const Floats expected = golden.tensor("initial/" + parameter.name + "/samples");
        CAPTURE(parameter.name);
        CHECK(distance(samples_of(weight, expected.size()), expected) <= epsilon * norm(expected));
        CHECK(std::abs(norm(weight) - golden.tensor("initial/" + parameter.name + "/norm")[0]) <= epsilon * norm(weight));
    }
}

void check_gradients(Network &network, const Golden &golden) {
    for (const Parameter &parameter : network.plan().parameters) {
        if (parameter.home != Home::parameters) continue;
        const Floats expected = golden.tensor("gradients/" + parameter.name);
        CAPTURE(parameter.name);
        CHECK(distance(network.gradient(parameter), expected) <= 1e-4 * norm(expected));
    }
}

/// The first loss is only as far off as a forward pass rounds. The later ones also carry what the updates made of that: a loss is no
/// further off than twice the furthest logit, and logits up to 10, of weights that agree to 1e-6, are off by 1e-5. A ReLU that falls on the
/// other side of 0 moves a loss of 0.003 by 7e-6.
double loss_tolerance(std::size_t step, double loss) { return step == 0 ? 1e-5 * loss : 2e-5; }

void check_ten_steps(const std::string &set) {
    if (const std::string reason = why_not(select_sets({set}).front()); !reason.empty()) {
        WARN("skipped: " << reason);
        return;
    }
    const Golden golden;
    const Batch batch(golden);
    const auto images = static_cast<int>(batch.records.size());
    Network network(*halcyon_cifar10(), plan_of(*halcyon_cifar10()), set, hardware_threads(), images);
    network.initialize(golden.number("weights_seed"));
    network.bind_data(batch.images, batch.labels);
    check_initial_weights(network, golden);

    const double growth = rounding_growth(network.plan(), set);
    const Floats losses = golden.tensor("losses");
    StepValues step{.dropout_rates = std::vector<float>(static_cast<std::size_t>(network.plan().dropout_layers)),
                    .learning_rate = learning_rate};
    for (std::size_t i = 0; i < losses.size(); ++i, ++step.update) {
        const double loss = network.gradients(batch.records, step).loss / images;
        CAPTURE(i, loss, losses[i]);
        CHECK(std::abs(loss - losses[i]) <= loss_tolerance(i, losses[i]));
        if (i == 0) check_gradients(network, golden);
        network.update(find_optimizer("adam"), step);
        if (i == 0) check_weights(network, golden, 1, growth);
    }
    check_weights(network, golden, 10, growth);
}

}  // namespace

// A test case a set, so that the ones this machine cannot run show as skipped.
TEST_CASE("ten Adam steps agree with Keras's: reference") { check_ten_steps("reference"); }
TEST_CASE("ten Adam steps agree with Keras's: x86_sse41") { check_ten_steps("x86_sse41"); }
TEST_CASE("ten Adam steps agree with Keras's: x86_avx2") { check_ten_steps("x86_avx2"); }
TEST_CASE("ten Adam steps agree with Keras's: x86_avx512") { check_ten_steps("x86_avx512"); }
TEST_CASE("ten Adam steps agree with Keras's: cuda") { check_ten_steps("cuda"); }
TEST_CASE("ten Adam steps agree with Keras's: opencl") { check_ten_steps("opencl"); }
