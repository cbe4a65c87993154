#include "runtime/run_folder.h"

#include "plan/files.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <stdexcept>

namespace halcyon {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

// Stands in config.json where other runs have the absolute path of a folder.
const std::string synthetic = "synthetic";

[[noreturn]] void fail(const fs::path &path, const std::string &reason) {
    throw std::runtime_error(fmt::format("{}: {}", path.string(), reason));
}

[[noreturn]] void cannot_create(const fs::path &path, const std::string &reason) {
    fail(path, fmt::format("cannot make this folder: {}; give another --out", reason));
}

bool holds_something(const fs::path &folder) {
    std::error_code error;
    const bool empty = fs::is_empty(folder, error);
    if (error) fail(folder, fmt::format("cannot be read: {}; give another --out", error.message()));
    return !empty;
}

void make_folder(const fs::path &path) {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) cannot_create(path, error.message());
}

template<typename T>
ordered_json value_or_null(const std::optional<T> &value) {
    return value ? ordered_json(*value) : ordered_json(nullptr);
}

}  // namespace

std::string to_json(const RunConfig &config) {
    ordered_json out;
    out["model"] = config.model;
    out["data"] = config.data.empty() ? synthetic : config.data;
    out["train_images"] = config.train_images;
    out["limit"] = config.limit > 0 ? ordered_json(config.limit) : ordered_json(nullptr);
    out["recipe"] = ordered_json::parse(to_json(config.recipe));
    out["seed"] = config.seed;
    out["shuffle"] = config.shuffle;
    out["evaluate"] = config.evaluate;
    out["init"] = config.init.empty() ? ordered_json(nullptr) : ordered_json(config.init);
    out["schedule"] = config.schedule;
    out["threads"] = config.threads;
    return out.dump(4) + "\n";
}

std::string to_json(const EpochMetrics &metrics) {
    ordered_json out;
    out["epoch"] = metrics.epoch;
    out["loss"] = metrics.loss;
    out["accuracy"] = metrics.accuracy;
    out["val_loss"] = value_or_null(metrics.val_loss);
    out["val_accuracy"] = value_or_null(metrics.val_accuracy);
    out["seconds"] = metrics.seconds;
    out["images_per_second"] = metrics.images_per_second;
    return out.dump();
}

RunFolder RunFolder::create(const fs::path &path, const RunConfig &config) {
    make_folder(path);
    if (holds_something(path))
        fail(path, fmt::format("there is something in this folder already; give another --out, or go on with its run by --resume {}",
                               path.string()));
    RunFolder folder(path);
    folder.write_config(config);
    return folder;
}

RunFolder RunFolder::create_numbered(const fs::path &root, const RunConfig &config) {
    make_folder(root);
    for (int number = 1;; ++number) {
        const fs::path path = root / std::to_string(number);
        std::error_code error;
        if (fs::create_directory(path, error)) return create(path, config);
        if (error && !fs::exists(path)) cannot_create(path, error.message());
    }
}

RunFolder RunFolder::open(const fs::path &path) {
    RunFolder folder(path);
    if (!fs::exists(folder.config_file())) fail(path, "there is no run here (no config.json); --resume takes the folder of a run");
    return folder;
}

RunConfig RunFolder::read_config() const {
    try {
        const json in = json::parse(std::ifstream(config_file()));
        RunConfig config;
        config.model = in.at("model");
        config.data = in.at("data") == synthetic ? "" : in.at("data").get<std::string>();
        config.train_images = in.at("train_images");
        config.limit = in.at("limit").is_null() ? 0 : in.at("limit").get<int>();
        config.recipe = parse_recipe(in.at("recipe").dump(), config_file().string() + ": recipe");
        config.seed = in.at("seed");
        config.shuffle = in.at("shuffle");
        config.evaluate = in.at("evaluate");
        config.init = in.at("init").is_null() ? "" : in.at("init").get<std::string>();
        config.schedule = in.at("schedule");
        config.threads = in.at("threads");
        return config;
    } catch (const json::exception &error) {
        fail(config_file(), fmt::format("is no run's config.json: {}", error.what()));
    }
}

void RunFolder::write_config(const RunConfig &config) const { replace_file(config_file(), to_json(config)); }

void RunFolder::append(const EpochMetrics &metrics) const {
    std::ofstream file(metrics_file(), std::ios::app);
    file << to_json(metrics) << '\n' << std::flush;
    if (!file) fail(metrics_file(), "cannot be written");
}

void RunFolder::keep_metrics(std::uint32_t epochs) const {
    std::ifstream file(metrics_file());
    std::string kept, line;
    for (std::uint32_t epoch = 0; epoch < epochs && std::getline(file, line); ++epoch) kept += line + "\n";
    replace_file(metrics_file(), kept);
}

void RunFolder::copy_from(const RunFolder &other) const {
    for (const auto &[from, to] : {std::pair(other.metrics_file(), metrics_file()), std::pair(other.best(), best())}) {
        if (!fs::exists(from)) continue;
        std::error_code error;
        fs::copy_file(from, to, error);
        if (error) fail(to, fmt::format("cannot be copied from {}: {}", from.string(), error.message()));
    }
}

}  // namespace halcyon
