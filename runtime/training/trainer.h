// Training: epochs of steps, after each a validation, a line of metrics and a checkpoint; at the end, a test, a picture of mistakes and a
// report. It can be stopped after any step, and goes on from there to the same bits.
#pragma once

#include "runtime/data/dataset.h"
#include "runtime/data/source.h"
#include "runtime/data/split.h"
#include "runtime/engine/network.h"
#include "runtime/engine/random.h"
#include "runtime/training/augment.h"
#include "runtime/training/evaluation.h"
#include "runtime/training/features.h"
#include "runtime/training/picture_report.h"
#include "runtime/training/progress.h"
#include "runtime/training/run_folder.h"
#include "runtime/weights/checkpoint.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace halcyon {

/// The images of a run.
struct RunData {
    Dataset train;
    Partition records;                        // of `train`: those to train on, and those that are held out
    std::optional<Dataset> validation, test;  // the data's own

    /// What is validated on after every epoch: the data's own images for it, else those that are held out, else the test images.
    const Dataset *validated() const;

    /// Whether there are test images beside those: they are evaluated once, at the end.
    bool tests() const { return test && validated() != &*test; }

    /// Which these are.
    Split validated_split() const;

    /// Whether mistakes among those are drawn at the end, where there are some: images that are taken for another class.
    bool draws_mistakes() const { return validated() && train.has_classes() && can_be_drawn(train.c); }

    /// The records of an epoch.
    std::span<const std::int32_t> records_to_train(const RunConfig &config) const;
};

/// The recipe's weights for these classes (class_weights()). Throws std::runtime_error where the recipe does not fit the run's images, or
/// what the model reports.
std::vector<double> require_fits(const RunConfig &config, const RunData &data, Metric metric = Metric::accuracy);

/// Whether a run is at its end: its epochs are trained, or it stopped early.
bool is_finished(const Recipe &recipe, const TrainingState &state);

/// The optimizer that a recipe names.
const Optimizer &optimizer_of(const Recipe &recipe);

class Trainer {
public:
    /// The network holds the weights and the optimizer's state to begin with, and `state` says where they stand: at the beginning, or where
    /// a checkpoint was saved. `after_gradients`, where it is given, is called in every step. Everything but these two is to outlive the
    /// trainer. Throws std::runtime_error where the recipe does not fit the model or the data.
    Trainer(Network &network, const RunConfig &config, const RunData &data, const RunFolder &folder, const TrainingState &state = {},
            AfterGradients after_gradients = {});

    /// Draws the first images as the network gets them, trains to the end of the run, evaluates the best epoch's weights on the test images
    /// where others were validated on, and once more on those, draws their mistakes, writes the report, and returns true. Or until
    /// `stop_requested`: it finishes the step, saves, and returns false. Throws std::runtime_error where a loss, a weight or another value
    /// of the checkpoint is no longer finite, and what `after_gradients` throws: the epoch then does not count, and the last checkpoint is
    /// left as it was.
    bool run(Progress &progress, const StopRequested &stop_requested);

    const TrainingState &state() const { return state_; }

private:
    bool keep_features(Progress &progress, const StopRequested &stop_requested);
    bool train_epoch(Progress &progress, const StopRequested &stop_requested);
    void train_steps();
    double rate_of(std::int64_t step) const;
    void choose_records(std::span<const std::int32_t> from, std::vector<std::int32_t> &records, int position, int most) const;
    std::vector<std::int32_t> validated_records() const;
    void set_values(TrainingStep &step, int index, int position) const;
    void add(const BatchResult &result, const TrainingStep &step);
    std::optional<Evaluation> validate(const StopRequested &stop_requested);
    void finish_epoch(const EpochMetrics &metrics, Progress &progress);
    void save_best();
    bool test(Progress &progress, const StopRequested &stop_requested);
    Picture draw(const TrainingStep &step) const;
    Dataset augmented(const TrainingStep &step) const;
    void draw_first_images(Progress &progress) const;
    bool judge(Progress &progress, const StopRequested &stop_requested);
    void draw_mistakes(Progress &progress, const std::vector<Mistake> &mistakes) const;
    EpochMetrics metrics(const std::optional<Evaluation> &evaluation) const;
    TrainingImages images_trained_on() const;
    void require_finite() const;
    [[noreturn]] void fail_diverged(const std::string &what) const;
    void save() const;

    Network &network_;
    const RunConfig &config_;
    const RunData &data_;
    const RunFolder &folder_;

    const AfterGradients after_gradients_;
    const Optimizer &optimizer_;
    const std::span<const std::int32_t> images_;  // the records of an epoch
    TrainingState state_;
    std::vector<TrainingStep> steps_;  // that are computed at once
    std::optional<Augmenter> augmenter_;
    PlacedData train_data_;
    std::optional<PlacedData> validation_data_;  // where it is not among those

    // Where features are kept, an epoch and a validation are of these instead, and their records are numbered anew.
    std::optional<KeptFeatures> kept_train_, kept_validation_;
    std::vector<std::int32_t> kept_records_;
};

}  // namespace halcyon
