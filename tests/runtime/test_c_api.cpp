#include "runtime/halcyon.h"

#include "tests/catch.h"
#include "tests/runtime/tiny_model.h"

#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

using namespace halcyon::tests;

namespace {

struct Handle {
    TinyModel model;
    halcyon_model library = model.library();
    halcyon_network *network = nullptr;
    halcyon_status opened;

    explicit Handle(const char *schedule = "auto", int max_batch = 4) : opened(halcyon_open(&library, schedule, 2, max_batch, &network)) {}
    ~Handle() { halcyon_close(network); }

    std::string error() const { return halcyon_last_error(network); }
};

bool contains(const std::string &text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a C program trains, saves, loads and predicts") {
    Handle trained;
    REQUIRE(trained.opened == HALCYON_OK);
    CHECK(trained.error().empty());
    CHECK(halcyon_initialize(trained.network, 1) == HALCYON_OK);
    const std::uint8_t images[] = {1, 2, 3, 4}, labels[] = {0, 1};
    halcyon_step step{};
    step.update = 1;
    step.learning_rate = 0.5F;
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
    CHECK(halcyon_initialize(none.network, 1) == HALCYON_FAILED);
    CHECK(contains(none.error(), "could not be opened"));

    Handle handle;
    const std::uint8_t images[10] = {};
    float probabilities[10];
    for (const int count : {0, -1, 5}) CHECK(halcyon_predict(handle.network, images, count, probabilities) == HALCYON_FAILED);
    CHECK(contains(handle.error(), "a batch of 5 images"));
    CHECK(halcyon_load_weights(handle.network, "/no/such/file") == HALCYON_FAILED);
    CHECK(contains(handle.error(), "/no/such/file"));
    halcyon_close(nullptr);
}
