#include "runtime/training/run_folder.h"

#include "tests/catch.h"
#include "tests/data/files.h"

#include <filesystem>
#include <fstream>
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
    config.validation_split = 0.2;
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
    return {.epoch = epoch, .loss = 1.0 / 3, .metric = 0.5, .val_loss = {}, .val_metric = {}, .seconds = 2, .images_per_second = 100};
}

std::vector<int> epochs_of(const fs::path &metrics) {
    std::vector<int> epochs;
    std::istringstream lines(read_bytes(metrics));
    for (std::string line; std::getline(lines, line);) epochs.push_back(nlohmann::json::parse(line).at("epoch"));
    return epochs;
}

}  // namespace

TEST_CASE("a run's settings read back as they were written") {
    RunConfig config = some_config();
    SECTION("everything set") {}
    SECTION("little set") {
        config = RunConfig{};
        config.train_images = 1;
        config.evaluate = false;
        config.recipe.dropout = std::vector<double>{};
    }
    const RunConfig read = parse_run_config(to_json(config), "it");
    CHECK(to_json(read) == to_json(config));
    CHECK(read.data == config.data);
    CHECK(read.init == config.init);
    CHECK(read.seed == config.seed);
    CHECK(read.validation_split == config.validation_split);
    CHECK(read.recipe.epochs == config.recipe.epochs);
    CHECK(read.recipe.dropout == config.recipe.dropout);
    CHECK(read.evaluate == config.evaluate);
}

TEST_CASE("every setting is checked by its type and range") {
    const nlohmann::json sound = nlohmann::json::parse(to_json(some_config()));
    const auto refusal = [](const nlohmann::json &settings) {
        return message_of([&] { parse_run_config(settings.dump(), "last: config"); });
    };
    CHECK(refusal(sound) == "");
    struct Case {
        const char *key, *values;
    };
    const std::vector<Case> cases = {
        {"model", "[3, null]"},
        {"data", R"([3, null, ""])"},
        {"train_images", R"([0, -1, 1.5, "1", true, 4294967426, null])"},
        {"validation_split", R"([0, 1, -0.1, "0.2", true])"},
        {"limit", R"([0, -5, 1e300, "1", false])"},
        {"recipe", R"([3, {}, {"flip": 2}, {"epochs": 0}])"},
        {"seed", R"([-1, 4294967296, 1.5, "1", null])"},
        {"shuffle", "[0, null]"},
        {"evaluate", R"([1, "true"])"},
        {"init", R"([3, ""])"},
        {"schedule", "[3, null]"},
        {"threads", "[0, 1.9, 8193, 4294967297, true]"},
        {"thread", "[1]"},
    };
    for (const Case &c : cases) {
        const nlohmann::json values = nlohmann::json::parse(c.values);
        for (const nlohmann::json &value : values) {
            nlohmann::json settings = sound;
            settings[c.key] = value;
            CAPTURE(settings.dump(), refusal(settings));
            CHECK(one_line_with(refusal(settings), {"last: config", c.key}));
        }
    }
    for (const auto &[key, value] : sound.items()) {
        nlohmann::json settings = sound;
        settings.erase(key);
        CHECK(one_line_with(refusal(settings), {key, "missing"}));
    }
    nlohmann::json settings = sound;
    settings["recipe"].erase("flip");
    CHECK(one_line_with(refusal(settings), {"recipe.flip is missing"}));
}

TEST_CASE("runs are numbered, and a number that is there is passed over") {
    const TemporaryFolder temporary;
    const fs::path root = temporary / "runs" / "cifar10";
    CHECK(RunFolder::create_numbered(root).path() == root / "1");
    fs::create_directory(root / "2");
    CHECK(RunFolder::create_numbered(root).path() == root / "3");
}

TEST_CASE("a folder that holds anything is refused, and left as it is") {
    const TemporaryFolder temporary;
    write_bytes(temporary / "thesis.tex", "years of work");
    CHECK(one_line_with(message_of([&] { RunFolder::create(temporary.path()); }), {temporary.path().string(), "thesis.tex", "--out"}));
    CHECK(read_bytes(temporary / "thesis.tex") == "years of work");
    fs::rename(temporary / "thesis.tex", temporary / "last.safetensors");
    CHECK(one_line_with(message_of([&] { RunFolder::create(temporary.path()); }), {temporary.path().string(), "--out", "--resume"}));
}

TEST_CASE("what a killed process left is removed, and nothing else") {
    const TemporaryFolder temporary;
    const std::vector<std::string> others = {"last.safetensors.1.tmp", "last.safetensors.1.2", "last.safetensors.1.x.tmp",
                                             "first.safetensors.1.2.tmp", "last.safetensors..2.tmp"};
    for (const std::string &name : others) write_bytes(temporary / name, "");
    write_bytes(temporary / "last.safetensors.17.18.tmp", "");
    write_bytes(temporary / "config.json.1.2.tmp", "");
    CHECK(message_of([&] { RunFolder::create(temporary.path()); }) != "");
    CHECK(!fs::exists(temporary / "last.safetensors.17.18.tmp"));
    CHECK(!fs::exists(temporary / "config.json.1.2.tmp"));
    for (const std::string &name : others) {
        CHECK(fs::exists(temporary / name));
        fs::remove(temporary / name);
    }
    write_bytes(temporary / "best.safetensors.1.2.tmp", "");
    CHECK(message_of([&] { RunFolder::create(temporary.path()); }) == "");
}

