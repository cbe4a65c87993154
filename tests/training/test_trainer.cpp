#include "runtime/training/trainer.h"

#include "runtime/weights/safetensors.h"
#include "tests/catch.h"
#include "tests/training/tiny_run.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

using namespace halcyon;
using namespace halcyon::tests;

namespace {

/// Synthetic images, of which those that the settings hold out come on top of config.train_images.
RunData make_data(const RunConfig &config) {
    const auto images = static_cast<int>(std::lround(config.train_images / (1 - config.validation_split)));
    RunData data{make_synthetic(Split::train, images), {}, {}, {}};
    data.records = split_by_class(data.train.labels, config.validation_split, config.seed);
    if (config.evaluate) data.test = make_synthetic(Split::test, 24);
    return data;
}

/// Trains the run until it is stopped, or to its end; goes on from a checkpoint where there is one.
TrainingState train(const Run &run, int threads, const StopRequested &stop = never(), const AfterGradients &after_gradients = {}) {
    const auto &[config, folder] = run;
    const RunData data = make_data(config);
    const auto network = make_network(threads, config.recipe.batch);
    if (config.recipe.optimizer.options.average) network->keep_averages();
    TrainingState state;
    if (std::filesystem::exists(folder.last()))
        state = load_checkpoint(folder.last(), *network, optimizer_of(config.recipe)).state;
    else
        network->initialize(config.seed);
    Trainer trainer(*network, config, data, folder, state, after_gradients);
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

bool same_bits(const Run &run, const Run &other) {
    const RunFolder &a = run.folder, &b = other.folder;
    return tensor_bytes(a.last()) == tensor_bytes(b.last()) && tensor_bytes(a.best()) == tensor_bytes(b.best()) &&
           repeatable(a.metrics_file()) == repeatable(b.metrics_file());
}

}  // namespace

TEST_CASE("an augmented run has the same bits with any number of threads, and a flip's where nothing else happens") {
    const TemporaryFolder temporary;
    RunConfig flipped = tiny_config();
    flipped.recipe.flip = 0.5;
    RunConfig passed = flipped;
    passed.recipe.augment.erase = EraseSettings{.probability = 0};
    const Run by_input = make_run(temporary / "flipped", flipped), by_augment = make_run(temporary / "passed", passed);
    train(by_input, 1);
    train(by_augment, 1);
    CHECK(tensor_bytes(by_input.folder.last()) == tensor_bytes(by_augment.folder.last()));

    RunConfig all = flipped;
    all.recipe.augment.crop = CropSettings{.pad = 4, .filling = {}};
    all.recipe.augment.affine = AffineSettings{.rotation = 10, .shift = {0.1, 0.1}, .filling = {}};
    all.recipe.augment.contrast = 0.2;
    all.recipe.augment.erase = EraseSettings{};
    const Run one = make_run(temporary / "1", all);
    train(one, 1);
    CHECK(tensor_bytes(by_input.folder.last()) != tensor_bytes(one.folder.last()));
    for (const int threads : {2, 5}) {
        CAPTURE(threads);
        const Run again = make_run(temporary / ("again " + std::to_string(threads)), all);
        train(again, threads);
        CHECK(same_bits(one, again));
    }
}

TEST_CASE("a run has the same bits with any number of threads, and again") {
    const TemporaryFolder temporary;
    const Run one = make_run(temporary / "1", tiny_config());
    train(one, 1);
    for (const int threads : {2, 5, 1}) {
        CAPTURE(threads);
        const Run again = make_run(temporary / ("again " + std::to_string(threads)), tiny_config());
        train(again, threads);
        CHECK(same_bits(one, again));
    }
    RunConfig other_seed = tiny_config();
    other_seed.seed = 2;
    const Run other = make_run(temporary / "other", other_seed);
    train(other, 1);
    CHECK(!same_bits(one, other));
}

TEST_CASE("a run that is stopped goes on to the same bits") {
    const TemporaryFolder temporary;
    const Run whole = make_run(temporary / "whole", tiny_config());
    train(whole, 2);
    // The trainer asks before each of an epoch's 3 steps and before each of an evaluation's 2 batches: 10 times in all. Before a step of
    // the first epoch, of the second, and in an evaluation.
    for (const int asked : {0, 2, 4, 6, 9}) {
        CAPTURE(asked);
        const Run run = make_run(temporary / std::to_string(asked), tiny_config());
        const TrainingState stopped = train(run, 2, stop_at(asked));
        CHECK(stopped.step < 2 * tiny_steps + (asked == 9));
        train(run, 1);
        CHECK(same_bits(whole, run));
    }
}

namespace {

/// A run that does on the host what optimizers have in common.
RunConfig config_of(const UpdateOptions &options) {
    RunConfig config = tiny_config();
    config.recipe.optimizer = {"adamw", {0.9, 0.99, 1e-5, 0.1}, options};
    return config;
}

}  // namespace

TEST_CASE(
    "a run that clips, spares weights from their decay and averages has the same bits with any number of threads, and goes on to them") {
    const TemporaryFolder temporary;
    const UpdateOptions all{.clip = Clipping{Clipping::By::norm, 0.05},
                            .exclude_from_weight_decay = {"bias", "batch_normalization"},
                            .average = Averaging{.momentum = 0.5, .overwrite_frequency = 4}};
    const Run whole = make_run(temporary / "whole", config_of(all));
    train(whole, 2);
    for (const int threads : {1, 5}) {
        const Run again = make_run(temporary / ("again " + std::to_string(threads)), config_of(all));
        train(again, threads);
        CHECK(same_bits(whole, again));
    }
    for (const int asked : {0, 2, 4, 6, 9}) {
        CAPTURE(asked);
        const Run run = make_run(temporary / std::to_string(asked), config_of(all));
        train(run, 2, stop_at(asked));
        train(run, 1);
        CHECK(same_bits(whole, run));
    }
    // Each of them is part of what is trained.
    std::vector<UpdateOptions> others(4, all);
    others[0].clip = {};
    others[1].exclude_from_weight_decay = {};
    others[2].average->momentum = 0.25;
    others[3].average->overwrite_frequency = {};
    for (std::size_t i = 0; i < others.size(); ++i) {
        CAPTURE(i);
        const Run other = make_run(temporary / ("other " + std::to_string(i)), config_of(others[i]));
        train(other, 2);
        CHECK(!same_bits(whole, other));
    }
}

TEST_CASE("where weights are averaged, the averages are validated and kept as the best, and the checkpoint has both") {
    const TemporaryFolder temporary;
    RunConfig config = config_of({.average = Averaging{.momentum = 0.5}});
    config.recipe.epochs = 1;
    RunConfig plain = config;
    plain.recipe.optimizer.options = {};
    const Run averaged = make_run(temporary / "averaged", config), raw = make_run(temporary / "raw", plain);
    train(averaged, 2);
    train(raw, 2);
    const TensorFile last = read_safetensors(averaged.folder.last()), best = read_safetensors(averaged.folder.best());
    const TensorFile without = read_safetensors(raw.folder.last());
    const auto bytes = [](const TensorFile &file, const std::string &name) {
        const auto found = file.tensors.at(name).bytes;
        return std::vector<std::byte>(found.begin(), found.end());
    };
    for (const Parameter &parameter : plan_of(*halcyon_cifar10()).parameters) {
        CAPTURE(parameter.name);
        CHECK(bytes(last, parameter.name) == bytes(without, parameter.name));  // training is as without
        if (parameter.home != Home::parameters) continue;
        CHECK(bytes(best, parameter.name) == bytes(last, "optimizer/" + parameter.name + "/average"));
        CHECK(bytes(best, parameter.name) != bytes(last, parameter.name));
    }
    const auto network = make_network();
    const RunData data = make_data(config);
    load_weights(averaged.folder.best(), *network);
    CHECK(lines_of(averaged.folder.metrics_file())[0].at("val_loss") == evaluate(*network, place(*network, *data.test), never())->loss);
}

TEST_CASE("a run that was killed after an epoch's metrics and before its checkpoint leaves no line twice") {
    const TemporaryFolder temporary;
    const Run run = make_run(temporary / "run", tiny_config());
    train(run, 2, stop_at(4));
    run.folder.append({.epoch = 1});
    train(run, 2);
    const auto lines = lines_of(run.folder.metrics_file());
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].at("epoch") == 1);
    CHECK(lines[1].at("epoch") == 2);
    CHECK(lines[0].at("loss") != 0);
}

