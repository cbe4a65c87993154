// The cross-entropies beside Keras's: make_losses.py says what is in the file and how it was made. The network of the binary one is one
// unit, whose one weight that is not 0 is that of an image's first value, the logit. Smoothed labels and several classes are held to the
// oracles, which the kernels' tests hold the kernels to. Of classes and units that have a target each, networks without weights but the
// biases are held to them as well.
#include "halcyon_binary.h"
#include "halcyon_multi_label.h"
#include "halcyon_regression.h"
#include "halcyon_soft_labels.h"

#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "runtime/halcyon.h"
#include "tests/catch.h"
#include "tests/golden/golden_file.h"
#include "tests/kernels/data.h"
#include "tests/kernels/run.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <span>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

constexpr std::size_t image_values = 5 * 4 * 3;

/// exp() takes a multiple of ln 2 from a float of the logit's size; what is below FLT_MIN may be 0.
bool near(double ours, double theirs, double logit) {
    const double u = FLT_EPSILON / 2;
    return std::abs(ours - theirs) <= (3 * std::abs(logit) + 16) * u * std::abs(theirs) + FLT_MIN;
}

using oracle::Array;

/// A step in which all classes weigh 1, and gradients are those of the sum over the batch.
Array plain_step(int classes) {
    const int words = step_words(0, classes);
    Array step = make_step(words, 0, 1);
    for (int label = 0; label < classes; ++label) set_real(step, class_weight(words, classes, label), 1);
    return step;
}

Array list(const std::vector<double> &values) {
    Array array({static_cast<int>(values.size())});
    array.values = values;
    return array;
}

/// Logits, a row of classes an image.
Array logits_of(int classes, const std::vector<double> &values) {
    Array array({classes, 1, 1, static_cast<int>(values.size()) / classes});
    array.values = values;
    return array;
}

void check_binary(float smoothing, const std::string &golden) {
    const std::vector<float> floats = tensor<float>("logits");
    const Array logits = logits_of(1, {floats.begin(), floats.end()}), indices({logits.extent(3)}), step = plain_step(2);
    for (const int label : {0, 1}) {
        const Array labels = list({double(label)});
        const std::string prefix = golden + std::to_string(label);
        const auto losses = tensor<double>(prefix + "/losses"), gradients = tensor<double>(prefix + "/gradients");
        const Array loss = run("sigmoid_cross_entropy_fwd", {.in_c = 1, .label_smoothing = smoothing}, {logits, labels, indices, step})[1];
        const Array gradient = applied({loss_gradient("binarygradient", smoothing, labels, indices, step)}, logits);
        for (std::size_t i = 0; i < floats.size(); ++i) {
            CAPTURE(label, floats[i]);
            CHECK(near(loss.values[i], losses[i], floats[i]));
            CHECK(gradient.values[i] == Approx(gradients[i]).epsilon(1e-12).margin(1e-15));
        }
    }
}

void check_categorical(float smoothing, const std::string &golden) {
    const auto losses = tensor<double>(golden + "losses"), gradients = tensor<double>(golden + "gradients");
    const int images = static_cast<int>(losses.size()), classes = static_cast<int>(gradients.size() / losses.size());
    const Array logits = logits_of(classes, tensor<double>("categorical/logits")), labels = list(tensor<double>("categorical/labels"));
    Array indices({images});
    for (int n = 0; n < images; ++n) indices(n) = n;
    const Array step = plain_step(classes);
    const auto outputs = run("softmax_cross_entropy", {.in_c = classes, .label_smoothing = smoothing}, {logits, labels, indices, step});
    const Array apart = applied({loss_gradient("onehotgradient", smoothing, labels, indices, step)}, outputs[0]);
    for (std::size_t i = 0; i < losses.size(); ++i) CHECK(outputs[1].values[i] == Approx(losses[i]).epsilon(1e-12));
    for (std::size_t i = 0; i < gradients.size(); ++i) {
        CHECK(outputs[3].values[i] == Approx(gradients[i]).epsilon(1e-12).margin(1e-15));
        CHECK(apart.values[i] == outputs[3].values[i]);
    }
}

