// A run of tests/kernels/binary.json, a model of one unit, on pictures in folders of two classes.
#include "tests/catch.h"
#include "tests/data/picture_files.h"
#include "tests/training/process.h"

#include <nlohmann/json.hpp>

using namespace halcyon;
using namespace halcyon::tests;
using nlohmann::json;
namespace fs = std::filesystem;

TEST_CASE("one unit learns to tell two folders apart, and predicts the probabilities of both") {
    const TemporaryFolder folder;
    const std::string data = folder / "photos", run = folder / "run", weights = run + "/best.safetensors", recipe = folder / "recipe.json";
    for (const char *split : {"train", "test"})
        for (int i = 0; i < 8; ++i) {
            write_picture(fs::path(data) / split / "cats" / (std::to_string(i) + ".png"), std::uint8_t(20 + 5 * i), 5, 4);
            write_picture(fs::path(data) / split / "dogs" / (std::to_string(i) + ".png"), std::uint8_t(200 + 5 * i), 5, 4);
        }
    write_bytes(recipe, R"({"name": "mine", "epochs": 40, "batch": 8, "learning_rate": {"schedule": "constant", "peak": 0.02},
                            "class_weights": {"cats": 2, "dogs": 1}})");
    output_of({"train", "--data", data, "--out", run, "--threads", "2", "--recipe", recipe});
    const json evaluation = json::parse(output_of({"evaluate", "--weights", weights, "--data", data, "--json"}));
    CHECK(evaluation.at("accuracy") == 1);
    CHECK(evaluation.at("auc") == 1);
    CHECK(evaluation.at("confusion") == json({{8, 0}, {0, 8}}));
    CHECK(!evaluation.contains("top_k"));
    const std::string evaluated = output_of({"evaluate", "--weights", weights, "--data", data});
    CHECK(evaluated.find("\nauc       1.0000\n") != std::string::npos);
    CHECK(evaluated.find("not defined") == std::string::npos);
    for (const char *name : {"cats", "dogs"}) {
        const json line =
            json::parse(output_of({"predict", "--weights", weights, "--json", "--top", "2", data + "/test/" + name + "/0.png"}));
        const auto probabilities = line.at("probabilities").get<std::vector<double>>();
        REQUIRE(probabilities.size() == 2);
        CHECK(probabilities[0] + probabilities[1] == Approx(1));
        CHECK(line.at("class") == name);
        CHECK(line.at("top").size() == 2);
        CHECK(probabilities[line.at("label").get<std::size_t>()] > 0.5);
    }

    // Only cats to evaluate on.
    const std::string cats = folder / "cats";
    write_picture(fs::path(cats) / "train" / "dogs" / "0.png", 220, 5, 4);
    for (const char *split : {"train", "test"}) write_picture(fs::path(cats) / split / "cats" / "0.png", 20, 5, 4);
    CHECK(json::parse(output_of({"evaluate", "--weights", weights, "--data", cats, "--json"})).at("auc").is_null());
    const std::string one_class = output_of({"evaluate", "--weights", weights, "--data", cats});
    for (const char *line :
         {"auc       not defined", "precision is not defined where no image was taken for the class, and counts as 0: dogs",
          "recall is not defined where the class has no images, and counts as 0: dogs"})
        CHECK(one_class.find(line) != std::string::npos);

    write_picture(fs::path(data) / "train" / "foxes" / "0.png", 90, 5, 4);
    const Result three = cifar10({"train", "--data", data, "--out", folder / "other", "--recipe", recipe});
    CHECK(three.exit_code != 0);
    CHECK(three.err.find("3 classes (cats, dogs, foxes), but the model has 2") != std::string::npos);
}