TEST_CASE("every image is trained once an epoch, those of the smaller last batch too") {
    const TemporaryFolder temporary;
    RunConfig config = tiny_config(1);
    config.evaluate = false;
    const Run run = make_run(temporary / "run", config);
    const TrainingState state = train(run, 2);
    CHECK(state.step == tiny_steps);
    CHECK(state.epoch == 1);
    CHECK(state.position == 0);
    const auto lines = lines_of(run.folder.metrics_file());
    REQUIRE(lines.size() == 1);
    const double correct = lines[0].at("accuracy").get<double>() * tiny_images;
    CHECK(std::abs(correct - std::round(correct)) < 1e-9);
    CHECK(lines[0].at("val_loss").is_null());
}

TEST_CASE("a limit takes the first images") {
    const TemporaryFolder temporary;
    RunConfig limited = tiny_config(1), small = tiny_config(1);
    limited.limit = small.train_images = 24;
    const Run a = make_run(temporary / "limited", limited), b = make_run(temporary / "small", small);
    train(a, 2);
    train(b, 2);
    CHECK(same_bits(a, b));
}

TEST_CASE("shuffling and dropout are part of what is trained") {
    const TemporaryFolder temporary;
    RunConfig plain = tiny_config(1), unshuffled = tiny_config(1), undropped = tiny_config(1);
    unshuffled.shuffle = false;
    undropped.recipe.dropout = 0.0;
    const Run a = make_run(temporary / "a", plain), b = make_run(temporary / "b", unshuffled), c = make_run(temporary / "c", undropped);
    for (const Run *run : {&a, &b, &c}) train(*run, 2);
    CHECK((tensor_bytes(a.folder.last()) != tensor_bytes(b.folder.last())));
    CHECK((tensor_bytes(a.folder.last()) != tensor_bytes(c.folder.last())));
}

