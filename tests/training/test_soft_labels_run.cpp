// Runs of tests/kernels/soft_labels.json, a model that takes shares of five classes, on arrays of them, on labels and on pictures.
#include "plan/json.h"
#include "runtime/data/npy.h"
#include "tests/catch.h"
#include "tests/data/picture_files.h"
#include "tests/training/process.h"

#include <nlohmann/json.hpp>

#include <array>
#include <sstream>

using namespace halcyon;
using namespace halcyon::tests;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t classes = 5, image_values = 5 * 4 * 3;

template<typename T>
void write_npy(const fs::path &path, std::string_view type, std::vector<std::size_t> shape, const std::vector<T> &values) {
    fs::create_directories(path.parent_path());
    write_bytes(path, npy_header(type, shape) + std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)));
}

/// Images of which the share of a class is how bright a value is, with these shares.
void write_images(const fs::path &folder, const std::vector<float> &shares) {
    std::vector<std::uint8_t> values(shares.size() / classes * image_values, 30);
    for (std::size_t i = 0; i < shares.size(); ++i)
        values[i / classes * image_values + i % classes] = static_cast<std::uint8_t>(200 * shares[i]);
    write_npy(folder / "images.npy", "|u1", {shares.size() / classes, 5, 4, 3}, values);
}

/// So many shares for `images` of each class, the rest of a neighbour, as mixup makes them.
std::vector<float> mixed(std::size_t images, float share) {
    std::vector<float> shares(images * classes * classes);
    for (std::size_t n = 0; n < images * classes; ++n) {
        shares[n * classes + n % classes] += share;
        shares[n * classes + (n + 1 + n / classes % 4) % classes] += 1 - share;
    }
    return shares;
}

struct Workplace {
    TemporaryFolder folder;
    std::string recipe = folder / "recipe.json";

    Workplace() {
        write_bytes(recipe, R"({"name": "mine", "epochs": 40, "batch": 10, "class_weights": "balanced",
                                "learning_rate": {"schedule": "constant", "peak": 0.02}})");
    }

    /// The metrics of a run's epochs, without its times.
    std::vector<json> train(const std::string &data, const std::string &name) const {
        output_of({"train", "--data", data, "--out", folder / name, "--threads", "2", "--recipe", recipe});
        std::vector<json> lines;
        std::istringstream stream(read_bytes(folder / name / "metrics.jsonl"));
        for (std::string line; std::getline(stream, line);) {
            lines.push_back(json::parse(line));
            for (const char *time : {"seconds", "images_per_second"}) lines.back().erase(time);
        }
        return lines;
    }

    std::string weights(const std::string &name) const { return folder / name / "best.safetensors"; }

    json evaluate(const std::string &data, const std::string &name) const {
        return json::parse(output_of({"evaluate", "--weights", weights(name), "--data", data, "--json"}));
    }
};

}  // namespace

TEST_CASE("labels and one-hot arrays of them make the same run") {
    const Workplace place;
    const std::string numbers = place.folder / "numbers", one_hot = place.folder / "one_hot";
    for (const char *split : {"train", "test"}) {
        const std::vector<float> shares = mixed(8, 1);
        std::vector<std::int32_t> labels;
        for (std::size_t n = 0; n < shares.size() / classes; ++n) labels.push_back(std::int32_t(n % classes));
        for (const std::string &folder : {numbers, one_hot}) write_images(fs::path(folder) / split, shares);
        write_npy(fs::path(numbers) / split / "labels.npy", "<i4", {labels.size()}, labels);
        write_npy(fs::path(one_hot) / split / "labels.npy", "|u1", {labels.size(), classes},
                  std::vector<std::uint8_t>(shares.begin(), shares.end()));
    }
    const std::vector<json> epochs = place.train(numbers, "a");
    REQUIRE(epochs.size() == 40);
    CHECK(epochs.back().at("val_accuracy") == 1);
    CHECK(place.train(one_hot, "b") == epochs);
    CHECK(place.evaluate(numbers, "a") == place.evaluate(one_hot, "b"));
    CHECK(json::parse(output_of({"data", "--data", numbers, "--json"})).at("splits") ==
          json::parse(output_of({"data", "--data", one_hot, "--json"})).at("splits"));
}

TEST_CASE("a model learns shares of classes, and what is said of it is of classes") {
    const Workplace place;
    const std::string data = place.folder / "mixed", copy = place.folder / "copy";
    for (const char *split : {"train", "test"}) {
        const std::vector<float> shares = mixed(8, 0.75F);
        write_images(fs::path(data) / split, shares);
        write_npy(fs::path(data) / split / "labels.npy", "<f4", {shares.size() / classes, classes}, shares);
    }
    write_bytes(fs::path(data) / "classes.json", R"(["ant", "bee", "cat", "dog", "elk"])");
    const std::vector<json> epochs = place.train(data, "run");
    CHECK(epochs.back().at("val_loss") < epochs.front().at("val_loss"));
    CHECK(fs::exists(place.folder / "run" / "batch.png"));

    const json evaluation = place.evaluate(data, "run");
    CHECK(evaluation.at("accuracy") == 1);
    CHECK(evaluation.at("confusion").size() == classes);
    CHECK(evaluation.at("classes").at(2).at("class") == "cat");
    CHECK(evaluation.at("classes").at(2).at("images") == 8);
    const json predicted =
        json::parse(output_of({"predict", "--weights", place.weights("run"), "--data", data, "--records", "1:2", "--json", "--top", "2"}));
    CHECK(predicted.at("class") == "bee");
    CHECK(predicted.at("top").at(1).at("class") == "cat");  // of which there is the rest
    CHECK(predicted.at("probabilities").size() == classes);

    const json summary = json::parse(output_of({"data", "--data", data, "--json", "--out", copy}));
    CHECK(summary.at("classes").at(4) == "elk");
    CHECK(summary.at("splits").at("train").at("of_class") == json({8, 8, 8, 8, 8}));
    CHECK(place.evaluate(copy, "run") == evaluation);
}

TEST_CASE("pictures have labels, or a column for each class") {
    const Workplace place;
    const fs::path photos = place.folder / "photos";
    std::string list = "file,ant,bee,cat,dog,elk\n";
    for (int c = 0; c < int(classes); ++c) {
        const std::string name = std::string(1, "abcde"[c]) + "/0.png";
        write_picture(photos / "train" / name, std::uint8_t(50 * c), 5, 4);
        list += "photos/train/" + name;
        for (int other = 0; other < int(classes); ++other) list += other == c ? ",0.9" : other == (c + 1) % 5 ? ",0.1" : ",0";
        list += "\n";
    }
    write_bytes(place.folder / "list.csv", list);
    for (const std::string &data : {photos.string(), (place.folder / "list.csv").string()}) {
        const std::vector<json> epochs = place.train(data, "of_" + fs::path(data).stem().string());
        CHECK(epochs.back().at("loss") < epochs.front().at("loss"));
    }
    CHECK(json::parse(output_of({"data", "--data", place.folder / "list.csv", "--json"})).at("classes").at(1) == "bee");

    write_picture(photos / "train" / "f" / "0.png", 20, 5, 4);
    const Result six = cifar10({"train", "--data", photos, "--out", place.folder / "six", "--recipe", place.recipe});
    CHECK(six.exit_code == 1);
    CHECK(six.err.find("6 classes (a, b, c, d, e, f), but the model has 5") != std::string::npos);
    CHECK(json::parse(output_of({"data", "--data", photos, "--json"})).at("classes").size() == 6);
}
