// The binary cross-entropy beside Keras's: make_losses.py says what is in the file and how it was made. The network is one unit, whose
// one weight that is not 0 is that of an image's first value, the logit.
#include "halcyon_binary.h"

#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "runtime/weights/safetensors.h"
#include "tests/catch.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

constexpr std::size_t image_values = 5 * 4 * 3;

template<typename T>
std::vector<T> tensor(const std::string &name) {
    static const TensorFile file = read_safetensors(GOLDEN_FILE);
    const std::span<const std::byte> bytes = file.tensors.at(name).bytes;
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

/// exp() takes a multiple of ln 2 from a float of the logit's size; what is below FLT_MIN may be 0.
bool near(double ours, double theirs, double logit) {
    const double u = FLT_EPSILON / 2;
    return std::abs(ours - theirs) <= (3 * std::abs(logit) + 16) * u * std::abs(theirs) + FLT_MIN;
}

void check_set(const std::string &set) {
    Network network(*halcyon_binary(), plan_of(*halcyon_binary()), set, 2, 4);
    network.initialize(1);
    REQUIRE(network.plan().classes == 2);
    const auto parameter = [&](const char *name) { return *std::ranges::find(network.plan().parameters, name, &Parameter::name); };
    std::ranges::fill(network.weight(parameter("dense/kernel")), 0.0F);
    network.weight(parameter("dense/kernel"))[0] = 1, network.weight(parameter("dense/bias"))[0] = 0;

    const std::vector<float> logits = tensor<float>("logits");
    std::vector<float> images(logits.size() * image_values);
    for (std::size_t i = 0; i < logits.size(); ++i) images[i * image_values] = logits[i];
    const std::vector<double> probabilities = tensor<double>("probabilities");
    for (const int label : {0, 1}) {
        const std::vector<std::uint16_t> labels(logits.size(), static_cast<std::uint16_t>(label));
        network.bind_data(std::span(images), labels);
        const auto losses = tensor<double>(std::to_string(label) + "/losses"),
                   gradients = tensor<double>(std::to_string(label) + "/gradients");
        for (std::size_t i = 0; i < logits.size(); ++i) {
            CAPTURE(label, logits[i]);
            const std::vector<std::int32_t> record = {static_cast<std::int32_t>(i)};
            const BatchResult result = network.infer(record);
            CHECK(near(result.loss, losses[i], logits[i]));
            CHECK(result.correct == (label == (probabilities[i] > 0.5)));
            REQUIRE(network.probabilities().size() == 2);
            CHECK(near(network.probabilities()[1], probabilities[i], logits[i]));
            CHECK(near(network.probabilities()[0], probabilities[logits.size() - 1 - i], logits[i]));  // the logits are symmetric

            CHECK(near(network.gradients(record, StepValues{}).loss, losses[i], logits[i]));
            CHECK(near(network.gradient(parameter("dense/bias"))[0], gradients[i], logits[i]));
            // The classes' weights are those of the labels.
            const BatchResult weighted = network.gradients(record, StepValues{.class_weights = {3, 0.5F}});
            CHECK(near(weighted.loss, (label == 1 ? 0.5 : 3) * losses[i], logits[i]));
            CHECK(near(network.gradient(parameter("dense/bias"))[0], (label == 1 ? 0.5 : 3) * gradients[i], logits[i]));
        }
    }
}

}  // namespace

TEST_CASE("binary cross-entropy, its gradient and its probabilities agree with Keras's, on every set") {
    for (const SetPlan &set : plan_of(*halcyon_binary()).sets) {
        CAPTURE(set.set);
        if (why_not(select_sets({set.set}).front()).empty()) check_set(set.set);
    }
}
