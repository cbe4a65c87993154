// Training: epochs of steps, after each an evaluation, a line of metrics and a checkpoint. It can be stopped after any step, and goes on
// from there to the same bits.
#pragma once

#include "runtime/data/dataset.h"
#include "runtime/engine/network.h"
#include "runtime/engine/random.h"
#include "runtime/training/progress.h"
#include "runtime/training/run_folder.h"
#include "runtime/weights/checkpoint.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace halcyon {

/// Asked between steps; true: stop here.
using StopRequested = std::function<bool()>;

/// Means over a data set.
struct Evaluation {
    double loss = 0;
    double accuracy = 0;  // in 0..1
    int images = 0;
};

/// A data set where the kernels of `network` read it; on the host `data` must outlive its use.
PlacedData place(Network &network, const Dataset &data);

/// The network's loss and accuracy on `data`, in batches of its max_batch(); nothing where it was stopped.
std::optional<Evaluation> evaluate(
    Network &network, const PlacedData &data, const StopRequested &stop_requested = [] { return false; });

/// The optimizer that a recipe names.
Optimizer optimizer_of(const Recipe &recipe);

class Trainer {
public:
    /// The network holds the weights and the optimizer's state to begin with, and `state` says where they stand: at the beginning, or where
    /// a checkpoint was saved. `test` is null where the run does not evaluate. Everything but `state` is to outlive the trainer. Throws
    /// std::runtime_error where the recipe does not fit the model.
    Trainer(Network &network, const RunConfig &config, const Dataset &train, const Dataset *test, const RunFolder &folder,
            const TrainingState &state = {});

    /// Trains to the end of the recipe's epochs: true. Or until `stop_requested`: it finishes the step, saves, and returns false. Throws
    /// std::runtime_error where a loss, a weight or another value of the checkpoint is no longer finite: the epoch then does not count, and
    /// the last checkpoint is left as it was.
    bool run(Progress &progress, const StopRequested &stop_requested);

    const TrainingState &state() const { return state_; }

private:
    bool train_epoch(Progress &progress, const StopRequested &stop_requested);
    void train_steps();
    void choose_records(TrainingStep &step, int position) const;
    void set_values(TrainingStep &step, int index, int position) const;
    void add(const BatchResult &result, const TrainingStep &step);
    void finish_epoch(const EpochMetrics &metrics, Progress &progress);
    EpochMetrics metrics(const std::optional<Evaluation> &evaluation) const;
    void require_finite() const;
    [[noreturn]] void fail_diverged(const std::string &what) const;
    void save() const;

    Network &network_;
    const RunConfig &config_;
    const Dataset &train_;
    const RunFolder &folder_;

    const Optimizer optimizer_;
    const int images_;  // of an epoch
    TrainingState state_;
    std::vector<TrainingStep> steps_;  // that are computed at once
    PlacedData train_data_;
    std::optional<PlacedData> test_data_;
};

}  // namespace halcyon
