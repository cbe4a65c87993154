// The commands of a compiled model, one file each, and what they share.
#pragma once

#include "plan/plan.h"
#include "runtime/commands/command_line.h"
#include "runtime/commands/predictions.h"
#include "runtime/data/source.h"
#include "runtime/model.h"
#include "runtime/weights/checkpoint.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace halcyon {

/// Which images a command takes, and how they become records.
struct DataOptions {
    std::string path;   // --data; empty: not given
    std::string cache;  // --cache; empty: not given
    DataSettings settings;
    std::vector<std::string> given;  // the options on the command line, the command's other ones too: "--resize"
    bool any_classes = false;        // however many classes there are, they are read
};

/// `train`. What is absent comes from the recipe, the machine or, with `resume`, from the run.
struct TrainOptions {
    DataOptions data;
    std::string recipe = "onecycle", init, out, resume;  // empty: not given
    std::string program;                                 // that the user called; empty: the model's own
    std::optional<std::string> schedule;
    std::optional<int> epochs, batch, threads;
    std::uint32_t seed = 1;
    int limit = 0;                // 0: all images
    double validation_split = 0;  // 0: none
    bool no_shuffle = false, no_dropout = false, no_evaluate = false, tensorboard = false;
    AfterGradients after_gradients = {};  // no option of the command line: for programs that call run_train()
};

struct EvaluateOptions {
    DataOptions data;
    std::string weights, schedule = "auto";
    int batch = 64;
    std::optional<int> top;  // whether the class is among so many likeliest ones; default: 5 where there are more classes
    bool json = false, allow_nonfinite = false;
};

/// The images first .. last - 1 of those to evaluate on.
struct RecordRange {
    int first = 0, last = 0;
};

/// `predict`: either images or records are given.
struct PredictOptions {
    DataOptions data;
    std::string weights;
    std::vector<std::string> images;
    std::optional<RecordRange> records;
    PredictionFormat format = PredictionFormat::text;
    int top = 1;  // likeliest classes of an image
    bool allow_nonfinite = false;
};

/// `data`.
struct DataCommandOptions {
    DataOptions data;
    std::string out;  // empty: not given
    bool json = false;
};

/// `report`.
struct ReportOptions {
    std::vector<std::string> runs;
    std::string out;  // empty: report.html, in the run's folder where there is one run
};

/// Each does what it is called and returns the program's exit code. They throw std::exception with one line for the user.
int run_train(const halcyon_model &model, const TrainOptions &options);
int run_evaluate(const halcyon_model &model, const EvaluateOptions &options);
int run_predict(const halcyon_model &model, const PredictOptions &options);
int run_data(const halcyon_model &model, const DataCommandOptions &options);
int run_report(const ReportOptions &options);
int run_summary(const halcyon_model &model, bool json);
int run_schedules(const halcyon_model &model, bool json);

/// Becomes the benchmarks, a program of its own beside this one, so that the trainer does not carry them.
int run_bench(const halcyon_model &model, std::vector<std::string> arguments);

/// The images that a command takes, and why these.
class ChosenData {
public:
    /// `chosen` says who named the path: "--data", "CIFAR10_DIR", "no --data and no CIFAR10_DIR"; `program` speaks to the user. Throws like
    /// open_source(), and where the images are known to be of pictures that were treated otherwise than the request says.
    ChosenData(DataRequest request, std::string chosen, std::string program);

    /// Whether there are images of this split.
    bool has(Split split) const { return source_->has(split); }

    /// The test images, or those to validate on where there are no others. Throws std::runtime_error where there are neither.
    Split split_to_evaluate() const;

    /// The images of a split that there are, which fit the model. Throws std::runtime_error, one line that names the file or the sizes.
    /// While pictures are decoded a bar shows how far they are. A line to standard error names each that cannot be read, and each thing
    /// that the source notes.
    Dataset load(Split split) const;

    /// The files that were left out so far.
    std::vector<BadFile> bad_files() const { return source_->bad_files(); }

    /// The sizes of a split's pictures in their files, where that has such and is loaded.
    std::optional<PictureSizes> sizes(Split split) const { return source_->sizes(split); }

    /// Where they lie, as an absolute path; empty for the synthetic set.
    std::string path() const;

    /// How they are read; of images that were pictures before, how they were treated.
    const DataSettings &settings() const { return request_; }

    /// The same, where they are known to be of pictures.
    std::optional<PictureOptions> pictures() const { return source_->pictures(); }

    /// For a person: "photos: class folders, 5 classes (--data)".
    std::string description() const;

private:
    void say(const std::string &line) const;

    DataRequest request_;
    std::string chosen_, program_;
    std::unique_ptr<Source> source_;
};

/// A line to standard error that says what was converted, if anything was.
void note_converted(const std::string &path, const LoadedWeights &loaded, const Plan &plan);

/// load_weights() with that line.
LoadedWeights load_named_weights(const std::string &path, Network &network, NonfiniteWeights nonfinite);

/// Throws std::runtime_error where these images are bytes and the weights of this file were trained on floats, or the reverse.
void require_same_type(const TrainingImages &trained_on, bool floats, const std::string &images, const std::string &weights);

/// Throws std::runtime_error where the model has fewer than `top` classes, or none and `top` is more than 1.
void require_top(int top, const Plan &plan);

/// Prints a value on one line. JSON is UTF-8: bytes of a name that are not become U+FFFD.
void print_json(const nlohmann::ordered_json &value);

/// The images at options.path, for a model. Pictures are decoded on so many threads.
ChosenData data_at(const DataOptions &options, const std::string &chosen, const Plan &plan, int threads);

/// `--data` where it is given, else CIFAR10_DIR where it is set, else the synthetic set.
ChosenData choose_data(DataOptions options, const Plan &plan, int threads);

/// The same for images that such weights are to see: where the options say nothing of pictures, they are treated as in training.
ChosenData choose_data(DataOptions options, const Plan &plan, int threads, const TrainingImages &trained_on);

/// The path as it is from everywhere; "" for "".
std::string absolute_or_empty(const std::string &path);

}  // namespace halcyon