TEST_CASE("a step has what the recipe says") {
    const TemporaryFolder temporary;
    RunConfig config = tiny_config(2);
    config.seed = 7;
    config.evaluate = false;
    config.recipe.dropout = std::vector{0.1, 0.2, 0.3, 0.4};
    config.recipe.optimizer = GENERATE(OptimizerSettings{"adam", {0.8, 0.95, 1e-4}}, OptimizerSettings{"sgd", {0.7, 0.001, 0.002}});
    const Run run = make_run(temporary / "run", config);
    train(run, 2);

    const auto network = make_network();
    const Dataset images = make_synthetic(Split::train, tiny_images);
    network->initialize(7);
    network->bind_data(images.pixels.bytes(), images.labels);
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
        values.learning_rate = float(learning_rate(config.recipe.learning_rate, {step, tiny_steps, 2 * tiny_steps}));
        values.update = step + 1;
        values.settings.assign(config.recipe.optimizer.settings.begin(), config.recipe.optimizer.settings.end());
        network->gradients(records, values);
        network->update(optimizer_of(config.recipe), values);
    }
    const auto trained = make_network();
    load_checkpoint(run.folder.last(), *trained, optimizer_of(config.recipe));
    CHECK(std::ranges::equal(trained->parameter_slab(), network->parameter_slab()));
    CHECK(std::ranges::equal(trained->moving_slab(), network->moving_slab()));
}

namespace {

/// Does `action` when it is asked for the `n`-th time, from 0, and never says stop.
template<typename Action>
StopRequested then(int n, Action action) {
    return [n, action, asked = 0]() mutable {
        if (asked++ == n) action();
        return false;
    };
}

const Parameter &parameter(const Network &network, const std::string &name) {
    return *std::ranges::find(network.plan().parameters, name, &Parameter::name);
}

/// A run of one epoch with evaluation that something happens to. The trainer asks before each of the 3 steps, which leaves the 4th for what
/// comes before the evaluation.
struct Ruin {
    TemporaryFolder temporary;
    Run run = make_run(temporary / "run", tiny_config(1));
    RunData data = make_data(run.config);
    std::unique_ptr<Network> network = make_network();
    std::string first;  // the weights at the beginning

