#include "runtime/run_folder.h"

#include "tests/catch.h"
#include "tests/data/files.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace halcyon;
namespace fs = std::filesystem;

namespace {

RunConfig some_config() {
    RunConfig config;
    config.model = "cifar10";
    config.data = "/data/cifar";
    config.train_images = 50000;
    config.limit = 1234;
    config.recipe = load_recipe("onecycle");
    config.recipe.epochs = 7;
    config.seed = 4294967295;
    config.shuffle = false;
    config.init = "/weights.safetensors";
    config.schedule = "x86_avx2";
    config.threads = 3;
    return config;
}

EpochMetrics some_metrics(std::uint32_t epoch) {
    return {.epoch = epoch, .loss = 1.0 / 3, .accuracy = 0.5, .val_loss = {}, .val_accuracy = {}, .seconds = 2, .images_per_second = 100};
}

std::vector<int> epochs_of(const fs::path &metrics) {
    std::vector<int> epochs;
    std::istringstream lines(read_bytes(metrics));
    for (std::string line; std::getline(lines, line);) epochs.push_back(nlohmann::json::parse(line).at("epoch"));
    return epochs;
}

}  // namespace

TEST_CASE("config.json reads back as it was written") {
    const TemporaryFolder temporary;
    RunConfig config = some_config();
    SECTION("everything set") {}
    SECTION("the defaults") {
        config = RunConfig{};
        config.evaluate = false;
    }
    const RunFolder folder = RunFolder::create(temporary / "run", config);
    CHECK(to_json(RunFolder::open(temporary / "run").read_config()) == to_json(config));
    CHECK(folder.read_config().data == config.data);
    CHECK(folder.read_config().seed == config.seed);
    CHECK(folder.read_config().recipe.epochs == config.recipe.epochs);
    CHECK(folder.read_config().evaluate == config.evaluate);
}

TEST_CASE("a broken config.json is named") {
    const TemporaryFolder temporary;
    write_bytes(temporary / "config.json", GENERATE("", "{", "{\"model\": 3}", "[]"));
    const std::string message = message_of([&] { RunFolder::open(temporary.path()).read_config(); });
    CHECK(one_line_with(message, {(temporary / "config.json").string()}));
}

TEST_CASE("runs are numbered, and a number that is there is passed over") {
    const TemporaryFolder temporary;
    const fs::path root = temporary / "runs" / "cifar10";
    CHECK(RunFolder::create_numbered(root, some_config()).path() == root / "1");
    fs::create_directory(root / "2");
    CHECK(RunFolder::create_numbered(root, some_config()).path() == root / "3");
}

TEST_CASE("a folder that holds anything is refused, and left as it is") {
    const TemporaryFolder temporary;
    write_bytes(temporary / "thesis.tex", "years of work");
    const std::string message = message_of([&] { RunFolder::create(temporary.path(), some_config()); });
    CHECK(one_line_with(message, {temporary.path().string(), "--out", "--resume"}));
    CHECK(read_bytes(temporary / "thesis.tex") == "years of work");
    CHECK(!fs::exists(temporary / "config.json"));
}

TEST_CASE("a folder that cannot be made is named") {
    const TemporaryFolder temporary;
    write_bytes(temporary / "file", "");
    const auto path = GENERATE(as<std::string>(), "file", "file/below");
    const std::string message = message_of([&] { RunFolder::create(temporary / path, some_config()); });
    CHECK(one_line_with(message, {(temporary / path).string(), "--out"}));
}

TEST_CASE("a folder without a run cannot be opened") {
    const TemporaryFolder temporary;
    CHECK(one_line_with(message_of([&] { RunFolder::open(temporary.path()); }), {temporary.path().string(), "--resume"}));
    CHECK(one_line_with(message_of([&] { RunFolder::open(temporary / "nowhere"); }), {(temporary / "nowhere").string()}));
}

TEST_CASE("metrics.jsonl has one object an epoch, and can be cut back") {
    const TemporaryFolder temporary;
    const RunFolder folder = RunFolder::create(temporary / "run", some_config());
    for (const std::uint32_t epoch : {1, 2, 3}) folder.append(some_metrics(epoch));
    CHECK(epochs_of(folder.metrics_file()) == std::vector<int>{1, 2, 3});

    std::ofstream(folder.metrics_file(), std::ios::app) << "{\"epoch\": 4, \"lo";  // the program was killed in the middle of a line
    folder.keep_metrics(2);
    CHECK(epochs_of(folder.metrics_file()) == std::vector<int>{1, 2});
    folder.append(some_metrics(3));
    folder.keep_metrics(3);
    CHECK(epochs_of(folder.metrics_file()) == std::vector<int>{1, 2, 3});
    folder.keep_metrics(0);
    CHECK(read_bytes(folder.metrics_file()).empty());
}

TEST_CASE("a line of metrics holds doubles to the last bit, and null for what was not evaluated") {
    EpochMetrics metrics = some_metrics(1);
    nlohmann::json line = nlohmann::json::parse(to_json(metrics));
    CHECK(line.size() == 7);
    CHECK(line.at("loss").get<double>() == 1.0 / 3);
    CHECK(line.at("val_loss").is_null());
    CHECK(line.at("val_accuracy").is_null());
    metrics.val_loss = 2.5;
    metrics.val_accuracy = 0.25;
    line = nlohmann::json::parse(to_json(metrics));
    CHECK(line.at("val_loss") == 2.5);
    CHECK(line.at("val_accuracy") == 0.25);
}

TEST_CASE("another folder takes over the metrics and the best weights") {
    const TemporaryFolder temporary;
    const RunFolder from = RunFolder::create(temporary / "from", some_config());
    const RunFolder to = RunFolder::create(temporary / "to", some_config());
    to.copy_from(from);  // before the first epoch there is nothing to copy
    CHECK(!fs::exists(to.best()));
    from.append(some_metrics(1));
    write_bytes(from.best(), "weights");
    to.copy_from(from);
    CHECK(read_bytes(to.best()) == "weights");
    CHECK(epochs_of(to.metrics_file()) == std::vector<int>{1});
}