/// Of shares of the classes: the targets of each image, a row of classes.
void check_shares_oracle(float smoothing, const std::string &golden) {
    const auto losses = tensor<double>(golden + "losses"), gradients = tensor<double>(golden + "gradients"),
               accuracies = tensor<double>("shares/accuracies"), weights = tensor<double>("shares/weights");
    const int images = static_cast<int>(losses.size()), classes = static_cast<int>(gradients.size() / losses.size());
    const Array logits = logits_of(classes, tensor<double>("shares/logits"));
    Array targets({classes, images}), indices({images});
    targets.values = tensor<double>("shares/targets");
    for (int n = 0; n < images; ++n) indices(n) = n;
    Array step = plain_step(classes);
    for (int label = 0; label < classes; ++label) set_real(step, class_weight(step.extent(0), classes, label), float(label + 1));
    const Shape s{.in_c = classes, .label_smoothing = smoothing};
    const auto outputs = run("categorical_cross_entropy_fwd", s, {logits, targets, indices, step});
    const Array d_logits = run("categorical_cross_entropy_bwd", s, {outputs[0], targets, indices, step})[0];
    for (std::size_t n = 0; n < losses.size(); ++n) {
        CHECK(outputs[1].values[n] == Approx(weights[n] * losses[n]).epsilon(1e-12));
        CHECK(outputs[2].values[n] == accuracies[n]);
    }
    for (std::size_t i = 0; i < gradients.size(); ++i)
        CHECK(d_logits.values[i] == Approx(weights[i / std::size_t(classes)] * gradients[i]).epsilon(1e-12).margin(1e-15));
}

/// What Keras makes of units that have a target each.
struct UnitsGolden {
    std::string values, targets, losses, metrics, gradients;

    int units() const { return static_cast<int>(tensor<double>(values).size() / tensor<double>(losses).size()); }
};

const UnitsGolden plain_units = {"units/logits", "units/targets", "units/losses", "units/accuracies", "units/gradients"};
const UnitsGolden smoothed_units = {"units/logits", "units/targets", "units/smoothed/losses", "units/accuracies",
                                    "units/smoothed/gradients"};
const UnitsGolden squares = {"squares/values", "squares/targets", "squares/losses", "squares/errors", "squares/gradients"};

const UnitsGolden smoothed_shares = {"shares/logits", "shares/targets", "shares/smoothed/losses", "shares/accuracies",
                                     "shares/smoothed/gradients"};

/// The means over units are rounded to float32 in the file.
constexpr double rounded = 2 * FLT_EPSILON;

void check_units_oracle(const std::string &core, const Link &gradient, float smoothing, const UnitsGolden &golden) {
    const int units = golden.units();
    const auto losses = tensor<double>(golden.losses), metrics = tensor<double>(golden.metrics),
               gradients = tensor<double>(golden.gradients);
    const int images = static_cast<int>(losses.size());
    const Array values = logits_of(units, tensor<double>(golden.values)), step = plain_step(0);
    Array targets({units, images}), indices({images});
    targets.values = tensor<double>(golden.targets);
    for (int n = 0; n < images; ++n) indices(n) = n;
    const auto outputs = run(core, {.in_c = units, .label_smoothing = smoothing}, {values, targets, indices});
    const Array d_values = applied({{gradient, {{"targets", targets}, {"indices", indices}, {"step", step}}}}, values);
    for (std::size_t n = 0; n < losses.size(); ++n) {
        CHECK(outputs[1].values[n] == Approx(losses[n]).epsilon(rounded));
        CHECK(outputs[2].values[n] == Approx(metrics[n]).epsilon(rounded));
    }
    for (std::size_t i = 0; i < gradients.size(); ++i) CHECK(d_values.values[i] == Approx(gradients[i]).epsilon(rounded).margin(1e-9));
}

/// What predictions are of what the last layer makes: that itself, its sigmoids or its softmax.
enum class Predicted { values, sigmoids, softmax };

std::vector<double> predicted(Predicted what, std::vector<double> values) {
    double sum = 0;
    for (const double value : values) sum += std::exp(value);
    for (double &value : values)
        if (what != Predicted::values) value = std::exp(value) / (what == Predicted::softmax ? sum : 1 + std::exp(value));
    return values;
}