    /// The message of the failed run; "" where anything of the epoch was written.
    std::string fail(const StopRequested &stop, bool evaluates = false) {
        if (!evaluates) data.test.reset();
        network->initialize(1);
        const StopRequested watch = [&] {
            if (first.empty()) first = tensor_bytes(run.folder.last());
            return stop();
        };
        Trainer trainer(*network, run.config, data, run.folder);
        Silence silence;
        const std::string message = message_of([&] { trainer.run(silence.progress, watch); });
        const bool untouched = tensor_bytes(run.folder.last()) == first && !std::filesystem::exists(run.folder.metrics_file()) &&
                               !std::filesystem::exists(run.folder.best());
        return untouched ? message : "";
    }
};

constexpr float no_number = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("a loss that is no number stops the run and leaves its checkpoint") {
    Ruin ruin;
    const std::string message = ruin.fail(then(1, [&] { std::ranges::fill(ruin.network->parameter_slab(), no_number); }));
    CHECK(one_line_with(message,
                        {"the loss became NaN in epoch 1, step 2", "lower learning rate", "--init", ruin.run.folder.last().string()}));
}

TEST_CASE("an evaluation that is no number is no epoch") {
    Ruin ruin;
    const auto poison = [&] { ruin.network->weight(parameter(*ruin.network, "dense_1/bias"))[0] = no_number; };
    CHECK(one_line_with(ruin.fail(then(tiny_steps, poison), true), {"val_loss became NaN in epoch 1, step 3"}));
}

TEST_CASE("an epoch that ends with anything that is not finite is no epoch") {
    Ruin ruin;
    SECTION("a moving statistic") {
        const auto poison = [&] { ruin.network->weight(parameter(*ruin.network, "batch_normalization/moving_mean"))[3] = infinity; };
        CHECK(one_line_with(ruin.fail(then(2, poison)),
                            {"batch_normalization/moving_mean: 1 of 32 values are not finite in epoch 1, step 3"}));
    }
    SECTION("the optimizer's state, when it is stopped") {
        const StopRequested stop = [&ruin, asked = 0]() mutable {
            if (asked++ < 1) return false;
            ruin.network->optimizer_state(parameter(*ruin.network, "dense/kernel"), 1)[7] = infinity;
            return true;
        };
        CHECK(one_line_with(ruin.fail(stop), {"optimizer/dense/kernel/v: 1 of 16384 values are not finite in epoch 1, step 1"}));
    }
    SECTION("when it is stopped") {
        const auto poison = [&] { ruin.network->weight(parameter(*ruin.network, "batch_normalization/moving_mean"))[3] = no_number; };
        const StopRequested stop = [poisoned = then(1, poison), asked = 0]() mutable { return poisoned() || asked++ == 2; };
        CHECK(one_line_with(ruin.fail(stop), {"batch_normalization/moving_mean: 1 of 32", "epoch 1, step 2"}));
    }
}

TEST_CASE("a folder that is removed meanwhile is noticed") {
    const TemporaryFolder temporary;
    const Run run = make_run(temporary / "run", tiny_config(1));
    const auto action = GENERATE(0, 1);
    const StopRequested stop = then(1, [&] {
        if (action == 0) std::filesystem::remove_all(run.folder.path());
        if (action == 1) std::filesystem::rename(run.folder.path(), temporary / "moved");
        if (action == 1) std::filesystem::create_directory(run.folder.path());
    });
    CHECK(one_line_with(message_of([&] { train(run, 2, stop); }), {run.folder.path().string(), "moved or removed", "--resume"}));
    CHECK((action == 0 ? !std::filesystem::exists(run.folder.path()) : std::filesystem::is_empty(run.folder.path())));
}

TEST_CASE("a picture that cannot be written ends a run in one line, and its checkpoint goes on") {
    const TemporaryFolder temporary;
    const Run undisturbed = make_run(temporary / "undisturbed"), run = make_run(temporary / "run");
    train(undisturbed, 2);
    const auto in_the_way = [](const std::filesystem::path &picture) { std::filesystem::create_directories(picture / "folder"); };
    const std::filesystem::path batch = run.folder.batch_picture(), mistakes = run.folder.mistakes_picture();
    SECTION("of the first images") {
        in_the_way(batch);
        CHECK(one_line_with(message_of([&] { train(run, 2); }), {batch, "cannot be written"}));
        CHECK(!std::filesystem::exists(run.folder.metrics_file()));
        std::filesystem::remove_all(batch);
    }
    SECTION("of the mistakes") {
        CHECK(one_line_with(message_of([&] { train(run, 2, then(1, [&] { in_the_way(mistakes); })); }), {mistakes, "cannot be written"}));
        CHECK(same_bits(run, undisturbed));
        std::filesystem::remove_all(mistakes);
    }
    train(run, 2);
    CHECK(same_bits(run, undisturbed));
    for (const char *picture : {"batch.png", "mistakes.png"})
        CHECK((read_bytes(run.folder.path() / picture) == read_bytes(undisturbed.folder.path() / picture)));
}

TEST_CASE("the best epoch's weights are kept") {
    const TemporaryFolder temporary;
    RunConfig config = tiny_config(3);
    config.recipe.learning_rate = {.schedule = "constant", .peak = 1e-3};
    config.evaluate = false;
    const Run run = make_run(temporary / "run", config);
    const TrainingState first = train(run, 2, stop_at(tiny_steps));  // one epoch
    REQUIRE(first.epoch == 1);
    const std::string after_first = tensor_bytes(run.folder.best());
    const double first_loss = lines_of(run.folder.metrics_file())[0].at("loss");
    CHECK(*first.best.score == -first_loss);
    const TrainingState last = train(run, 2);
    double best = -first_loss;
    for (const auto &line : lines_of(run.folder.metrics_file())) best = std::max(best, -line.at("loss").get<double>());
    CHECK(*last.best.score == best);
    CHECK((tensor_bytes(run.folder.best()) == after_first) == (best == -first_loss));
}

namespace {

/// Validates on 10 of 40 images. The rate falls after epochs 2, 3 and 4, and after the last of these the run stops, for no val_accuracy
/// is better than the first by 1 and no loss by 100.
RunConfig watched_config() {
    RunConfig config = tiny_config(6);
    config.train_images = 30;
    config.validation_split = 0.25;
    config.recipe = parse_recipe(R"({
        "epochs": 6, "batch": 16, "dropout": 0.1, "flip": 0.5, "class_weights": "balanced",
        "learning_rate": {"schedule": "constant", "peak": 0.004},
        "early_stopping": {"monitor": "val_accuracy", "patience": 3, "min_delta": 1},
        "reduce_on_plateau": {"monitor": "loss", "factor": 0.5, "patience": 1, "min_delta": 100, "min": 0.0015}
    })",
                                 "recipe");
    return config;
}

