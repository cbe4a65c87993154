#include "runtime/trainer.h"

#include "tests/catch.h"
#include "tests/training/tiny_run.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace halcyon;
using namespace halcyon::tests;

namespace {

/// Stops the run in the given folder after `steps`, or trains it to its end; goes on from a checkpoint where there is one.
TrainingState train(const RunFolder &folder, int threads, const StopRequested &stop = never()) {
    const RunConfig config = folder.read_config();
    const Dataset images = make_synthetic(Split::train, config.train_images);
    const Dataset test = make_synthetic(Split::test, 24);
    const auto network = make_network(threads, config.recipe.batch);
    TrainingState state;
    if (std::filesystem::exists(folder.last()))
        state = load_checkpoint(folder.last(), *network, optimizer_of(config.recipe)).state;
    else
        network->initialize(config.seed);
    Trainer trainer(*network, config, images, config.evaluate ? &test : nullptr, folder, state);
    Silence silence;
    trainer.run(silence.progress, stop);
    return trainer.state();
}

std::vector<nlohmann::json> lines_of(const std::filesystem::path &metrics) {
    std::vector<nlohmann::json> lines;
    std::istringstream text(read_bytes(metrics));
    for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
}

/// The metrics without the times, which no two runs share.
std::vector<nlohmann::json> repeatable(const std::filesystem::path &metrics) {
    std::vector<nlohmann::json> lines = lines_of(metrics);
    for (nlohmann::json &line : lines) {
        line.erase("seconds");
        line.erase("images_per_second");
    }
    return lines;
}

/// The bytes of the tensors of a file: what follows the header, whose length is in the first eight bytes.
std::string tensor_bytes(const std::filesystem::path &path) {
    const std::string file = read_bytes(path);
    std::uint64_t header = 0;
    std::memcpy(&header, file.data(), sizeof header);
    return file.substr(sizeof header + header);
}

bool same_bits(const RunFolder &a, const RunFolder &b) {
    return tensor_bytes(a.last()) == tensor_bytes(b.last()) && tensor_bytes(a.best()) == tensor_bytes(b.best()) &&
           repeatable(a.metrics_file()) == repeatable(b.metrics_file());
}

}  // namespace

TEST_CASE("a run has the same bits with any number of threads, and again") {
    const TemporaryFolder temporary;
    const RunFolder one = RunFolder::create(temporary / "1", tiny_config());
    train(one, 1);
    for (const int threads : {2, 5, 1}) {
        CAPTURE(threads);
        const RunFolder again = RunFolder::create(temporary / ("again " + std::to_string(threads)), tiny_config());
        train(again, threads);
        CHECK(same_bits(one, again));
    }
    RunConfig other_seed = tiny_config();
    other_seed.seed = 2;
    const RunFolder other = RunFolder::create(temporary / "other", other_seed);
    train(other, 1);
    CHECK(!same_bits(one, other));
}

TEST_CASE("a run that is stopped goes on to the same bits") {
    const TemporaryFolder temporary;
    const RunFolder whole = RunFolder::create(temporary / "whole", tiny_config());
    train(whole, 2);
    // The trainer asks before each of an epoch's 3 steps and before each of an evaluation's 2 batches: 10 times in all. Before a step of
    // the first epoch, of the second, and in an evaluation.
    for (const int asked : {0, 2, 4, 6, 9}) {
        CAPTURE(asked);
        const RunFolder run = RunFolder::create(temporary / std::to_string(asked), tiny_config());
        const TrainingState stopped = train(run, 2, stop_at(asked));
        CHECK(stopped.step < 2 * tiny_steps + (asked == 9));
        train(run, 1);
        CHECK(same_bits(whole, run));
    }
}

TEST_CASE("a run that was killed after an epoch's metrics and before its checkpoint leaves no line twice") {
    const TemporaryFolder temporary;
    const RunFolder run = RunFolder::create(temporary / "run", tiny_config());
    train(run, 2, stop_at(4));
    run.append({.epoch = 1});
    train(run, 2);
    const auto lines = lines_of(run.metrics_file());
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].at("epoch") == 1);
    CHECK(lines[1].at("epoch") == 2);
    CHECK(lines[0].at("loss") != 0);
}

TEST_CASE("every image is trained once an epoch, those of the smaller last batch too") {
    const TemporaryFolder temporary;
    RunConfig config = tiny_config(1);
    config.evaluate = false;
    const RunFolder folder = RunFolder::create(temporary / "run", config);
    const TrainingState state = train(folder, 2);
    CHECK(state.step == tiny_steps);
    CHECK(state.epoch == 1);
    CHECK(state.position == 0);
    const auto lines = lines_of(folder.metrics_file());
    REQUIRE(lines.size() == 1);
    const double correct = lines[0].at("accuracy").get<double>() * tiny_images;
    CHECK(std::abs(correct - std::round(correct)) < 1e-9);
    CHECK(lines[0].at("val_loss").is_null());
}

TEST_CASE("a limit takes the first images") {
    const TemporaryFolder temporary;
    RunConfig limited = tiny_config(1), small = tiny_config(1);
    limited.limit = small.train_images = 24;
    const RunFolder a = RunFolder::create(temporary / "limited", limited), b = RunFolder::create(temporary / "small", small);
    train(a, 2);
    train(b, 2);
    CHECK(same_bits(a, b));
}

TEST_CASE("shuffling and dropout are part of what is trained") {
    const TemporaryFolder temporary;
    RunConfig plain = tiny_config(1), unshuffled = tiny_config(1), undropped = tiny_config(1);
    unshuffled.shuffle = false;
    undropped.recipe.dropout = 0.0;
    const RunFolder a = RunFolder::create(temporary / "a", plain), b = RunFolder::create(temporary / "b", unshuffled),
                    c = RunFolder::create(temporary / "c", undropped);
    for (const RunFolder &folder : {a, b, c}) train(folder, 2);
    CHECK((tensor_bytes(a.last()) != tensor_bytes(b.last())));
    CHECK((tensor_bytes(a.last()) != tensor_bytes(c.last())));
}