/// Each image's units are biases here, for all weights are 0.
void check_units(const halcyon_model &model, const std::string &set, const UnitsGolden &golden, Predicted what) {
    Network network(model, plan_of(model), set, 2, 4);
    network.initialize(1);
    const auto units = static_cast<std::size_t>(golden.units());
    REQUIRE(network.plan().targets == golden.units());
    const auto parameter = [&](const char *name) { return *std::ranges::find(network.plan().parameters, name, &Parameter::name); };
    std::ranges::fill(network.weight(parameter("dense/kernel")), 0.0F);
    const std::vector<double> values = tensor<double>(golden.values), targets = tensor<double>(golden.targets);
    const std::vector<double> losses = tensor<double>(golden.losses), metrics = tensor<double>(golden.metrics),
                              gradients = tensor<double>(golden.gradients);
    const std::vector<std::uint8_t> images(losses.size() * image_values);
    const std::vector<float> all_targets(targets.begin(), targets.end());
    network.bind_data(images, all_targets);
    // Of shares the difference of two numbers that are about 1.
    const double rounding = what == Predicted::softmax ? 2 * FLT_EPSILON : 1e-8;
    for (std::size_t n = 0; n < losses.size(); ++n) {
        CAPTURE(n);
        const auto first = values.begin() + std::ptrdiff_t(n * units);
        std::copy_n(first, units, network.weight(parameter("dense/bias")).begin());
        const std::vector<std::int32_t> record = {static_cast<std::int32_t>(n)};
        const BatchResult result = network.infer(record), trained = network.gradients(record, StepValues{});
        for (const BatchResult &batch : {result, trained}) {
            CHECK(batch.loss == Approx(losses[n]).epsilon(1e-6));
            CHECK(batch.metric == Approx(metrics[n]).epsilon(1e-6));
        }
        REQUIRE(network.predictions().size() == units);
        const std::vector<double> expected = predicted(what, {first, first + std::ptrdiff_t(units)});
        for (std::size_t unit = 0; unit < units; ++unit) {
            CHECK(network.predictions()[unit] == Approx(expected[unit]).epsilon(1e-6));
            CHECK(network.gradient(parameter("dense/bias"))[unit] == Approx(gradients[n * units + unit]).epsilon(1e-6).margin(rounding));
        }
    }
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
            CHECK(result.metric == (label == (probabilities[i] > 0.5)));
            REQUIRE(network.predictions().size() == 2);
            CHECK(near(network.predictions()[1], probabilities[i], logits[i]));
            CHECK(near(network.predictions()[0], probabilities[logits.size() - 1 - i], logits[i]));  // the logits are symmetric

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

TEST_CASE("the oracles of the cross-entropies and of their gradients are Keras's, with smoothed labels too") {
    check_binary(0, "");
    check_binary(0.25F, "smoothed/");
    check_categorical(0, "categorical/");
    check_categorical(0.25F, "categorical/smoothed/");
    check_shares_oracle(0, "shares/");
    check_shares_oracle(0.25F, "shares/smoothed/");
}

TEST_CASE("the oracles of losses of units that have a target each, of what is reported beside them, and of their gradients are Keras's") {
    check_units_oracle("binary_cross_entropy_fwd", {.row = "crossentropygradient", .constants = {0}}, 0, plain_units);
    check_units_oracle("binary_cross_entropy_fwd", {.row = "crossentropygradient", .constants = {0.25F}}, 0.25F, smoothed_units);
    check_units_oracle("squared_error_fwd", {.row = "squarederrorgradient"}, 0, squares);
}

TEST_CASE("networks whose units have a target each make Keras's losses, gradients and predictions, on every set") {
    for (const SetPlan &set : plan_of(*halcyon_multi_label()).sets) {
        CAPTURE(set.set);
        if (!why_not(select_sets({set.set}).front()).empty()) continue;
        check_units(*halcyon_multi_label(), set.set, smoothed_units, Predicted::sigmoids);
        check_units(*halcyon_regression(), set.set, squares, Predicted::values);
        check_units(*halcyon_soft_labels(), set.set, smoothed_shares, Predicted::softmax);
    }
}

TEST_CASE("labels are targets of 1 of their classes, and a class weighs the images of which it is the first largest, on every set") {
    for (const SetPlan &set : plan_of(*halcyon_soft_labels()).sets) {
        CAPTURE(set.set);
        if (!why_not(select_sets({set.set}).front()).empty()) continue;
        Network network(*halcyon_soft_labels(), plan_of(*halcyon_soft_labels()), set.set, 2, 4);
        network.initialize(1);
        std::vector<std::uint8_t> images(4 * image_values);
        for (std::size_t i = 0; i < images.size(); ++i) images[i] = static_cast<std::uint8_t>(i * 37);
        const std::vector<std::uint16_t> labels = {3, 0, 4, 3};
        std::vector<float> targets(20);
        for (std::size_t n = 0; n < 4; ++n) targets[5 * n + labels[n]] = 1;
        const std::vector<std::int32_t> records = {0, 1, 2, 3};
        const StepValues weighted{.class_weights = {3, 1, 1, 0.5F, 2}};
        struct Made {
            double loss, right;
            std::vector<float> gradients;
            bool operator==(const Made &) const = default;
        };
        const auto make = [&](const Answers &answers) {
            network.bind_data(std::span<const std::uint8_t>(images), answers);
            const BatchResult result = network.gradients(records, weighted);
            return Made{result.loss, result.metric, {network.gradient_slab().begin(), network.gradient_slab().end()}};
        };
        const Made of_labels = make(labels);
        CHECK(of_labels == make(targets));
        const auto loss_of = [&](std::int32_t record) { return network.gradients({{record}}, StepValues{}).loss; };
        CHECK(of_labels.loss == Approx(0.5 * loss_of(0) + 3 * loss_of(1) + 2 * loss_of(2) + 0.5 * loss_of(3)).epsilon(1e-6));
        // Other labels of as many images, and of fewer.
        CHECK(make(std::vector<std::uint16_t>{3, 0, 4, 2}) != of_labels);
        network.bind_data(std::span<const std::uint8_t>(images).first(image_values), std::span(labels).first(1));
        CHECK(network.infer({{0}}).loss == Approx(loss_of(0)).epsilon(1e-6));
    }
}

TEST_CASE("a C program trains on targets, of which it is told what is wrong") {
    halcyon_network *network = nullptr;
    REQUIRE(halcyon_open(halcyon_multi_label(), "auto", 2, 3, &network) == HALCYON_OK);
    REQUIRE(halcyon_initialize(network, 1) == HALCYON_OK);
    std::vector<std::uint8_t> images(2 * image_values, 10);
    std::ranges::fill(std::span(images).first(image_values), 200);
    std::vector<float> targets(20), predictions(20);
    std::ranges::fill(std::span(targets).first(10), 1.0F);
    halcyon_step step = {};
    step.learning_rate = 0.05F;
    double first = 0, last = 0;
    for (step.update = 1; step.update <= 20; ++step.update)
        REQUIRE(halcyon_train_step_on_targets(network, images.data(), targets.data(), 2, &step, step.update == 1 ? &first : &last) ==
                HALCYON_OK);
    CHECK(last < first);
    REQUIRE(halcyon_predict(network, images.data(), 2, predictions.data()) == HALCYON_OK);
    for (std::size_t i = 0; i < 20; ++i) CHECK((predictions[i] > 0.5F) == (targets[i] == 1));

    const std::vector<std::uint16_t> labels(2);
    CHECK(halcyon_train_step(network, images.data(), labels.data(), 2, &step, nullptr) == HALCYON_FAILED);
    CHECK(std::string(halcyon_last_error(network)) == "labels of images: the model takes 10 targets an image");
    CHECK(halcyon_train_step_on_targets(network, images.data(), nullptr, 2, &step, nullptr) == HALCYON_FAILED);
    CHECK(std::string(halcyon_last_error(network)) == "`targets` is a null pointer");
    for (const float wrong : {1.5F, -0.5F, std::nanf("")}) {
        targets[12] = wrong;
        CHECK(halcyon_train_step_on_targets(network, images.data(), targets.data(), 2, &step, nullptr) == HALCYON_FAILED);
        CHECK(std::string(halcyon_last_error(network)).ends_with(": targets are from 0 to 1"));
    }
    halcyon_close(network);
}

TEST_CASE("a C program trains on shares of the classes, and on labels") {
    halcyon_network *network = nullptr;
    REQUIRE(halcyon_open(halcyon_soft_labels(), "auto", 2, 3, &network) == HALCYON_OK);
    REQUIRE(halcyon_initialize(network, 1) == HALCYON_OK);
    std::vector<std::uint8_t> images(2 * image_values, 10);
    std::ranges::fill(std::span(images).first(image_values), 200);
    const std::vector<float> shares = {0.75F, 0, 0.25F, 0, 0, 0, 0, 0, 0, 1};
    const std::vector<std::uint16_t> labels = {0, 4};
    halcyon_step step = {};
    step.learning_rate = 0.05F;
    for (step.update = 1; step.update <= 40; ++step.update)
        REQUIRE((step.update % 2 ? halcyon_train_step_on_targets(network, images.data(), shares.data(), 2, &step, nullptr)
                                 : halcyon_train_step(network, images.data(), labels.data(), 2, &step, nullptr)) == HALCYON_OK);
    std::vector<float> probabilities(10);
    REQUIRE(halcyon_predict(network, images.data(), 2, probabilities.data()) == HALCYON_OK);
    const auto first = probabilities.begin(), second = first + 5;
    CHECK((std::max_element(first, second) == first && std::max_element(second, probabilities.end()) == second + 4));

    const std::vector<std::uint16_t> beyond = {0, 5};
    CHECK(halcyon_train_step(network, images.data(), beyond.data(), 2, &step, nullptr) == HALCYON_FAILED);
    CHECK(std::string(halcyon_last_error(network)) == "image 1 has the label 5: the classes are 0 to 4");
    const std::vector<float> wrong = {1, 0, 0, 0, 0, 0, 2, 0, 0, 0};
    CHECK(halcyon_train_step_on_targets(network, images.data(), wrong.data(), 2, &step, nullptr) == HALCYON_FAILED);
    CHECK(std::string(halcyon_last_error(network)) == "image 1 has the target 2: targets are from 0 to 1");
    halcyon_close(network);
}