/// The numbers of so many records from 0.
std::vector<std::int32_t> first_records(int count) {
    std::vector<std::int32_t> records(static_cast<std::size_t>(count));
    std::iota(records.begin(), records.end(), 0);
    return records;
}

/// Those images of a data set alone.
Dataset gather(const Dataset &data, const std::vector<std::int32_t> &records) {
    const std::size_t bytes = std::size_t(data.h) * data.w * data.c;
    Dataset gathered;
    gathered.h = data.h, gathered.w = data.w, gathered.c = data.c, gathered.classes = data.classes;
    gathered.class_names = data.class_names;
    gathered.pixels = Pixels::of_bytes(records.size() * bytes);
    for (std::size_t i = 0; i < records.size(); ++i) {
        gathered.labels.push_back(data.labels[std::size_t(records[i])]);
        std::ranges::copy(data.pixels.bytes().subspan(std::size_t(records[i]) * bytes, bytes), &gathered.pixels.bytes()[i * bytes]);
    }
    return gathered;
}

}  // namespace

TEST_CASE("a run that watches its metrics stops early, and goes on to the same bits wherever it was stopped before") {
    const TemporaryFolder temporary;
    const Run whole = make_run(temporary / "whole", watched_config());
    const TrainingState state = train(whole, 2);
    CHECK(state.epoch == 4);
    CHECK(state.best.epoch == 1);
    CHECK(state.plateau.reductions == 2);  // to 0.002 and 0.0015, which is the least
    const auto lines = lines_of(whole.folder.metrics_file());
    REQUIRE(lines.size() == 5);
    const std::vector<double> rates = {0.004, 0.004, 0.002, 0.0015};
    for (std::size_t i = 0; i < rates.size(); ++i) CHECK(lines[i].at("learning_rate") == rates[i]);
    CHECK(lines[4].size() == 2);
    CHECK(whole.folder.has_test());

    // The trainer asks before each of an epoch's 2 steps and 1 batch of validation, and before each of the test's 2 batches.
    for (const int asked : {0, 1, 2, 3, 7, 9, 11, 12, 13}) {
        CAPTURE(asked);
        const Run run = make_run(temporary / std::to_string(asked), watched_config());
        const TrainingState stopped = train(run, 2, stop_at(asked));
        CHECK((stopped.epoch == 4) == (asked >= 12));
        CHECK(!run.folder.has_test());
        train(run, 1);
        CHECK(same_bits(whole, run));
    }
}

