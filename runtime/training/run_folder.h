// A run's folder: last.safetensors is where it stands, with its settings; config.json shows these to people, metrics.jsonl how it went, and
// metrics.csv too, for spreadsheets;
// best.safetensors holds the weights of its best epoch, model.json is the model file, skipped.txt the files that could not be read;
// evaluation.json is what its best weights are worth, class by class; batch.png, mistakes.png and report.html are for people to look at;
// tensorboard/ has the metrics once more, where it is asked for. A folder is a run's from its first checkpoint on, which a run writes
// first.
#pragma once

#include "plan/files.h"
#include "plan/metric.h"
#include "runtime/data/source.h"
#include "runtime/training/run_config.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace halcyon {

/// What an epoch came to: a line of metrics.jsonl.
struct EpochMetrics {
    std::uint32_t epoch = 0;                               // from 1
    double loss = 0, metric = 0;                           // means over its images, as they were trained
    std::optional<double> val_loss = {}, val_metric = {};  // on the images to validate on; null in the file without such
    double learning_rate = 0;                              // of its last step
    double seconds = 0, images_per_second = 0;             // of training alone
    Metric reported = Metric::accuracy;                    // the file has its name
};

std::string to_json(const EpochMetrics &metrics);

/// Means over the test images, at the end of a run that validates on others: the last line of metrics.jsonl.
struct TestMetrics {
    double loss = 0, metric = 0;
    Metric reported = Metric::accuracy;
};

std::string to_json(const TestMetrics &metrics);

/// Locked while the object lives, against other processes too: a lock dies with its process. All functions throw std::runtime_error, one
/// line that names the folder or the file.
class RunFolder {
public:
    /// A folder for a new run, made where it does not exist. Fails where it cannot be written, is in use or holds anything already, but for
    /// what killed processes leave: temporary files, and copies of the files of `from`, the run that is to go on here.
    static RunFolder create(const std::filesystem::path &path, const RunFolder *from = nullptr);

    /// Like create(), as the lowest free number of `root`: runs/cifar10/1, runs/cifar10/2 and so on.
    static RunFolder create_numbered(const std::filesystem::path &root);

    /// The folder of a run that is to go on there. Fails where it is none or in use.
    static RunFolder open(const std::filesystem::path &path);

    /// The folder of a run that is to go on elsewhere. Several may read it at once; it need not be writable.
    static RunFolder open_to_read(const std::filesystem::path &path);

    const std::filesystem::path &path() const { return path_; }
    std::filesystem::path config_file() const { return path_ / "config.json"; }
    std::filesystem::path metrics_file() const { return path_ / "metrics.jsonl"; }
    std::filesystem::path table_file() const { return path_ / "metrics.csv"; }
    std::filesystem::path last() const { return path_ / "last.safetensors"; }
    std::filesystem::path best() const { return path_ / "best.safetensors"; }
    std::filesystem::path batch_picture() const { return path_ / "batch.png"; }
    std::filesystem::path mistakes_picture() const { return path_ / "mistakes.png"; }
    std::filesystem::path model_file() const { return path_ / "model.json"; }
    std::filesystem::path evaluation_file() const { return path_ / "evaluation.json"; }
    std::filesystem::path report_file() const { return path_ / "report.html"; }
    std::filesystem::path events_folder() const { return path_ / "tensorboard"; }
    std::filesystem::path skipped() const { return path_ / "skipped.txt"; }

    /// The settings in the last checkpoint. Fails where config.json is there and says anything else.
    RunConfig read_config() const;

    /// config.json agrees with the last checkpoint at any time: it is removed before that takes other settings, and written after.
    void remove_config() const;
    void write_config(const RunConfig &config) const;

    /// From now on the run keeps its metrics for TensorBoard too.
    void keep_events() const;

    /// Adds a line to metrics.jsonl, which is then on the disk. Of an epoch metrics.csv has it too, and TensorBoard's files where they are
    /// kept.
    void append(const EpochMetrics &metrics) const;
    void append(const TestMetrics &metrics) const;

    /// Whether metrics.jsonl ends with the test's line.
    bool has_test() const;

    /// Writes evaluation.json: what the best epoch's weights make of the images that were validated on.
    void write_evaluation(const nlohmann::ordered_json &evaluation) const;

    /// Writes model.json.
    void write_model(std::string_view text) const;

    /// Writes skipped.txt, a line for each file: its path, a tab, the reason; where there are none, there is no such file.
    void write_skipped(const std::vector<BadFile> &files) const;

    /// Drops the lines after those of the first `epochs`: epochs that will be trained again, and the test. Fails where there is anything
    /// but epochs' lines, in order, and the test's, or where the last one of these is missing; without a file there are no lines to keep.
    /// metrics.csv then has the same epochs, and so have TensorBoard's files.
    void keep_metrics(std::uint32_t epochs) const;

    /// Copies the metrics, the best weights and the picture of the first batch of another run, where it has them yet, and keeps
    /// TensorBoard's files where that does.
    void copy_from(const RunFolder &other) const;

    /// Fails where the folder was moved or removed since it was locked. Ask before writing.
    void require_there() const;

private:
    RunFolder(std::filesystem::path path, int lock);

    std::filesystem::path path_;
    Descriptor folder_;  // holds the lock
};

}  // namespace halcyon