TEST_CASE("a folder is used by one at a time, and read by several") {
    const TemporaryFolder temporary;
    const fs::path path = temporary / "run";
    const auto in_use = [&](const auto &action) { return one_line_with(message_of(action), {path.string(), "another process"}); };
    {
        const RunFolder folder = RunFolder::create(path);
        CHECK(in_use([&] { RunFolder::create(path); }));
        write_bytes(folder.last(), "");
        CHECK(in_use([&] { RunFolder::create(path); }));
        CHECK(in_use([&] { RunFolder::open(path); }));
        CHECK(in_use([&] { RunFolder::open_to_read(path); }));
    }
    const RunFolder reader = RunFolder::open_to_read(path);
    CHECK(message_of([&] { RunFolder::open_to_read(path); }) == "");
    CHECK(in_use([&] { RunFolder::open(path); }));
    CHECK(message_of([&] { RunFolder::open_to_read(path); }).empty());
}

TEST_CASE("a folder that cannot be made is named") {
    const TemporaryFolder temporary;
    write_bytes(temporary / "file", "");
    const auto path = GENERATE(as<std::string>(), "file", "file/below");
    const std::string message = message_of([&] { RunFolder::create(temporary / path); });
    CHECK(one_line_with(message, {(temporary / path).string(), "--out"}));
}

TEST_CASE("a folder without a run cannot be opened") {
    const TemporaryFolder temporary;
    CHECK(one_line_with(message_of([&] { RunFolder::open(temporary.path()); }), {temporary.path().string(), "--resume"}));
    CHECK(one_line_with(message_of([&] { RunFolder::open(temporary / "nowhere"); }), {(temporary / "nowhere").string()}));
}

TEST_CASE("metrics.jsonl has one object an epoch, and can be cut back") {
    const TemporaryFolder temporary;
    const RunFolder folder = RunFolder::create(temporary / "run");
    folder.keep_metrics(0);
    for (const std::uint32_t epoch : {1, 2, 3}) folder.append(some_metrics(epoch));
    CHECK(epochs_of(folder.metrics_file()) == std::vector<int>{1, 2, 3});

    std::ofstream(folder.metrics_file(), std::ios::app) << "{\"epoch\":4,\"lo";  // the program was killed in the middle of a line
    folder.keep_metrics(3);
    CHECK(epochs_of(folder.metrics_file()) == std::vector<int>{1, 2, 3});
    folder.keep_metrics(2);
    CHECK(epochs_of(folder.metrics_file()) == std::vector<int>{1, 2});
    folder.append(some_metrics(3));
    folder.keep_metrics(3);
    CHECK(epochs_of(folder.metrics_file()) == std::vector<int>{1, 2, 3});
    folder.keep_metrics(0);
    CHECK(read_bytes(folder.metrics_file()).empty());
}

TEST_CASE("metrics.csv has the epochs of metrics.jsonl") {
    const TemporaryFolder temporary;
    const RunFolder folder = RunFolder::create(temporary / "run");
    const auto table = [&folder] {
        std::string table;
        std::istringstream lines(read_bytes(folder.metrics_file()));
        for (std::string line; std::getline(lines, line);) {
            const auto values = nlohmann::ordered_json::parse(line);
            if (!values.contains("epoch")) continue;
            std::string keys, row;
            for (const auto &[key, value] : values.items()) {
                keys += key + ',';
                row += (value.is_null() ? "" : value.dump()) + ',';
            }
            keys.back() = row.back() = '\n';
            table += (table.empty() ? keys : "") + row;
        }
        return table;
    };
    EpochMetrics unvalidated = some_metrics(2);
    unvalidated.val_loss = unvalidated.val_metric = std::nullopt;
    folder.append(some_metrics(1));
    folder.append(unvalidated);
    folder.append(TestMetrics{1.0 / 3, 0.25});
    CHECK(read_bytes(folder.table_file()) == table());
    CHECK(table().find(",,") != std::string::npos);
    std::ofstream(folder.table_file(), std::ios::app) << "3,0.";  // the program was killed in the middle of a line
    folder.keep_metrics(1);
    CHECK(read_bytes(folder.table_file()) == table());
    folder.append(some_metrics(2));
    CHECK(read_bytes(folder.table_file()) == table());
    folder.keep_metrics(0);
    CHECK(!std::filesystem::exists(folder.table_file()));
    folder.append(some_metrics(1));
    CHECK(read_bytes(folder.table_file()) == table());
}

