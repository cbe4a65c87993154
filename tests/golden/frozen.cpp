// frozen.json beside Keras, where training leaves some layers' weights as they are: make_frozen.py says what is in the file and how it was
// made.
#include "halcyon_frozen.h"

#include "plan/augment.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "tests/catch.h"
#include "tests/golden/golden_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

using Floats = std::vector<float>;

constexpr int images = 6;

/// A network with the weights and the images of the file.
class Frozen {
public:
    Network network;

    explicit Frozen(const std::string &set) : network(*halcyon_frozen(), plan_of(*halcyon_frozen()), set, 2, images) {
        for (const float value : tensor<float>("images")) bytes_.push_back(std::uint8_t(value));
        for (const float label : tensor<float>("labels")) labels_.push_back(std::uint16_t(label));
        network.bind_data(bytes_, labels_);
        for (const Parameter &parameter : network.plan().parameters)
            std::ranges::copy(tensor<float>(parameter.name), network.weight(parameter).begin());
    }

    std::vector<std::uint16_t> labels_of(std::span<const std::int32_t> records) const {
        std::vector<std::uint16_t> labels;
        for (const std::int32_t record : records) labels.push_back(labels_[std::size_t(record)]);
        return labels;
    }

    /// The mean losses of so many steps on all images, by SGD with what make_frozen.py gives it.
    std::vector<double> train(int steps, const std::vector<std::int32_t> &records = {0, 1, 2, 3, 4, 5}) {
        TrainingStep step;
        step.records = records;
        step.values.learning_rate = 0.01F;
        step.values.settings = {0.9F, 0.1F, 0};
        std::vector<double> losses;
        for (step.values.update = 1; step.values.update <= steps; ++step.values.update)
            losses.push_back(network.train(find_optimizer("sgd"), {&step, 1})[0].loss / images);
        return losses;
    }

private:
    std::vector<std::uint8_t> bytes_;
    std::vector<std::uint16_t> labels_;
};

bool can_run(const std::string &set) {
    const std::string reason = why_not(select_sets({set}).front());
    if (!reason.empty()) WARN("skipped: " << reason);
    return reason.empty();
}

void check_set(const std::string &set) {
    if (!can_run(set)) return;
    Frozen frozen(set);
    const std::vector<double> losses = frozen.train(10);
    const Floats expected = tensor<float>("losses");
    for (std::size_t i = 0; i < losses.size(); ++i) {
        CAPTURE(i);
        CHECK(std::abs(losses[i] - expected[i]) <= 1e-5 * losses[i]);
    }
    int kept = 0;
    for (const Parameter &parameter : frozen.network.plan().parameters) {
        CAPTURE(parameter.name);
        const Floats trained = tensor<float>("trained " + parameter.name);
        if (trained == tensor<float>(parameter.name)) {
            CHECK(parameter.home == Home::moving);
            CHECK(std::ranges::equal(frozen.network.weight(parameter), trained));
            ++kept;
        } else {
            check_close(frozen.network.weight(parameter), trained, 1e-5);
        }
    }
    CHECK(kept == 10);
}

}  // namespace

// A test case a set, so that the ones this machine cannot run show as skipped.
TEST_CASE("ten steps with frozen layers are Keras's: reference") { check_set("reference"); }
TEST_CASE("ten steps with frozen layers are Keras's: x86_avx2") { check_set("x86_avx2"); }
TEST_CASE("ten steps with frozen layers are Keras's: opencl") { check_set("opencl"); }

namespace {

/// What the steps and an inference make of images, and of the features that their frozen layers made of them before.
void check_features(const std::string &set) {
    if (!can_run(set)) return;
    Frozen frozen(set), kept(set);
    const std::size_t values = kept.network.feature_values();
    CHECK(values == 11 * 9 * 8);
    Floats features(images * values);
    const std::vector<std::int32_t> records = {5, 4, 3, 2, 1, 0};
    const std::span all(features);
    kept.network.make_features(std::span(records).first(4), all.first(4 * values));
    kept.network.make_features(std::span(records).last(2), all.last(2 * values));
    const std::vector<std::uint16_t> labels = kept.labels_of(records);
    const PlacedData placed = kept.network.place_features(features, labels);
    kept.network.bind_data(placed);

    const std::vector<double> losses = frozen.train(3, records);
    const std::vector<std::int32_t> renumbered = {0, 1, 2, 3, 4, 5};
    CHECK(kept.train(3, renumbered) == losses);
    for (const Parameter &parameter : kept.network.plan().parameters)
        CHECK(std::ranges::equal(kept.network.weight(parameter), frozen.network.weight(parameter)));
    CHECK(kept.network.infer(renumbered).loss == frozen.network.infer(records).loss);
    CHECK(std::ranges::equal(kept.network.predictions(), frozen.network.predictions()));
    CHECK(frozen.network.infer(std::span(records).first(1)).loss == Approx(kept.network.infer(std::span(renumbered).first(1)).loss));

    // What features cannot be is refused, and so is what is none.
    CHECK_THROWS_AS(kept.network.make_features(renumbered, features), std::invalid_argument);
    CHECK_THROWS_AS(frozen.network.make_features(records, all.first(values)), std::invalid_argument);
    CHECK_THROWS_AS(kept.network.place_features(all.first(values), labels), std::invalid_argument);
    CHECK_THROWS_AS(kept.network.augment(renumbered, std::vector<std::int32_t>(images * std::size_t(augment_words))),
                    std::invalid_argument);
    StepValues flipped;
    flipped.flip_probability = 0.5F;
    CHECK_THROWS_AS(kept.network.gradients(renumbered, flipped), std::invalid_argument);
}

}  // namespace

TEST_CASE("training from kept features has the bits of training from images: reference") { check_features("reference"); }
TEST_CASE("training from kept features has the bits of training from images: x86_avx2") { check_features("x86_avx2"); }
TEST_CASE("training from kept features has the bits of training from images: opencl") { check_features("opencl"); }

TEST_CASE("a weight of a frozen layer that is no number reaches the loss") {
    for (const char *name :
         {"conv2d/kernel", "conv2d/bias", "batch_normalization/gamma", "batch_normalization/beta", "batch_normalization/moving_mean",
          "batch_normalization/moving_variance", "conv2d_2/kernel", "batch_normalization_2/moving_variance"}) {
        CAPTURE(name);
        Frozen frozen("reference");
        const auto &parameters = frozen.network.plan().parameters;
        frozen.network.weight(*std::ranges::find(parameters, name, &Parameter::name)).back() = std::numeric_limits<float>::quiet_NaN();
        CHECK(std::isnan(frozen.train(1)[0]));
    }
}
