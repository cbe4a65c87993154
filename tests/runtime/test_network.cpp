#include "runtime/engine/network.h"

#include "plan/augment.h"
#include "plan/step.h"
#include "runtime/engine/random.h"
#include "runtime/engine/step_words.h"
#include "tests/catch.h"
#include "tests/runtime/tiny_model.h"
#include "tests/text.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>

using namespace halcyon;
using namespace halcyon::tests;

namespace {

using Floats = std::vector<float>;
using Numbers = std::vector<std::int32_t>;  // of records

Floats copy(std::span<const float> values) { return {values.begin(), values.end()}; }

const Parameter &parameter(const Network &network, std::string_view name) {
    return *std::ranges::find(network.plan().parameters, name, &Parameter::name);
}

/// Records 0..4 of two pixels each, and their labels.
const std::uint8_t images[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
const std::uint16_t labels[] = {0, 1, 1, 0, 1};

/// The tiny network with small whole weights, so that all sums are exact: score[0] = x0 - x1 + 1, score[1] = 2 x0.
struct SmallNetwork {
    TinyModel model;
    Network network;

    explicit SmallNetwork(int threads = 1, int max_batch = 4)
        : network(model.library(), plan_of(model.library()), "reference", threads, max_batch) {
        network.bind_data(images, labels);
        std::ranges::copy(Floats{1, 2, -1, 0}, weight("dense/kernel").begin());
        std::ranges::copy(Floats{1, 0}, weight("dense/bias").begin());
    }

    std::span<float> weight(std::string_view name) { return network.weight(parameter(network, name)); }
    std::span<float> gradient(std::string_view name) { return network.gradient(parameter(network, name)); }
};

/// What `action` writes to stderr.
std::string stderr_of(const std::function<void()> &action) {
    std::FILE *file = std::tmpfile();
    const int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    action();
    std::fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
    std::rewind(file);
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
}

}  // namespace

TEST_CASE("gradients() runs forward and backward over the records it is given") {
    SmallNetwork f(GENERATE(1, 3));
    const BatchResult batch = f.network.gradients(Numbers{3, 1}, StepValues{});
    // Record 3 is (7, 8) with label 0 and score 0; record 1 is (3, 4) with label 1 and scores 0, 6.
    CHECK(batch.loss == 0 + 6);
    CHECK(batch.metric == 1);
    CHECK(copy(f.gradient("dense/kernel")) == Floats{3.5, 1.5, 4, 2});  // (c, k): half of x where the label is k
    CHECK(copy(f.gradient("dense/bias")) == Floats{0.5, 0.5});
    CHECK(copy(f.weight("norm/moving_mean")) == Floats{5, 6});
}

TEST_CASE("every batch size up to the largest, in any order, gives each image its own result") {
    SmallNetwork f(2);
    for (const int batch : {4, 1, 3, 2, 4, 1}) {
        CAPTURE(batch);
        const Numbers records{4, 0, 2, 1};
        const Floats all{0, 18, 0, 2, 0, 10, 0, 6};  // score[0] is always x0 - x1 + 1 = 0
        const BatchResult result = f.network.infer(std::span(records).first(std::size_t(batch)));
        CHECK(copy(f.network.predictions()) == Floats(all.begin(), all.begin() + 2 * batch));
        CHECK(result.metric == std::vector{1, 1, 2, 3}[std::size_t(batch) - 1]);
        CHECK(result.loss == std::vector{18, 18, 28, 34}[std::size_t(batch) - 1]);
    }
}

TEST_CASE("the loss is averaged over the global batch") {
    SmallNetwork f;
    f.network.gradients(Numbers{0}, StepValues{.global_batch = 4});
    CHECK(copy(f.gradient("dense/bias")) == Floats{0.25, 0});
}

TEST_CASE("kernels get the classes' weights, which are 1 where none are given") {
    SmallNetwork f;
    f.network.gradients(Numbers{0}, StepValues{.class_weights = {0.5F, 4}});  // of class 0
    CHECK(copy(f.gradient("dense/bias")) == Floats{0.5F, 0});
    f.network.gradients(Numbers{0}, StepValues{});
    CHECK(copy(f.gradient("dense/bias")) == Floats{1, 0});
}

TEST_CASE("images are flipped in training only") {
    SmallNetwork f;
    f.network.gradients(Numbers{0}, StepValues{.flip_probability = 1});
    CHECK(copy(f.weight("norm/moving_mean")) == Floats{2, 1});
    f.network.infer(Numbers{0});
    CHECK(copy(f.network.predictions()) == Floats{0, 2});
}

TEST_CASE("an augmented batch is trained on in place of the records, with their labels") {
    SmallNetwork f;
    TrainingStep augmented, plain;
    augmented.records = plain.records = {3, 1};
    augmented.augment.resize(2 * augment_words);
    augmented.augment[0] = 10, augmented.augment[augment_words] = 20;  // what the tiny kernel adds to the images
    const auto bytes = std::get<std::span<const std::uint8_t>>(f.network.augment(augmented.records, augmented.augment));
    CHECK(std::ranges::equal(bytes, std::vector<std::uint8_t>{17, 18, 23, 24}));
    const auto gradient = [&](const TrainingStep &step) {
        f.network.train(find_optimizer("sgd"), std::span(&step, 1));
        return copy(f.gradient("dense/kernel"));
    };
    for (int time = 0; time < 2; ++time) {
        CHECK(gradient(plain) == Floats{3.5, 1.5, 4, 2});
        CHECK(gradient(augmented) == Floats{8.5, 11.5, 9, 12});
        f.network.infer(Numbers{3, 1});
        CHECK(copy(f.network.predictions()) == Floats{0, 14, 0, 6});  // of the records as they are
    }
    // More images than records, of which the last is named again and again.
    f.network.bind_data(std::span(images).first(4), std::span(labels).first(2));
    augmented.records = {1, 1, 1, 1};
    augmented.augment.assign(4 * augment_words, 0);
    augmented.augment[3 * augment_words] = 100;
    CHECK(gradient(augmented) == Floats{0, 28, 0, 29});
    augmented.augment.pop_back();
    CHECK(contains(failure_of([&] { gradient(augmented); }), "59 words of augmentation for 4 images: 15 belong to each"));
}

TEST_CASE("an augmented batch of floats is trained on by the programs for floats") {
    SmallNetwork f;
    const float floats[] = {1, 2, 3, 4, 5, 6, 7, 8.25F, 9, 10};
    f.network.bind_data(floats, labels);
    TrainingStep augmented, plain;
    augmented.records = plain.records = {3, 1};
    augmented.augment.resize(2 * augment_words);
    augmented.augment[0] = 10, augmented.augment[augment_words] = 20;
    const auto records = std::get<std::span<const float>>(f.network.augment(augmented.records, augmented.augment));
    CHECK(std::ranges::equal(records, Floats{17, 18.25F, 23, 24}));
    const auto gradient = [&](const TrainingStep &step) {
        f.network.train(find_optimizer("sgd"), std::span(&step, 1));
        return copy(f.gradient("dense/kernel"));
    };
    for (int time = 0; time < 2; ++time) {
        CHECK(gradient(plain) == Floats{3.5F, 1.5F, 4.125F, 2});
        CHECK(gradient(augmented) == Floats{8.5F, 11.5F, 9.125F, 12});
        f.network.infer(Numbers{3, 1});
        CHECK(copy(f.network.predictions()) == Floats{-0.25F, 14, 0, 6});  // of the records as they are
    }
    f.network.bind_data(images, labels);  // bytes after floats
    CHECK(gradient(augmented) == Floats{8.5F, 11.5F, 9, 12});
}

TEST_CASE("adam gets the learning rate with its bias corrections") {
    SmallNetwork f;
    std::ranges::fill(f.network.gradient_slab(), 1.0F);
    const Floats before = copy(f.weight("dense/kernel"));
    const StepValues values{.learning_rate = 0.5F, .update = 3, .settings = {0.75F, 0.875F, 1e-7F}};
    f.network.update(find_optimizer("adam"), values);
    // lr * sqrt(1 - beta2^3) / (1 - beta1^3), with powers that are exact in double; one rounding to float, one in the subtraction.
    const auto rate = static_cast<float>(0.5 * std::sqrt(1 - 0.669921875) / (1 - 0.421875));
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(f.weight("dense/kernel")[i] == before[i] - rate);
    const Parameter &kernel = parameter(f.network, "dense/kernel");
    CHECK(copy(f.network.optimizer_state(kernel, 0)) == Floats(4, 0.75F));
    CHECK(copy(f.network.optimizer_state(kernel, 1)) == Floats(4, 0.875F));
}

TEST_CASE("sgd gets the learning rate as it is, and its velocity is the first slot") {
    SmallNetwork f;
    std::ranges::fill(f.network.gradient_slab(), 1.0F);
    for (int i = 0; i < 2; ++i)
        f.network.update(find_optimizer("sgd"), StepValues{.learning_rate = 0.5F, .update = 7, .settings = {0.25F, 0, 0}});
    CHECK(copy(f.weight("dense/bias")) == Floats{1 - 0.5F - 0.625F, -0.5F - 0.625F});
    CHECK(copy(f.network.optimizer_state(parameter(f.network, "dense/bias"), 0)) == Floats{-0.625F, -0.625F});
}

TEST_CASE("what is called after the gradients decides what the update takes") {
    const TrainingStep whole{Numbers{0, 1}, StepValues{.learning_rate = 0.25F}}, half{Numbers{0, 1}, StepValues{.learning_rate = 0.125F}};
    SmallNetwork halved, plain;
    int calls = 0;
    const AfterGradients halve = [&](std::span<float> gradients) {
        ++calls;
        CHECK(gradients.data() == halved.network.gradient_slab().data());
        CHECK(copy(halved.gradient("dense/bias")) == Floats{0.5, 0.5});  // of the step, not yet updated with
        CHECK(copy(halved.weight("dense/bias")) == Floats{1, 0});
        for (float &gradient : gradients) gradient /= 2;
    };
    halved.network.train(find_optimizer("sgd"), std::span(&whole, 1), halve);
    plain.network.train(find_optimizer("sgd"), std::span(&half, 1));
    CHECK(calls == 1);
    CHECK(copy(halved.network.parameter_slab()) == copy(plain.network.parameter_slab()));
    CHECK(copy(halved.weight("dense/bias")) == Floats{1 - 0.0625F, -0.0625F});
}

TEST_CASE("what is clipped is what was made of the gradients after them") {
    const StepValues values{.learning_rate = 0.25F, .options = {.clip = Clipping{Clipping::By::value, 0.75}}};
    const TrainingStep step{Numbers{0, 1}, values};
    SmallNetwork f;
    f.network.train(find_optimizer("sgd"), std::span(&step, 1), [](std::span<float> gradients) {
        for (float &gradient : gradients) gradient *= 2;  // 1 of each bias
    });
    CHECK(copy(f.weight("dense/bias")) == Floats{1 - 0.1875F, -0.1875F});
}

TEST_CASE("what is thrown after the gradients comes before the update") {
    SmallNetwork f;
    const Floats before = copy(f.network.parameter_slab());
    const TrainingStep step{Numbers{0, 1}, StepValues{.learning_rate = 0.25F}};
    const auto train = [&](const AfterGradients &after) { f.network.train(find_optimizer("adam"), std::span(&step, 1), after); };
    CHECK(failure_of([&] { train([](std::span<float>) { throw std::runtime_error("a machine is gone"); }); }) == "a machine is gone");
    CHECK(copy(f.network.parameter_slab()) == before);
    CHECK(std::ranges::all_of(f.network.optimizer_slab(), [](float value) { return value == 0; }));
    train({});
    CHECK(copy(f.network.parameter_slab()) != before);
}

TEST_CASE("a model that was compiled without an optimizer says so when it is asked for") {
    Plan plan = tiny_plan();
    std::erase_if(plan.sets[0].programs, [](const Program &program) { return program.name == "sgd"; });
    const TinyModel model(plan);
    Network network(model.library(), plan, "reference", 1, 4);
    network.bind_data(images, labels);
    network.update(find_optimizer("adam"), StepValues{});
    CHECK(contains(failure_of([&] { network.update(find_optimizer("sgd"), StepValues{}); }), "compiled without the optimizer sgd"));
    const TrainingStep step{Numbers{0}, {}};
    CHECK(contains(failure_of([&] { network.train(find_optimizer("sgd"), {&step, 1}); }), "compiled without the optimizer sgd"));
}

TEST_CASE("initialize() follows the initializers and the seed alone") {
    SmallNetwork f;
    f.network.initialize(7);
    const Floats kernel = copy(f.weight("dense/kernel"));
    // limit = sqrt(6 / (2 + 2)); numbers 0..3 of parameter 0 in the initialisation's stream.
    for (std::uint32_t i = 0; i < 4; ++i) {
        const float u = static_cast<float>(philox2x32({i, 0}, philox2x32({0, 2}, 7)[0])[0] >> 8) / 16777216.0F;
        CHECK(kernel[i] == std::sqrt(1.5F) * (2 * u - 1));
        CHECK(std::abs(kernel[i]) <= std::sqrt(1.5F));
    }
    CHECK(copy(f.weight("dense/bias")) == Floats{0, 0});
    CHECK(copy(f.weight("norm/gamma")) == Floats{1, 1});
    CHECK(copy(f.weight("norm/moving_mean")) == Floats{0, 0});

    Floats padding = copy(f.network.parameter_slab());
    for (const int offset : {0, 1, 2, 3, 16, 17, 32, 33}) padding[std::size_t(offset)] = 0;
    CHECK(std::ranges::all_of(padding, [](float value) { return value == 0; }));

    f.network.gradients(Numbers{0}, StepValues{});
    f.network.update(find_optimizer("adam"), StepValues{.learning_rate = 1});
    f.network.initialize(7);
    CHECK(copy(f.weight("dense/kernel")) == kernel);
    for (const auto slab : {f.network.gradient_slab(), f.network.optimizer_slab()})
        CHECK(std::ranges::all_of(slab, [](float value) { return value == 0; }));
    f.network.initialize(8);
    CHECK(copy(f.weight("dense/kernel")) != kernel);
}

TEST_CASE("what cannot be run is refused before any kernel runs") {
    SmallNetwork f;
    CHECK_THROWS_AS(SmallNetwork(1, 0), std::invalid_argument);
    CHECK_THROWS_AS(SmallNetwork(0), std::invalid_argument);
    CHECK_THROWS_AS(f.network.infer(Numbers{}), std::invalid_argument);
    CHECK_THROWS_AS(f.network.infer(Numbers(5, 0)), std::invalid_argument);
    CHECK(contains(failure_of([&] { f.network.infer(Numbers{0, 5}); }), "no record 5; there are 5"));
    CHECK_THROWS_AS(f.network.infer(Numbers{-1}), std::invalid_argument);
    CHECK_THROWS_AS(f.network.gradient(parameter(f.network, "norm/moving_mean")), std::invalid_argument);
}

TEST_CASE("values of a step out of range are refused before anything is changed") {
    SmallNetwork f;
    const Floats before = copy(f.network.parameter_slab());
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    const Optimizer &adam = find_optimizer("adam"), &sgd = find_optimizer("sgd");
    const auto refusal = [&](const Optimizer &optimizer, const StepValues &values) {
        TrainingStep step{Numbers{0, 1}, values};
        return failure_of([&] { f.network.train(optimizer, {&step, 1}); });
    };
    for (const Floats &rates : {Floats{1}, Floats{-0.5F}, Floats{nan}, Floats{0.99999999F}, Floats{0.999999F}, Floats{0, 0}})
        CHECK(contains(refusal(adam, {.dropout_rates = rates}), "dropout rate"));
    for (const float chance : {-0.1F, 1.1F, nan}) CHECK(contains(refusal(adam, {.flip_probability = chance}), "flip probability"));
    for (const Floats &weights : {Floats{1, -1}, Floats{nan, 1}, Floats{1, infinity}, Floats{1}, Floats{1, 1, 1}})
        CHECK(contains(refusal(adam, {.class_weights = weights}), "class weight"));
    for (const int images : {-1, 1}) CHECK(contains(refusal(adam, {.global_batch = images}), "global batch"));
    for (const std::int64_t update : {std::int64_t{0}, std::int64_t{-5}, std::numeric_limits<std::int64_t>::min()})
        CHECK(contains(refusal(adam, {.update = update}), "update"));
    for (const Optimizer *optimizer : {&adam, &sgd})
        for (const float rate : {-1e-3F, nan, infinity, -infinity})
            CHECK(contains(refusal(*optimizer, {.learning_rate = rate}), "learning rate"));
    // Finite as it is, infinite with the first bias correction: sqrt(1 - beta_2) / (1 - beta_1) is 1024.
    CHECK(contains(refusal(adam, {.learning_rate = 1e38F, .settings = {1 - 0x1p-10F, 0, 1e-7F}}), "the optimizer's corrections"));
    for (const float fraction : {-0.1F, 1.0F, nan}) {
        CHECK(contains(refusal(adam, {.settings = {fraction, 0, 1e-7F}}), "beta_1"));
        CHECK(contains(refusal(adam, {.settings = {0, fraction, 1e-7F}}), "beta_2"));
        CHECK(contains(refusal(sgd, {.settings = {fraction, 0, 0}}), "momentum"));
    }
    for (const float epsilon : {0.0F, -1e-7F, 1e-40F, nan, infinity})
        CHECK(contains(refusal(adam, {.settings = {0, 0, epsilon}}), "epsilon"));
    for (const double most : {0.0, -1.0, 1e-40, double(nan), double(infinity)})
        CHECK(contains(refusal(sgd, {.options = {.clip = Clipping{Clipping::By::norm, most}}}), "clipnorm"));
    for (const double momentum : {-0.1, 1.0, double(nan)})
        CHECK(contains(refusal(sgd, {.options = {.average = Averaging{.momentum = momentum}}}), "ema_momentum"));
    CHECK(contains(refusal(sgd, {.options = {.average = Averaging{.overwrite_frequency = 0}}}), "frequency of overwriting"));
    CHECK(refusal(sgd, {.settings = {0, 1}}) == "2 settings for the 3 of sgd");
    CHECK(copy(f.network.parameter_slab()) == before);
    CHECK(refusal(adam, {.dropout_rates = {0.9999F}, .learning_rate = 0, .update = std::numeric_limits<std::int64_t>::max()}) == "");
}

TEST_CASE("a step that gives no dropout rates takes the layers' own") {
    Plan plan = tiny_plan();
    const auto threshold = [&](const StepValues &values) {
        std::vector<std::uint32_t> words(std::size_t(step_words(plan.dropout_layers, plan.classes)));
        write_step(words, plan, values, 1);
        return words[std::size_t(dropout_threshold(0))];
    };
    CHECK(threshold({}) == 0);
    plan.dropout_rates = {0.25};
    CHECK(threshold({}) == 16384);
    CHECK(threshold({.dropout_rates = {0.5F}}) == 32768);
    CHECK(threshold({.dropout_rates = {0}}) == 0);
}

TEST_CASE("data that kernels cannot read is refused when it is bound") {
    SmallNetwork f;
    using Labels = std::span<const std::uint16_t>;
    const auto refusal = [&](std::span<const std::uint8_t> of_images, Labels of_labels) {
        return failure_of([&] { f.network.bind_data(of_images, of_labels); });
    };
    for (const Labels of_labels : {Labels(), Labels(labels, std::size_t{1} << 30)})
        CHECK(contains(refusal(images, of_labels), "the kernels can address 1 to 1073741823"));
    CHECK(refusal(images, Labels(labels).first(4)) == "10 bytes of images for 4 labels: an image has 1x2x1");
    const std::uint16_t beyond[] = {0, 1, 2, 0, 9};
    CHECK(refusal(images, beyond) == "image 2 has the label 2: the classes are 0 to 1");
    CHECK_THROWS_AS(f.network.place(images, beyond), std::invalid_argument);
    CHECK(refusal(std::span(images).first(4), Labels(beyond).first(2)) == "");
}

TEST_CASE("data may be floats, whole or not, and NaN among them reaches the loss") {
    SmallNetwork f;
    const float floats[] = {1, 2, 1.5F, 4, std::numeric_limits<float>::quiet_NaN(), 6};
    f.network.bind_data(floats, std::span(labels).first(3));
    CHECK(f.network.infer(Numbers{0, 1}).loss == 0 + 3);
    CHECK(std::isnan(f.network.infer(Numbers{2}).loss));
    f.network.bind_data(images, labels);
    CHECK(f.network.infer(Numbers{0, 1}).loss == 0 + 6);
    CHECK(failure_of([&] { f.network.bind_data(floats, labels); }) == "6 floats of images for 5 labels: an image has 1x2x1");
}

TEST_CASE("other data takes the place of the data bound before") {
    SmallNetwork f;
    f.network.infer(Numbers{0});
    const std::uint8_t other[] = {20, 0, 30, 0};
    const std::uint16_t other_labels[] = {1, 0};
    f.network.bind_data(other, other_labels);
    CHECK(f.network.infer(Numbers{1}).loss == 31);
    CHECK_THROWS_AS(f.network.infer(Numbers{2}), std::invalid_argument);
}

TEST_CASE("a kernel's failure is an exception that names it, and the network can be used again") {
    SmallNetwork f(GENERATE(1, 3));
    const std::uint8_t poisoned[] = {1, poisoned_pixel, 1, 1};
    f.network.bind_data(poisoned, std::span(labels).first(2));
    f.network.infer(Numbers{1});
    const std::string message = failure_of([&] { f.network.infer(Numbers{0, 1}); });
    CHECK(f.network.predictions().empty());
    CHECK(contains(message, "kernel pointwise of layer \"tiny\""));
    CHECK(contains(message, "a pixel of 255"));
    CHECK(contains(message, "-7"));
    CHECK(contains(message, "tiny_input"));
    CHECK(f.network.infer(Numbers{1}).loss == 2);
}

TEST_CASE("a library that does not fit its plan is refused") {
    const auto error_of = [](const TinyModel &model, const char *set = "reference") {
        return failure_of([&] { Network(model.library(), plan_of(model.library()), set, 1, 4); });
    };
    TinyModel lacking;
    lacking.kernels.pop_back();
    CHECK(contains(error_of(lacking), "no kernel tiny_sgd"));

    TinyModel mixed;
    mixed.kernels[0].metadata = mixed.kernels[1].metadata;
    CHECK(contains(error_of(mixed), "tiny_input takes 9 arguments and the plan passes 5"));

    Plan outside = tiny_plan();
    for (Program &program : outside.sets[0].programs) program.arena_bytes_per_image = 0;
    const TinyModel overlapping(outside);
    Network network(overlapping.library(), outside, "reference", 1, 4);
    network.bind_data(images, labels);
    CHECK(contains(failure_of([&] { network.gradients(Numbers{0}, StepValues{}); }), "\"scores\" outside"));

    halcyon_model newer = lacking.library();
    newer.abi_version = HALCYON_ABI_VERSION + 1;
    CHECK(contains(failure_of([&] { plan_of(newer); }), "ABI version"));
    CHECK(contains(error_of(lacking, "x86_avx2"), "\"x86_avx2\"; there are reference"));
}

TEST_CASE("a network without data says so") {
    const TinyModel model;
    Network network(model.library(), plan_of(model.library()), "reference", 1, 4);
    CHECK(contains(failure_of([&] { network.infer(Numbers{0}); }), "no record 0; there are 0"));
}

TEST_CASE("HALCYON_VERBOSE writes a line for each call") {
    CHECK(stderr_of([] { SmallNetwork().network.infer(Numbers{0, 1}); }).empty());
    setenv("HALCYON_VERBOSE", "1", 1);
    const std::string lines = stderr_of([] { SmallNetwork().network.infer(Numbers{0, 1}); });
    unsetenv("HALCYON_VERBOSE");
    CHECK(std::ranges::count(lines, '\n') == 2);
    CAPTURE(lines);
    for (const std::string part : {" ms ", "tiny", "n=2", "reference", "pointwise__"}) CHECK(contains(lines, part));
}
