#include "runtime/halcyon.h"

#include "tests/catch.h"
#include "tests/runtime/tiny_model.h"
#include "tests/text.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

using namespace halcyon::tests;

namespace {

struct Handle {
    TinyModel model;
    halcyon_model library = model.library();
    halcyon_network *network = nullptr;
    halcyon_status opened;

    explicit Handle(const char *schedule = "auto", int max_batch = 4, const halcyon::Plan &plan = tiny_plan())
        : model(plan), opened(halcyon_open(&library, schedule, 2, max_batch, &network)) {}
    ~Handle() { halcyon_close(network); }

    std::string error() const { return halcyon_last_error(network); }
};

halcyon_step good_step() {
    halcyon_step step = {};
    step.seed = 1, step.update = 1, step.learning_rate = 0.5F;
    return step;
}

}  // namespace

TEST_CASE("a model with labels takes no targets") {
    Handle handle;
    REQUIRE(halcyon_initialize(handle.network, 1) == HALCYON_OK);
    const std::uint8_t images[] = {1, 2};
    const float targets[] = {0, 1};
    const halcyon_step step = good_step();
    CHECK(halcyon_train_step_on_targets(handle.network, images, targets, 1, &step, nullptr) == HALCYON_FAILED);
    CHECK(handle.error() == "targets of images: the model takes labels, which are their classes");
}

TEST_CASE("a C program trains, saves, loads and predicts") {
    Handle trained;
    REQUIRE(trained.opened == HALCYON_OK);
    CHECK(trained.error().empty());
    CHECK(halcyon_initialize(trained.network, 1) == HALCYON_OK);
    const std::uint8_t images[] = {1, 2, 3, 4};
    const std::uint16_t labels[] = {0, 1};
    halcyon_step step = good_step();
    double first = 0, second = 0;
    REQUIRE(halcyon_train_step(trained.network, images, labels, 2, &step, &first) == HALCYON_OK);
    step.update = 2;
    REQUIRE(halcyon_train_step(trained.network, images, labels, 2, &step, &second) == HALCYON_OK);
    CHECK(second < first);

    std::vector<float> before(4), after(4);
    const std::string path = (std::filesystem::temp_directory_path() / ("halcyon_c_api_" + std::to_string(getpid()))).string();
    REQUIRE(halcyon_save_weights(trained.network, path.c_str()) == HALCYON_OK);
    REQUIRE(halcyon_predict(trained.network, images, 2, before.data()) == HALCYON_OK);
    Handle loaded("reference");
    REQUIRE(halcyon_load_weights(loaded.network, path.c_str()) == HALCYON_OK);
    REQUIRE(halcyon_predict(loaded.network, images, 2, after.data()) == HALCYON_OK);
    CHECK(before == after);
    std::filesystem::remove(path);
}

TEST_CASE("a C program gets a status and one line for every failure") {
    Handle none("x86_avx9");
    CHECK(none.opened == HALCYON_FAILED);
    CHECK(contains(none.error(), "x86_avx9"));
    const std::uint8_t images[10] = {};
    const std::uint16_t labels[5] = {};
    float probabilities[10];
    const halcyon_step step = good_step();
    for (const halcyon_status status :
         {halcyon_initialize(none.network, 1), halcyon_load_weights(none.network, "w"), halcyon_save_weights(none.network, "w"),
          halcyon_predict(none.network, images, 1, probabilities), halcyon_train_step(none.network, images, labels, 1, &step, nullptr)})
        CHECK(status == HALCYON_FAILED);
    CHECK(contains(none.error(), "could not be opened"));

    Handle handle;
    REQUIRE(halcyon_initialize(handle.network, 1) == HALCYON_OK);
    for (const int count : {0, -1, 1'000'000, 5}) {
        CHECK(halcyon_predict(handle.network, images, count, probabilities) == HALCYON_FAILED);
        CHECK(halcyon_train_step(handle.network, images, labels, count, &step, nullptr) == HALCYON_FAILED);
    }
    CHECK(contains(handle.error(), "a batch of 5 images"));
    CHECK(halcyon_load_weights(handle.network, "/no/such/file") == HALCYON_FAILED);
    CHECK(contains(handle.error(), "/no/such/file"));
    CHECK(halcyon_save_weights(handle.network, "/no/such/folder/file") == HALCYON_FAILED);
    CHECK(contains(handle.error(), "/no/such/folder/file"));
    const std::uint8_t poisoned[] = {poisoned_pixel, 1};
    CHECK(halcyon_predict(handle.network, poisoned, 1, probabilities) == HALCYON_FAILED);
    CHECK(contains(handle.error(), "a pixel of 255"));
    CHECK(halcyon_predict(handle.network, images, 1, probabilities) == HALCYON_OK);
}

