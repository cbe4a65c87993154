// Runs of tests/kernels/multi_label.json and regression.json, models whose images have targets, on NumPy's arrays of tests/data/arrays.
// Both programs hold this test; TARGETS names the model.
#include "plan/json.h"
#include "runtime/data/npy.h"
#include "tests/catch.h"
#include "tests/data/picture_files.h"
#include "tests/training/process.h"

#include <nlohmann/json.hpp>

#include <sstream>

using namespace halcyon;
using namespace halcyon::tests;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

const std::string model = TARGETS, data = std::string(ARRAYS) + "/" + TARGETS + ".npz";
const bool has_labels = model == "multi_label";
const std::string metric = has_labels ? "accuracy" : "mean_absolute_error";

void write_recipe(const std::string &path, const std::string &more = "") {
    write_bytes(path, R"({"name": "mine", "epochs": 60, "batch": 16, "learning_rate": {"schedule": "constant", "peak": )" +
                          std::string(has_labels ? "0.02" : "0.005") + "}" + more + "}");
}

std::vector<json> lines_of(const std::string &text) {
    std::vector<json> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
    return lines;
}

/// What training with this recipe is refused with.
std::string refusal(const TemporaryFolder &folder, const std::string &with, const std::string &of = data) {
    const std::string recipe = folder / "refused.json";
    write_recipe(recipe, with);
    const Result result = cifar10({"train", "--data", of, "--out", folder / "refused", "--recipe", recipe});
    CHECK(result.exit_code == 1);
    CHECK(std::ranges::count(result.err, '\n') == 1);
    return result.err;
}

}  // namespace

TEST_CASE("a model learns targets, stops and goes on, is evaluated, and predicts labels or numbers") {
    const TemporaryFolder folder;
    const std::string run = folder / "run", weights = run + "/best.safetensors", recipe = folder / "recipe.json";
    write_recipe(recipe, R"(, "early_stopping": {"monitor": "val_)" + metric + R"(", "patience": 60})");
    output_of({"train", "--data", data, "--out", run, "--threads", "2", "--recipe", recipe, "--epochs", "2"});
    output_of({"train", "--resume", run, "--epochs", "60"});
    const std::vector<json> epochs = lines_of(read_bytes(run + "/metrics.jsonl"));
    REQUIRE(epochs.size() == 60);
    for (const char *of : {"", "val_"}) {
        CHECK(epochs.back().at(of + std::string("loss")) < epochs.front().at(of + std::string("loss")));
        CHECK((epochs.back().at(of + metric) > epochs.front().at(of + metric)) == has_labels);
    }

    const json evaluation = json::parse(output_of({"evaluate", "--weights", weights, "--data", data, "--json"}));
    CHECK(evaluation.at("images") == 32);
    const std::string evaluated = output_of({"evaluate", "--weights", weights, "--data", data});
    const std::string first_image = output_of({"predict", "--weights", weights, "--data", data, "--records", "0:1", "--json"});
    const json predicted = json::parse(first_image);
    const std::string csv = output_of({"predict", "--weights", weights, "--data", data, "--records", "0:2", "--csv"});
    const std::string text = output_of({"predict", "--weights", weights, "--data", data, "--records", "0:1"});
    CHECK(text.starts_with("record 0: "));
    if (has_labels) {
        CHECK(evaluation.at("accuracy") > 0.9);
        REQUIRE(evaluation.at("labels").size() == 10);
        CHECK(evaluation.at("labels").at(3).at("label") == "3");
        CHECK(evaluation.at("labels").at(3).at("auc") > 0.9);
        CHECK(evaluation.at("macro").at("f1") > 0.9);
        CHECK(!evaluation.contains("confusion"));
        CHECK(evaluated.find("\nlabel ") != std::string::npos);
        REQUIRE(predicted.at("probabilities").size() == 10);
        json likely = json::array();
        for (int unit = 0; unit < 10; ++unit)
            if (predicted.at("probabilities").at(std::size_t(unit)) > 0.5) likely.push_back(std::to_string(unit));
        CHECK(predicted.at("labels") == likely);
        CHECK(csv.starts_with("image,0,1,2,3,4,5,6,7,8,9\nrecord 0,"));
    } else {
        CHECK(evaluation.at("mean_absolute_error") < 0.1);
        CHECK(!evaluation.contains("accuracy"));
        REQUIRE(evaluation.at("targets").size() == 3);
        double mean = 0;
        for (const json &target : evaluation.at("targets")) mean += target.at("mean_absolute_error").get<double>() / 3;
        CHECK(mean == Approx(evaluation.at("mean_absolute_error").get<double>()));
        CHECK(evaluated.find("\nmean_absolute_error  ") != std::string::npos);
        CHECK(predicted.at("predictions").size() == 3);
        CHECK(csv.starts_with("image,0,1,2\nrecord 0,"));
    }
}

TEST_CASE("what targets do not go with is said in one line") {
    const TemporaryFolder folder;
    CHECK(refusal(folder, R"(, "class_weights": "balanced")").find("class_weights weigh classes") != std::string::npos);
    const std::string other = has_labels ? "mean_absolute_error" : "accuracy";
    CHECK(refusal(folder, R"(, "early_stopping": {"monitor": ")" + other + "\"}")
              .find("watches " + other + ", but the model reports " + metric) != std::string::npos);
    for (const char *name : {"cats", "dogs"}) write_picture(fs::path(folder / "photos") / "train" / name / "0.png", 20, 5, 4);
    CHECK(refusal(folder, "", folder / "photos").find("folder gives labels, but the model takes ") != std::string::npos);
    const Result top = cifar10({"predict", "--weights", "w", "--top", "2", "--data", data, "--records", "0:1"});
    CHECK(top.err.find("targets and no classes") != std::string::npos);
}

TEST_CASE("images with targets are summarised, written as arrays, and are the same from there") {
    const TemporaryFolder folder;
    const std::string copy = folder / "copy";
    json summary = json::parse(output_of({"data", "--data", data, "--json", "--out", copy}));
    CHECK(summary.at("targets").size() == (has_labels ? 10 : 3));
    const double mean = summary.at("splits").at("train").at("target_mean").at(0);
    CHECK((mean > 0.3 && mean < 0.7));
    const json of_copy = json::parse(output_of({"data", "--data", copy, "--json"}));
    CHECK(of_copy.at("splits") == summary.at("splits"));
    CHECK(output_of({"data", "--data", data}).find("\n0 ") != std::string::npos);
}