TEST_CASE("the test images are evaluated with the best epoch's weights, and the checkpoint keeps the last") {
    const TemporaryFolder temporary;
    const Run run = make_run(temporary / "run", watched_config());
    train(run, 2);
    const auto network = make_network();
    const RunData data = make_data(run.config);
    load_weights(run.folder.best(), *network);
    const Evaluation test = *evaluate(*network, place(*network, *data.test));
    const Evaluation validation = *evaluate(*network, place(*network, data.train), data.records.validation, never());
    const auto lines = lines_of(run.folder.metrics_file());
    CHECK(lines.back().at("test_loss") == test.loss);
    CHECK(lines.back().at("test_accuracy") == test.metric);
    CHECK(lines[0].at("val_loss") == validation.loss);
    CHECK(validation.images == 10);
    CHECK((tensor_bytes(run.folder.last()).find(tensor_bytes(run.folder.best())) == std::string::npos));
}

TEST_CASE("images that are held out are not trained on, and the data's own come before them") {
    const TemporaryFolder temporary;
    RunConfig split = tiny_config(1), alone = tiny_config(1);
    split.train_images = alone.train_images = 30;
    split.validation_split = 0.25;
    const Run a = make_run(temporary / "a", split), b = make_run(temporary / "b", alone);
    const TrainingState state = train(a, 2);
    CHECK(state.epoch == 1);

    RunData data = make_data(split);
    Dataset held_out = gather(data.train, data.records.validation);
    data.train = gather(data.train, data.records.train);
    data.records = {first_records(30), {}};
    data.validation = std::move(held_out);
    CHECK(data.validated() == &*data.validation);
    CHECK(data.tests());
    const auto network = make_network();
    network->initialize(alone.seed);
    Trainer trainer(*network, alone, data, b.folder);
    Silence silence;
    CHECK(trainer.run(silence.progress, never()));
    CHECK(same_bits(a, b));

    data.validation.reset();
    CHECK(data.validated() == &*data.test);
    CHECK(!data.tests());
    data.test.reset();
    CHECK(data.validated() == nullptr);
}

TEST_CASE("a limit takes the first of the images that are not held out") {
    const RunConfig config = watched_config();
    const RunData data = make_data(config);
    RunConfig limited = config;
    limited.limit = 7;
    CHECK(std::ranges::equal(data.records_to_train(limited), std::span(data.records.train).first(7)));
    CHECK(std::ranges::equal(data.records_to_train(config), data.records.train));
}

TEST_CASE("what is called after the gradients is called in every step, and ends the training with what it throws") {
    const TemporaryFolder temporary;
    RunConfig whole = tiny_config(2), half = whole;
    whole.recipe.optimizer = half.recipe.optimizer = {.name = "sgd", .settings = {0.5, 0, 0}};
    whole.recipe.learning_rate = {.schedule = "constant", .peak = 0.02};
    half.recipe.learning_rate = {.schedule = "constant", .peak = 0.01};
    const Run halved = make_run(temporary / "halved", whole), plain = make_run(temporary / "plain", half),
              failed = make_run(temporary / "failed", whole);
    int calls = 0;
    const AfterGradients halve = [&](std::span<float> gradients) {
        ++calls;
        for (float &gradient : gradients) gradient /= 2;
    };
    train(halved, 2, never(), halve);
    train(plain, 2);
    CHECK(calls == 2 * tiny_steps);
    CHECK(tensor_bytes(halved.folder.last()) == tensor_bytes(plain.folder.last()));

    calls = 0;
    const AfterGradients fail = [&](std::span<float>) {
        if (++calls == 2) throw std::runtime_error("a machine is gone");
    };
    CHECK(message_of([&] { train(failed, 2, never(), fail); }) == "a machine is gone");
    CHECK(load_checkpoint(failed.folder.last(), *make_network(), optimizer_of(whole.recipe)).state.step == 0);
}

