// Runs of tests/golden/frozen.json, whose first layers are frozen.
#include "halcyon_frozen.h"

#include "runtime/engine/machine.h"
#include "runtime/training/learning_rate.h"
#include "runtime/training/trainer.h"
#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/text.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

using namespace halcyon;

namespace {

constexpr int trained = 20, held_out = 5, batch = 8, epochs = 2, seed = 3;

std::unique_ptr<Network> make_network() {
    const Plan plan = plan_of(*halcyon_frozen());
    auto network = std::make_unique<Network>(*halcyon_frozen(), plan, choose_set("auto", compiled_sets(plan)).name, 2, batch);
    network->initialize(seed);
    return network;
}

RunConfig make_config() {
    RunConfig config;
    config.model = "frozen";
    config.train_images = trained;
    config.validation_split = 0.2;
    config.recipe = load_recipe("keras");
    config.recipe.epochs = epochs;
    config.recipe.batch = batch;
    config.seed = seed;
    return config;
}

RunData make_data() {
    RunData data;
    Dataset &train = data.train;
    train.h = 13, train.w = 11, train.c = 3, train.classes = 5;
    train.pixels = Pixels::of_bytes((trained + held_out) * train.record_values());
    std::uint32_t value = 1;
    for (std::uint8_t &byte : train.pixels.bytes()) byte = static_cast<std::uint8_t>((value = value * 1664525 + 1013904223) >> 24);
    for (int image = 0; image < trained + held_out; ++image) train.labels.push_back(static_cast<std::uint16_t>(image % 5));
    data.records = split_by_class(train.labels, 0.2, seed);
    return data;
}

/// A run in a folder, and what it shows.
struct Shown {
    TrainingState state;
    bool finished = false;
    std::string text;
};

Shown train(const std::filesystem::path &path, const RunConfig &config = make_config(), int stop_at = 1000) {
    const RunData data = make_data();
    const auto network = make_network();
    const RunFolder folder = std::filesystem::exists(path) ? RunFolder::open(path) : RunFolder::create(path);
    TrainingState state;
    if (std::filesystem::exists(folder.last())) state = load_checkpoint(folder.last(), *network, optimizer_of(config.recipe)).state;
    Trainer trainer(*network, config, data, folder, state);
    const std::string output = path.string() + ".txt";
    std::FILE *const stream = std::fopen(output.c_str(), "w");
    REQUIRE(stream);
    Progress progress(stream);
    const bool finished = trainer.run(progress, [asked = 0, stop_at]() mutable { return asked++ >= stop_at; });
    std::fclose(stream);
    return {trainer.state(), finished, read_bytes(output)};
}

const std::string kept = "features  of re_lu are made once for 25 images, and take 0.1 MiB\n";

}  // namespace

TEST_CASE("a run keeps what the frozen layers make of its images, and comes to the bits of steps that make it anew") {
    const TemporaryFolder temporary;
    const RunConfig config = make_config();
    const RunData data = make_data();
    const Shown shown = train(temporary / "run");
    CHECK(shown.finished);
    CHECK(contains(shown.text, kept));

    const auto network = make_network();
    network->bind_data(data.train.pixels.bytes(), data.train.labels);
    std::istringstream metrics(read_bytes(temporary / "run/metrics.jsonl"));
    for (int epoch = 0, step = 0; epoch < epochs; ++epoch) {
        double loss = 0;
        for (int first = 0; first < trained; first += batch, ++step) {
            std::vector<std::int32_t> records;
            for (int i = first; i < std::min(first + batch, trained); ++i)
                records.push_back(data.records.train[Shuffle(seed, std::uint32_t(epoch), trained)(std::uint32_t(i))]);
            StepValues values;
            values.seed = seed;
            values.epoch = std::uint32_t(epoch);
            values.position = std::uint32_t(first);
            values.learning_rate = float(learning_rate(config.recipe.learning_rate, {step, 3, 3 * epochs}));
            values.update = step + 1;
            loss += network->gradients(records, values).loss;
            network->update(optimizer_of(config.recipe), values);
        }
        std::string line;
        REQUIRE(std::getline(metrics, line));
        const auto written = nlohmann::json::parse(line);
        CHECK(written.at("loss") == loss / trained);
        CHECK(written.at("val_loss") == network->infer(data.records.validation).loss / held_out);
    }
    const auto of_run = make_network();
    load_weights(temporary / "run/last.safetensors", *of_run);
    for (const Parameter &parameter : network->plan().parameters)
        CHECK(std::ranges::equal(of_run->weight(parameter), network->weight(parameter)));
}

TEST_CASE("a run goes on from a stop in an epoch, or while it makes features, to the same bits") {
    const TemporaryFolder temporary;
    const int stop = GENERATE(0, 1, 3, 4, 6);  // asked before each of 3 and 1 batches of features, then before steps
    train(temporary / "whole");
    const Shown stopped = train(temporary / "stopped", make_config(), stop);
    CHECK_FALSE(stopped.finished);
    CHECK(stopped.state.step == std::max(stop - 4, 0));
    const Shown resumed = train(temporary / "stopped");
    CHECK(resumed.finished);
    CHECK(contains(resumed.text, kept));
    const auto whole = make_network(), other = make_network();
    load_weights(temporary / "whole/last.safetensors", *whole);
    load_weights(temporary / "stopped/last.safetensors", *other);
    CHECK(std::ranges::equal(whole->parameter_slab(), other->parameter_slab()));
}

TEST_CASE("where images change from epoch to epoch, their features are made in every step") {
    const TemporaryFolder temporary;
    RunConfig config = make_config();
    SECTION("flipped") { config.recipe.flip = 0.5; }
    SECTION("augmented") { config.recipe.augment.crop = CropSettings{1}; }
    const Shown shown = train(temporary / "run", config);
    CHECK(shown.finished);
    CHECK(contains(shown.text, "features  of re_lu are made in every step, not once: the recipe flips or augments the images\n"));
    CHECK_FALSE(contains(shown.text, "made once for"));
}

TEST_CASE("features are kept where there is memory for them") {
    const auto network = make_network();
    CHECK(why_not_kept(*network, 25, 25 * 792 * 4).empty());
    CHECK(why_not_kept(*network, 1000, 1 << 20) == "they need 3.0 MiB of memory, and 1.0 MiB are available");
    CHECK(why_not_kept(*network, std::size_t(1) << 40, 1 << 20) ==
          "the kernels can address those of " + std::to_string(network->addressable_features()) + " images");
}
