// Data, pictures and weights for the program cifar10, and what it says.
#pragma once

#include "runtime/weights/checkpoint.h"
#include "tests/catch.h"
#include "tests/training/process.h"
#include "tests/training/tiny_run.h"

#include <nlohmann/json.hpp>
#include <png.h>
#include <sstream>

namespace halcyon::tests {

using Arguments = std::vector<std::string>;

inline Arguments operator+(Arguments a, const Arguments &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

inline std::string records(const Dataset &data, int first, int last) {
    const std::size_t pixels = std::size_t(data.h) * data.w;
    std::string text;
    for (int i = first; i < last; ++i) {
        text += char(data.labels[std::size_t(i)]);
        const std::span<const std::uint8_t> image = data.pixels.bytes().subspan(std::size_t(i) * pixels * data.c, pixels * data.c);
        for (std::size_t value = 0; value < image.size(); ++value) text += char(image[value % pixels * data.c + value / pixels]);
    }
    return text;
}

/// CIFAR-10's files with the first synthetic images: 40 to train on, 24 to test on.
inline void write_cifar10(const std::filesystem::path &folder) {
    const Dataset train = make_synthetic(Split::train, tiny_images), test = make_synthetic(Split::test, 24);
    std::filesystem::create_directories(folder);
    for (int i = 0; i < 5; ++i) write_bytes(folder / ("data_batch_" + std::to_string(i + 1) + ".bin"), records(train, 8 * i, 8 * (i + 1)));
    write_bytes(folder / "test_batch.bin", records(test, 0, 24));
}

inline void write_png(const std::filesystem::path &path, unsigned side) {
    const std::vector<std::uint8_t> pixels(3 * side * side, 100);
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = image.height = side;
    image.format = PNG_FORMAT_RGB;
    REQUIRE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr));
}

inline void write_weights(const std::filesystem::path &path) {
    const auto network = make_network();
    network->initialize(1);
    save_weights(path, *network, {});
}

/// "" where a result is a refusal as it should be: this exit code, one line on stderr with these texts, nothing on stdout, no file written.
/// Else all there was.
inline std::string not_refused(const Result &result, int exit_code, const std::vector<std::string> &texts = {}) {
    const bool one_line = result.err.starts_with("cifar10: ") && result.err.ends_with('\n') &&
                          one_line_with(result.err.substr(0, result.err.size() - 1), texts);
    if (result.exit_code == exit_code && one_line && result.out.empty() && !result.wrote_files) return "";
    return "exit code " + std::to_string(result.exit_code) + (result.wrote_files ? ", files written" : "") + "\n" + result.err + result.out;
}

/// A folder with data, weights and the arguments to train on it.
struct Workplace {
    TemporaryFolder folder;
    std::string data = folder / "data", run = folder / "run", weights = folder / "weights.safetensors";
    Arguments train = {"train", "--data", data, "--epochs", "2", "--batch", "16", "--threads", "2"};

    Workplace() { write_cifar10(data); }
};

inline std::vector<nlohmann::json> lines_of(const std::string &text) {
    std::vector<nlohmann::json> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
}

}  // namespace halcyon::tests