TEST_CASE("a step has what the recipe says") {
    const TemporaryFolder temporary;
    RunConfig config = tiny_config(2);
    config.seed = 7;
    config.evaluate = false;
    config.recipe.dropout = std::vector{0.1, 0.2, 0.3, 0.4};
    config.recipe.optimizer = {
        .name = GENERATE(as<std::string>(), "adam", "sgd"), .beta_1 = 0.8, .beta_2 = 0.95, .epsilon = 1e-4, .momentum = 0.7};
    const RunFolder folder = RunFolder::create(temporary / "run", config);
    train(folder, 2);

    const auto network = make_network();
    const Dataset images = make_synthetic(Split::train, tiny_images);
    network->initialize(7);
    network->bind_data(images.images.data(), images.labels.data(), tiny_images);
    for (int step = 0; step < 2 * tiny_steps; ++step) {
        const int epoch = step / tiny_steps, first = step % tiny_steps * tiny_batch;
        std::vector<std::int32_t> records;
        for (int i = first; i < std::min(first + tiny_batch, tiny_images); ++i)
            records.push_back(int(Shuffle(7, std::uint32_t(epoch), tiny_images)(std::uint32_t(i))));
        StepValues values;
        values.seed = 7;
        values.epoch = std::uint32_t(epoch);
        values.position = std::uint32_t(first);
        values.flip_probability = 0.5F;
        values.dropout_rates = {0.1F, 0.2F, 0.3F, 0.4F};
        values.learning_rate = float(learning_rate(config.recipe.learning_rate, step, 2 * tiny_steps));
        values.update = step + 1;
        values.beta1 = 0.8F;
        values.beta2 = 0.95F;
        values.epsilon = 1e-4F;
        values.momentum = 0.7F;
        network->gradients(records, values);
        network->update(optimizer_of(config.recipe), values);
    }
    const auto trained = make_network();
    load_checkpoint(folder.last(), *trained, optimizer_of(config.recipe));
    CHECK(std::ranges::equal(trained->parameter_slab(), network->parameter_slab()));
    CHECK(std::ranges::equal(trained->moving_slab(), network->moving_slab()));
}

TEST_CASE("a loss that is no number stops the run and leaves its checkpoint") {
    const TemporaryFolder temporary;
    const RunConfig config = tiny_config(1);
    const RunFolder folder = RunFolder::create(temporary / "run", config);
    const Dataset images = make_synthetic(Split::train, config.train_images);
    const auto network = make_network();
    network->initialize(1);
    save_checkpoint(folder.last(), *network, Optimizer::adam, {});
    const std::string before = tensor_bytes(folder.last());

    Trainer trainer(*network, config, images, nullptr, folder);
    Silence silence;
    const StopRequested poison = [&network, asked = 0]() mutable {
        if (asked++ == 1) std::ranges::fill(network->parameter_slab(), std::numeric_limits<float>::quiet_NaN());
        return false;
    };
    CHECK(one_line_with(message_of([&] { trainer.run(silence.progress, poison); }),
                        {"loss", "nan", "epoch 1, step 2", folder.last().string()}));
    CHECK((tensor_bytes(folder.last()) == before));
}

TEST_CASE("the best epoch's weights are kept") {
    const TemporaryFolder temporary;
    RunConfig config = tiny_config(3);
    config.recipe.learning_rate = {.schedule = "constant", .peak = 1e-3};
    config.evaluate = false;
    const RunFolder folder = RunFolder::create(temporary / "run", config);
    const TrainingState first = train(folder, 2, stop_at(tiny_steps));  // one epoch
    REQUIRE(first.epoch == 1);
    const std::string after_first = tensor_bytes(folder.best());
    const double first_loss = lines_of(folder.metrics_file())[0].at("loss");
    CHECK(*first.best_score == -first_loss);
    const TrainingState last = train(folder, 2);
    double best = -first_loss;
    for (const auto &line : lines_of(folder.metrics_file())) best = std::max(best, -line.at("loss").get<double>());
    CHECK(*last.best_score == best);
    CHECK((tensor_bytes(folder.best()) == after_first) == (best == -first_loss));
}

TEST_CASE("an evaluation does not depend on the batch, and takes every image") {
    const Dataset test = make_synthetic(Split::test, 21);
    const auto by_16 = make_network(2, 16), by_5 = make_network(1, 5);
    by_16->initialize(3);
    by_5->initialize(3);
    const Evaluation a = *evaluate(*by_16, place(*by_16, test)), b = *evaluate(*by_5, place(*by_5, test));
    CHECK(a.images == 21);
    CHECK(a.loss == b.loss);
    CHECK(a.accuracy == b.accuracy);
    CHECK(!evaluate(*by_5, place(*by_5, test), stop_at(2)));
}

TEST_CASE("the synthetic set is learnt") {
    const TemporaryFolder temporary;
    RunConfig config = tiny_config(5);
    config.train_images = 1000;
    config.evaluate = false;
    const RunFolder folder = RunFolder::create(temporary / "run", config);
    train(folder, hardware_threads());
    const auto network = make_network(hardware_threads(), 50);
    load_weights(folder.last(), *network);
    const Dataset test = make_synthetic(Split::test, 500);
    const Evaluation result = *evaluate(*network, place(*network, test));
    // Chance is 10 %, with a standard error of 1.3 % over 500 images.
    CHECK(result.accuracy > 0.5);
}
