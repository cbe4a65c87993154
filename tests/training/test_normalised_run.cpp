// Runs of tests/kernels/normalised.json, a model whose normalization is adapted to the images that are trained on.
#include "runtime/data/npy.h"
#include "runtime/weights/safetensors.h"
#include "tests/catch.h"
#include "tests/data/picture_files.h"
#include "tests/tensors.h"
#include "tests/training/process.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace halcyon;
using namespace halcyon::tests;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Arguments = std::vector<std::string>;
using Doubles = std::vector<double>;

constexpr int images = 24, h = 5, w = 7, channels = 3;  // that the model takes

Arguments operator+(Arguments a, const Arguments &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

/// A value of an image, a byte: its class tells in one channel, and the channels differ.
int value_of(int image, int pixel, int channel) { return 30 + 40 * channel + (image % 4 == channel ? 60 : 0) + (7 * pixel + image) % 16; }

template<typename Value>
void write_arrays(const fs::path &folder, const std::string &type) {
    std::string values, labels;
    for (int image = 0; image < images; ++image) {
        labels += static_cast<char>(image % 4);
        for (int pixel = 0; pixel < h * w; ++pixel)
            for (int channel = 0; channel < channels; ++channel) {
                const auto value = static_cast<Value>(value_of(image, pixel, channel));
                values.append(reinterpret_cast<const char *>(&value), sizeof value);
            }
    }
    fs::create_directories(folder);
    write_bytes(folder / "images.npy", npy_header(type, std::vector<std::size_t>{images, h, w, channels}) + values);
    write_bytes(folder / "labels.npy", npy_header("|u1", std::vector<std::size_t>{images}) + labels);
}

/// The mean of each channel, or its variance, after the rescaling by 1 / 255 that comes before.
Doubles statistic(bool variance) {
    Doubles all;
    for (int channel = 0; channel < channels; ++channel) {
        double sum = 0, squares = 0;
        for (int image = 0; image < images; ++image)
            for (int pixel = 0; pixel < h * w; ++pixel) {
                const double value = value_of(image, pixel, channel) / 255.0;
                sum += value, squares += value * value;
            }
        const double count = images * h * w, mean = sum / count;
        all.push_back(variance ? squares / count - mean * mean : mean);
    }
    return all;
}

Doubles weight(const fs::path &file, const std::string &name) {
    const std::vector<float> values = tensor_values<float>(read_safetensors(file), name);
    return {values.begin(), values.end()};
}

void check_close(const Doubles &ours, const Doubles &expected) {
    REQUIRE(ours.size() == expected.size());
    for (std::size_t i = 0; i < ours.size(); ++i) CHECK(ours[i] == Approx(expected[i]).epsilon(1e-5));
}

std::vector<json> lines_of(const std::string &text) {
    std::vector<json> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
    return lines;
}

}  // namespace

TEST_CASE("a run adapts the model's normalization to its images, and keeps it; floats train as the bytes of the same values") {
    const TemporaryFolder folder;
    const std::string recipe = folder / "recipe.json";
    write_bytes(recipe,
                R"({"name": "mine", "epochs": 30, "batch": 8, "learning_rate": {"schedule": "constant", "peak": 1e-3}, "flip": 0.5)");
    write_bytes(recipe, read_bytes(recipe) + GENERATE("}", R"(, "augment": {"crop": {"pad": 1}}})"));
    std::vector<std::vector<json>> metrics;
    for (const bool floats : {false, true}) {
        const std::string data = folder / (floats ? "floats" : "bytes"), run = data + "/run", last = run + "/last.safetensors";
        for (const char *split : {"train", "test"})
            floats ? write_arrays<float>(fs::path(data) / split, "<f4") : write_arrays<std::uint8_t>(fs::path(data) / split, "|u1");
        output_of({"train", "--data", data, "--out", run, "--threads", "2", "--recipe", recipe});
        for (const char *file : {"last.safetensors", "best.safetensors"}) {
            check_close(weight(fs::path(run) / file, "normalization/mean"), statistic(false));
            check_close(weight(fs::path(run) / file, "normalization/variance"), statistic(true));
        }
        metrics.push_back(lines_of(read_bytes(run + "/metrics.jsonl")));
        const json &first = metrics.back().front(), &end = metrics.back().back();
        CHECK(end.at("loss") < 0.5 * first.at("loss").get<double>());

        const json evaluated = json::parse(output_of({"evaluate", "--weights", last, "--data", data, "--json"}));
        CHECK(evaluated.at("loss").get<double>() == Approx(end.at("val_loss").get<double>()).epsilon(1e-5));
        const Doubles adapted = weight(last, "normalization/mean");
        output_of({"train", "--resume", run, "--epochs", "31"});
        CHECK(weight(last, "normalization/mean") == adapted);
    }
    for (std::size_t epoch = 0; epoch < 30; ++epoch)
        for (const char *key : {"loss", "val_loss"})
            CHECK(metrics[0][epoch].at(key).get<double>() == Approx(metrics[1][epoch].at(key).get<double>()).epsilon(1e-4));
}

TEST_CASE("a run that begins with weights keeps their normalization, and pictures are predicted as records") {
    const TemporaryFolder folder;
    const std::string data = folder / "photos", first = folder / "first", second = folder / "second";
    const auto write = [&](std::uint8_t brighter) {
        for (const char *split : {"train", "test"})
            for (std::uint8_t label = 0; label < 4; ++label)
                write_picture(fs::path(data) / split / std::to_string(label) / "1.png", std::uint8_t(40 * label + brighter), h, w);
    };
    write(0);
    const Arguments options = {"--epochs", "2", "--batch", "4", "--threads", "2", "--recipe", "keras", "--data", data};
    output_of(Arguments{"train", "--out", first} + options);
    const std::string weights = first + "/best.safetensors";
    CHECK(weight(weights, "normalization/mean")[0] == Approx(60 / 255.0));
    const auto probabilities = [&](const Arguments &what) {
        return lines_of(output_of(Arguments{"predict", "--weights", weights, "--json"} + what)).at(0).at("probabilities");
    };
    CHECK(probabilities({data + "/test/2/1.png"}) == probabilities({"--data", data, "--records", "2:3"}));

    write(100);
    output_of(Arguments{"train", "--out", second, "--init", weights} + options);
    CHECK(weight(second + "/best.safetensors", "normalization/mean")[0] == Approx(60 / 255.0));

    // A file without them, as one of a pretrained backbone is: they are the images'.
    TensorFile file = read_safetensors(weights);
    std::erase_if(file.tensors, [](const auto &tensor) { return tensor.first.starts_with("normalization/"); });
    const std::string some = folder / "some.safetensors", third = folder / "third";
    write_safetensors(some, file.tensors, {});
    output_of(Arguments{"train", "--out", third, "--init", some} + options);
    CHECK(weight(third + "/best.safetensors", "normalization/mean")[0] == Approx(160 / 255.0));
}