TEST_CASE("what cannot be opened is refused") {
    const TinyModel model;
    const halcyon_model library = model.library();
    const auto refusal = [](const halcyon_model *opened, const char *schedule, int threads, int max_batch) {
        halcyon_network *network = nullptr;
        const halcyon_status status = halcyon_open(opened, schedule, threads, max_batch, &network);
        const std::string error = halcyon_last_error(network);
        halcyon_close(network);
        return status == HALCYON_OK ? "" : error;
    };
    CHECK(refusal(&library, "auto", 1, 1) == "");
    CHECK(refusal(nullptr, "auto", 1, 1) == "`model` is a null pointer");
    CHECK(refusal(&library, nullptr, 1, 1) == "`schedule` is a null pointer");
    for (const int threads : {0, -1, 1'000'000'000}) CHECK(contains(refusal(&library, "auto", threads, 1), "there must be 1 to 8192"));
    for (const int max_batch : {0, -1}) CHECK(contains(refusal(&library, "auto", 1, max_batch), "it must be at least 1"));
    CHECK(contains(refusal(&library, "auto", 1, std::numeric_limits<int>::max()), "35791394 images fit"));
    for (auto break_it : {+[](halcyon_model &broken) { broken.abi_version++; }, +[](halcyon_model &broken) { broken.plan = nullptr; },
                          +[](halcyon_model &broken) { broken.kernels = nullptr; }, +[](halcyon_model &broken) { broken.plan_size = 9; }}) {
        halcyon_model broken = library;
        break_it(broken);
        CHECK(refusal(&broken, "auto", 1, 1) != "");
    }
    CHECK(halcyon_open(&library, "auto", 1, 1, nullptr) == HALCYON_FAILED);
}

TEST_CASE("null pointers are refused") {
    Handle handle;
    REQUIRE(halcyon_initialize(handle.network, 1) == HALCYON_OK);
    const std::uint8_t images[2] = {};
    const std::uint16_t labels[1] = {};
    float probabilities[2];
    const halcyon_step step = good_step();
    const auto refused = [&](halcyon_status status, const std::string &argument) {
        return status == HALCYON_FAILED && handle.error() == "`" + argument + "` is a null pointer";
    };
    halcyon_network *const network = handle.network;
    CHECK(refused(halcyon_load_weights(network, nullptr), "path"));
    CHECK(refused(halcyon_save_weights(network, nullptr), "path"));
    CHECK(refused(halcyon_predict(network, nullptr, 1, probabilities), "images"));
    CHECK(refused(halcyon_predict(network, images, 1, nullptr), "predictions"));
    CHECK(refused(halcyon_train_step(network, nullptr, labels, 1, &step, nullptr), "images"));
    CHECK(refused(halcyon_train_step(network, images, nullptr, 1, &step, nullptr), "labels"));
    CHECK(refused(halcyon_train_step(network, images, labels, 1, nullptr, nullptr), "step"));
    CHECK(halcyon_train_step(network, images, labels, 1, &step, nullptr) == HALCYON_OK);

    for (const halcyon_status status :
         {halcyon_initialize(nullptr, 1), halcyon_load_weights(nullptr, "w"), halcyon_save_weights(nullptr, "w"),
          halcyon_predict(nullptr, images, 1, probabilities), halcyon_train_step(nullptr, images, labels, 1, &step, nullptr)})
        CHECK(status == HALCYON_FAILED);
    CHECK(contains(halcyon_last_error(nullptr), "no network"));
    halcyon_close(nullptr);
}

TEST_CASE("a network without weights neither predicts, trains nor saves") {
    Handle handle;
    const std::uint8_t images[2] = {};
    const std::uint16_t labels[1] = {};
    float probabilities[2];
    const halcyon_step step = good_step();
    const auto statuses = [&] {
        return std::vector{halcyon_predict(handle.network, images, 1, probabilities),
                           halcyon_train_step(handle.network, images, labels, 1, &step, nullptr),
                           halcyon_save_weights(handle.network, "/dev/null/no")};
    };
    CHECK(statuses() == std::vector<halcyon_status>(3, HALCYON_FAILED));
    CHECK(contains(handle.error(), "no weights yet"));
    CHECK(halcyon_load_weights(handle.network, "/no/such/file") == HALCYON_FAILED);
    CHECK(statuses() == std::vector<halcyon_status>(3, HALCYON_FAILED));
    CHECK(contains(handle.error(), "no weights yet"));
    CHECK(halcyon_initialize(handle.network, 1) == HALCYON_OK);
    CHECK(halcyon_predict(handle.network, images, 1, probabilities) == HALCYON_OK);
}

TEST_CASE("a step that is out of range is refused and changes nothing") {
    Handle handle;
    REQUIRE(halcyon_initialize(handle.network, 1) == HALCYON_OK);
    const std::uint8_t images[4] = {1, 2, 3, 4};
    const std::uint16_t labels[2] = {0, 1}, beyond[2] = {0, 2};
    float before[4], after[4];
    REQUIRE(halcyon_predict(handle.network, images, 2, before) == HALCYON_OK);
    const auto refusal = [&](auto field, auto value) -> std::string {
        halcyon_step step = good_step();
        step.*field = value;
        return halcyon_train_step(handle.network, images, labels, 2, &step, nullptr) == HALCYON_OK ? "" : handle.error();
    };
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    for (const std::int64_t update : {std::int64_t{0}, std::int64_t{-5}, std::int64_t{1} << 32})
        CHECK(contains(refusal(&halcyon_step::update, update), "it must be 1 to 4294967295"));
    for (const float rate : {-1e-3F, nan, infinity}) CHECK(contains(refusal(&halcyon_step::learning_rate, rate), "learning rate"));
    for (const float rate : {-0.5F, 1.0F, 1.5F, 0.99999999F, nan})
        CHECK(contains(refusal(&halcyon_step::dropout_rate, rate), "dropout rate"));
    for (const float chance : {-0.5F, 1.5F, nan}) CHECK(contains(refusal(&halcyon_step::flip_probability, chance), "flip probability"));
    const halcyon_step step = good_step();
    CHECK(halcyon_train_step(handle.network, images, beyond, 2, &step, nullptr) == HALCYON_FAILED);
    CHECK(handle.error() == "image 1 has the label 2: the classes are 0 to 1");
    REQUIRE(halcyon_predict(handle.network, images, 2, after) == HALCYON_OK);
    CHECK(std::ranges::equal(before, after));
    CHECK(refusal(&halcyon_step::update, (std::int64_t{1} << 32) - 1) == "");
}

TEST_CASE("a step without a dropout rate leaves the layers their own") {
    halcyon::Plan plan = tiny_plan();
    plan.dropout_rates = {2};  // which the step buffer refuses
    Handle handle("auto", 4, plan);
    REQUIRE(halcyon_initialize(handle.network, 1) == HALCYON_OK);
    const std::uint8_t images[4] = {1, 2, 3, 4};
    const std::uint16_t labels[2] = {0, 1};
    halcyon_step step = good_step();
    CHECK(halcyon_train_step(handle.network, images, labels, 2, &step, nullptr) == HALCYON_FAILED);
    CHECK(contains(handle.error(), "a dropout rate of 2"));
    step.dropout_rate = 0.5F;
    CHECK(halcyon_train_step(handle.network, images, labels, 2, &step, nullptr) == HALCYON_OK);
}

TEST_CASE("numbers that are none are failures") {
    Handle handle;
    REQUIRE(halcyon_initialize(handle.network, 1) == HALCYON_OK);
    const std::uint8_t images[4] = {1, 2, 3, 4};
    const std::uint16_t labels[2] = {0, 1};
    halcyon_step step = good_step();
    step.learning_rate = 1e38F;
    double loss = 7;
    while (halcyon_train_step(handle.network, images, labels, 2, &step, &loss) == HALCYON_OK && step.update < 100) step.update++;
    CHECK(contains(handle.error(), "the loss became"));
    CHECK(std::isfinite(loss));
    float probabilities[4];
    CHECK(halcyon_predict(handle.network, images, 2, probabilities) == HALCYON_FAILED);
    CHECK(contains(handle.error(), "not finite"));
    CHECK(halcyon_initialize(handle.network, 1) == HALCYON_OK);
    CHECK(halcyon_predict(handle.network, images, 2, probabilities) == HALCYON_OK);
}

namespace {

/// What a hook is to do and what it saw.
struct Hook {
    int status = 0;
    float factor = 1;
    std::vector<float> seen = {};

    static int call(void *user, float *gradients, size_t count) {
        Hook &hook = *static_cast<Hook *>(user);
        hook.seen.assign(gradients, gradients + count);
        for (float &gradient : std::span(gradients, count)) gradient *= hook.factor;
        return hook.status;
    }
};

/// The probabilities of two images after a step with this learning rate, and the hook where there is one.
std::vector<float> probabilities_after(float learning_rate, const char *optimizer, Hook *hook) {
    Handle handle;
    REQUIRE(halcyon_initialize(handle.network, 1) == HALCYON_OK);
    const std::uint8_t images[] = {1, 2, 3, 4};
    const std::uint16_t labels[] = {0, 1};
    halcyon_step step = good_step();
    step.learning_rate = learning_rate, step.optimizer = optimizer;
    if (hook) step.after_gradients = Hook::call, step.user = hook;
    CHECK(halcyon_train_step(handle.network, images, labels, 2, &step, nullptr) == (hook ? hook->status : HALCYON_OK));
    std::vector<float> probabilities(4);
    REQUIRE(halcyon_predict(handle.network, images, 2, probabilities.data()) == HALCYON_OK);
    return probabilities;
}

}  // namespace

TEST_CASE("a C program's hook on half the gradients is half the learning rate of sgd") {
    Hook halve{.factor = 0.5F};
    CHECK(probabilities_after(0.5F, "sgd", &halve) == probabilities_after(0.25F, "sgd", nullptr));
    CHECK(probabilities_after(0.5F, "sgd", &halve) != probabilities_after(0.5F, "sgd", nullptr));
    REQUIRE(halve.seen.size() == 3 * 16);  // the slab of the tiny model: a line each for kernel, bias and gamma
    CHECK(halve.seen[0] == 0.5F);          // half of image 0's first pixel
    CHECK(halve.seen[16] == 0.5F);
}

TEST_CASE("a C program's hook ends a step before its update, with a status of its own") {
    const std::vector<float> untrained = probabilities_after(0, nullptr, nullptr);
    for (const int status : {7, -3, int(HALCYON_FAILED)}) {
        Hook fail{.status = status, .factor = 0.5F};
        CHECK(probabilities_after(0.5F, nullptr, &fail) == untrained);
    }
    Handle handle;
    REQUIRE(halcyon_initialize(handle.network, 1) == HALCYON_OK);
    const std::uint8_t images[] = {1, 2};
    const std::uint16_t labels[] = {0};
    Hook fail{.status = 7};
    halcyon_step step = good_step();
    step.after_gradients = Hook::call, step.user = &fail;
    CHECK(halcyon_train_step(handle.network, images, labels, 1, &step, nullptr) == 7);
    CHECK(handle.error() == "after_gradients returned 7: the step ended before its update");
    fail.status = 0;
    CHECK(halcyon_train_step(handle.network, images, labels, 1, &step, nullptr) == HALCYON_OK);
}

TEST_CASE("a C program trains with the optimizer that it names") {
    CHECK(probabilities_after(0.5F, "adam", nullptr) == probabilities_after(0.5F, nullptr, nullptr));
    CHECK(probabilities_after(0.5F, "sgd", nullptr) != probabilities_after(0.5F, "adam", nullptr));
    Handle handle;
    REQUIRE(halcyon_initialize(handle.network, 1) == HALCYON_OK);
    const std::uint8_t images[] = {1, 2};
    const std::uint16_t labels[] = {0};
    halcyon_step step = good_step();
    step.optimizer = "adamax";
    CHECK(halcyon_train_step(handle.network, images, labels, 1, &step, nullptr) == HALCYON_FAILED);
    CHECK(contains(handle.error(), "there is no optimizer \"adamax\"; there are adam, "));
}
