// A run's folder: config.json says how to repeat the run, metrics.jsonl how it went, last.safetensors where it stands, best.safetensors
// holds the weights of its best epoch.
#pragma once

#include "runtime/recipe.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace halcyon {

/// Everything needed to repeat a run: config.json.
struct RunConfig {
    std::string model;
    std::string data;      // the folder of CIFAR-10's files; empty: the embedded synthetic set
    int train_images = 0;  // in the data, before the limit
    int limit = 0;         // train on the first so many; 0: on all
    Recipe recipe;         // resolved: with what the command line changed
    std::uint32_t seed = 1;
    bool shuffle = true;
    bool evaluate = true;  // on the test images, after every epoch
    std::string init;      // the file of the first weights; empty: from the seed
    std::string schedule;  // the set, as auto resolved it
    int threads = 1;

    /// Training images of an epoch.
    int images() const { return limit > 0 && limit < train_images ? limit : train_images; }
};

/// What an epoch came to: a line of metrics.jsonl.
struct EpochMetrics {
    std::uint32_t epoch = 0;                                 // from 1
    double loss = 0, accuracy = 0;                           // means over its images, as they were trained
    std::optional<double> val_loss = {}, val_accuracy = {};  // on the test images; null in the file without evaluation
    double seconds = 0, images_per_second = 0;               // of training alone
};

std::string to_json(const RunConfig &config);
std::string to_json(const EpochMetrics &metrics);

class RunFolder {
public:
    /// A new run's folder, made where it does not exist, with its config.json. Throws std::runtime_error, one line that names the folder,
    /// where it cannot be written or holds anything already.
    static RunFolder create(const std::filesystem::path &path, const RunConfig &config);

    /// Like create(), as the lowest free number of `root`: runs/cifar10/1, runs/cifar10/2 and so on.
    static RunFolder create_numbered(const std::filesystem::path &root, const RunConfig &config);

    /// The folder of a run that is to go on. Throws std::runtime_error, one line that names the folder, where it is none.
    static RunFolder open(const std::filesystem::path &path);

    const std::filesystem::path &path() const { return path_; }
    std::filesystem::path config_file() const { return path_ / "config.json"; }
    std::filesystem::path metrics_file() const { return path_ / "metrics.jsonl"; }
    std::filesystem::path last() const { return path_ / "last.safetensors"; }
    std::filesystem::path best() const { return path_ / "best.safetensors"; }

    /// Throws std::runtime_error, one line that names the file and the key.
    RunConfig read_config() const;
    void write_config(const RunConfig &config) const;

    /// Adds a line to metrics.jsonl, which is then on its way to the disk.
    void append(const EpochMetrics &metrics) const;

    /// Drops the lines after the first `epochs`: those of epochs that will be trained again.
    void keep_metrics(std::uint32_t epochs) const;

    /// Copies the metrics and the best weights of another run, where it has them yet.
    void copy_from(const RunFolder &other) const;

private:
    explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

    std::filesystem::path path_;
};

}  // namespace halcyon