TEST_CASE("class weights multiply the loss and its gradient, and validation is without them") {
    const TemporaryFolder temporary;
    RunConfig plain = tiny_config(2);
    plain.recipe.optimizer = {.name = "sgd", .settings = {0.5, 0, 0}};
    plain.recipe.learning_rate = {.schedule = "constant", .peak = 0.02};
    const Run one = make_run(temporary / "one", plain);
    train(one, 2);

    RunConfig ones = plain, twos = plain;
    ones.recipe.class_weights = std::vector<double>(10, 1.0);
    twos.recipe.class_weights = std::vector<double>(10, 2.0);
    twos.recipe.learning_rate.peak = 0.01;
    const Run all_ones = make_run(temporary / "ones", ones), all_twos = make_run(temporary / "twos", twos);
    train(all_ones, 2);
    train(all_twos, 2);
    CHECK(same_bits(one, all_ones));
    // Twice the gradient times half the rate is the same to the bit.
    CHECK(tensor_bytes(one.folder.last()) == tensor_bytes(all_twos.folder.last()));
    const auto plain_lines = lines_of(one.folder.metrics_file()), doubled = lines_of(all_twos.folder.metrics_file());
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(doubled[i].at("loss") == 2 * plain_lines[i].at("loss").get<double>());
        CHECK(doubled[i].at("accuracy") == plain_lines[i].at("accuracy"));
        CHECK(doubled[i].at("val_loss") == plain_lines[i].at("val_loss"));
    }
}

TEST_CASE("a class's weight is for the images of that class, and the loss is divided by the number of images") {
    RunConfig config = tiny_config(1);
    config.recipe.batch = tiny_images;  // one step
    config.evaluate = false;
    const auto loss_with = [&](const std::vector<double> &weights) {
        const TemporaryFolder temporary;
        RunConfig weighted = config;
        weighted.recipe.class_weights = weights;
        const Run run = make_run(temporary / "run", weighted);
        train(run, 2);
        return lines_of(run.folder.metrics_file())[0].at("loss").get<double>();
    };
    double sum = 0;
    for (std::size_t c = 0; c < 10; ++c) {
        std::vector<double> weights(10, 0.0);
        weights[c] = 1;
        const double loss = loss_with(weights);
        CHECK(loss > 0);
        sum += loss;
    }
    // The same 40 float32 numbers, added in double in another order.
    CHECK(std::abs(sum - loss_with(std::vector<double>(10, 1.0))) < 1e-12);
}

TEST_CASE("a recipe that does not fit the images is refused") {
    const TemporaryFolder temporary;
    RunConfig config = tiny_config();
    config.recipe.name = "mine";
    config.recipe.class_weights = BalancedClasses();
    config.limit = 5;
    CHECK(one_line_with(message_of([&] { require_fits(config, make_data(config)); }), {"recipe mine:", "none of the 5 images"}));
    config.limit = 0;
    CHECK(require_fits(config, make_data(config)) == std::vector<double>(10, 1.0));
    config.evaluate = false;
    config.recipe.early_stopping = EarlyStopping();
    CHECK(one_line_with(message_of([&] { require_fits(config, make_data(config)); }), {"recipe mine:", "val_loss"}));
}

TEST_CASE("an evaluation does not depend on the batch, and takes every image") {
    const Dataset test = make_synthetic(Split::test, 21);
    const auto by_16 = make_network(2, 16), by_5 = make_network(1, 5);
    by_16->initialize(3);
    by_5->initialize(3);
    const Evaluation a = *evaluate(*by_16, place(*by_16, test)), b = *evaluate(*by_5, place(*by_5, test));
    CHECK(a.images == 21);
    CHECK(a.loss == b.loss);
    CHECK(a.metric == b.metric);
    CHECK(!evaluate(*by_5, place(*by_5, test), stop_at(2)));
}

TEST_CASE("the synthetic set is learnt") {
    const TemporaryFolder temporary;
    RunConfig config = tiny_config(5);
    config.train_images = 1000;
    config.evaluate = false;
    const Run run = make_run(temporary / "run", config);
    train(run, hardware_threads());
    const auto network = make_network(hardware_threads(), 50);
    load_weights(run.folder.last(), *network);
    const Dataset test = make_synthetic(Split::test, 500);
    const Evaluation result = *evaluate(*network, place(*network, test));
    // Chance is 10 %, with a standard error of 1.3 % over 500 images.
    CHECK(result.metric > 0.5);
}