TEST_CASE("the test's line is the last, and goes where epochs are trained again") {
    const TemporaryFolder temporary;
    const RunFolder folder = RunFolder::create(temporary / "run");
    CHECK(!folder.has_test());
    folder.append(some_metrics(1));
    CHECK(!folder.has_test());
    folder.append(TestMetrics{1.0 / 3, 0.25});
    CHECK(folder.has_test());
    const std::string test = "{\"test_loss\":0.3333333333333333,\"test_accuracy\":0.25}\n", one = to_json(some_metrics(1)) + "\n";
    CHECK(read_bytes(folder.metrics_file()) == one + test);
    folder.keep_metrics(1);
    CHECK(!folder.has_test());
    CHECK(read_bytes(folder.metrics_file()) == one);

    for (const std::size_t bytes :
         {std::size_t{1}, std::size_t{10}, test.size() - 1}) {  // the program was killed in the middle of the line
        write_bytes(folder.metrics_file(), one + test.substr(0, bytes));
        CHECK(!folder.has_test());
        folder.keep_metrics(1);
        CHECK(read_bytes(folder.metrics_file()) == one);
    }
    for (const std::string &text : {one + test + test, test + one, one + test + one}) {
        write_bytes(folder.metrics_file(), text);
        CHECK(one_line_with(message_of([&] { folder.keep_metrics(1); }), {folder.metrics_file().string(), "mend"}));
        CHECK(read_bytes(folder.metrics_file()) == text);
    }
}

TEST_CASE("without metrics.jsonl, a run goes on with the lines to come") {
    const TemporaryFolder temporary;
    const RunFolder folder = RunFolder::create(temporary / "run");
    folder.keep_metrics(3);
    folder.append(some_metrics(4));
    folder.append(some_metrics(5));
    folder.keep_metrics(4);
    CHECK(epochs_of(folder.metrics_file()) == std::vector<int>{4});
}

TEST_CASE("a metrics.jsonl that is not a run's is named, and left as it is") {
    const TemporaryFolder temporary;
    const RunFolder folder = RunFolder::create(temporary / "run");
    const std::string one = to_json(some_metrics(1)) + "\n", two = to_json(some_metrics(2)) + "\n";
    const std::string text = GENERATE_COPY(as<std::string>(), "", one, two + one, one + one + two, one + "3\n" + two, one + "\n" + two,
                                           one + two + "garbage", one + two + "garbage\n", one + two + two, one + "{\"epoch\": 2.5}\n",
                                           one + two + std::string(5, '\0'), one + two.substr(0, 40), one + "{\"epoch\": -2}\n");
    write_bytes(folder.metrics_file(), text);
    CAPTURE(text);
    CHECK(one_line_with(message_of([&] { folder.keep_metrics(2); }), {folder.metrics_file().string(), "mend"}));
    CHECK(read_bytes(folder.metrics_file()) == text);
}

TEST_CASE("a metrics.jsonl that cannot be read or written is named, and left as it is") {
    const TemporaryFolder temporary;
    const RunFolder folder = RunFolder::create(temporary / "run");
    fs::create_directory(folder.metrics_file());
    CHECK(one_line_with(message_of([&] { folder.keep_metrics(1); }), {folder.metrics_file().string()}));
    CHECK(one_line_with(message_of([&] { folder.append(some_metrics(1)); }), {folder.metrics_file().string(), "cannot be written"}));
}

TEST_CASE("a line of metrics holds doubles to the last bit, and null for what was not evaluated") {
    EpochMetrics metrics = some_metrics(1);
    nlohmann::json line = nlohmann::json::parse(to_json(metrics));
    CHECK(line.size() == 8);
    CHECK(line.at("loss").get<double>() == 1.0 / 3);
    CHECK(line.at("val_loss").is_null());
    CHECK(line.at("val_accuracy").is_null());
    metrics.val_loss = 2.5;
    metrics.val_metric = 0.25;
    line = nlohmann::json::parse(to_json(metrics));
    CHECK(line.at("val_loss") == 2.5);
    CHECK(line.at("val_accuracy") == 0.25);
}

TEST_CASE("another folder takes over the metrics and the best weights") {
    const TemporaryFolder temporary;
    const RunFolder from = RunFolder::create(temporary / "from");
    {
        const RunFolder to = RunFolder::create(temporary / "to", &from);
        to.copy_from(from);  // before the first epoch there is nothing to copy
        CHECK(!fs::exists(to.best()));
        from.append(some_metrics(1));
        write_bytes(from.best(), "weights");
        to.copy_from(from);
        CHECK(read_bytes(to.best()) == "weights");
        CHECK(epochs_of(to.metrics_file()) == std::vector<int>{1});
    }
    CHECK(message_of([&] { RunFolder::create(temporary / "to", &from); }) == "");  // it was killed before its first checkpoint
    CHECK(one_line_with(message_of([&] { RunFolder::create(temporary / "to"); }), {"something in this folder"}));
    write_bytes(from.best(), "better weights");
    CHECK(one_line_with(message_of([&] { RunFolder::create(temporary / "to", &from); }), {"best.safetensors"}));
    CHECK(read_bytes(temporary / "to" / "best.safetensors") == "weights");
}
