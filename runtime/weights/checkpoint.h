// One file with everything that a run needs to go on: weights, the optimizer's state, and where the run stands. A file that holds
// only weights, from whomever, serves to start from or to evaluate.
#pragma once

#include "runtime/data/picture_options.h"
#include "runtime/engine/network.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace halcyon {

/// The best epoch so far, by the run's monitor (runtime/training/monitor.h).
struct BestEpoch {
    std::optional<double> score;  // higher is better: an accuracy, or minus a loss or an error
    std::uint32_t epoch = 0;      // from 1

    bool operator==(const BestEpoch &) const = default;
};

/// Where reduce_on_plateau stands.
struct Plateau {
    std::optional<double> best_score;  // higher is better
    int wait = 0;                      // epochs since then, or since the last reduction and its cooldown
    int cooldown = 0;                  // epochs that do not count yet
    int reductions = 0;                // of the learning rate so far

    bool operator==(const Plateau &) const = default;
};

/// Where a run stands.
struct TrainingState {
    std::int64_t step = 0;    // updates done
    std::uint32_t epoch = 0;  // epochs done
    int position = 0;         // images trained of the epoch in progress

    // Sums over those images.
    double loss = 0;
    double metric = 0;   // the plan's
    double seconds = 0;  // of training alone

    BestEpoch best;
    Plateau plateau;

    bool operator==(const TrainingState &) const = default;
};

/// What is known of the images that weights were trained on, for those who evaluate and predict.
struct TrainingImages {
    std::vector<std::string> class_names = {};    // in the labels' or the units' order; empty where they are not known
    std::optional<PictureOptions> pictures = {};  // how pictures became records; nothing where it is not known
    std::optional<bool> floats = {};              // whether the records were of floats, not of bytes; nothing where it is not known

    bool operator==(const TrainingImages &) const = default;
};

/// Where a run stands and what it is.
struct Checkpoint {
    TrainingState state;
    TrainingImages images;
    std::string config;  // the run's settings as JSON (runtime/training/run_config.h)
};

/// Writes the weights under Keras's names, the state of `optimizer` by its slots ("optimizer/conv2d/kernel/m" and ".../v" for Adam) and, as
/// metadata, `checkpoint`. The file is replaced atomically; throws std::runtime_error, one line that names it.
void save_checkpoint(const std::filesystem::path &path, Network &network, const Optimizer &optimizer, const Checkpoint &checkpoint);

/// The settings of the run alone, for which no network is needed. Throws std::runtime_error, one line that names the file, where it is no
/// checkpoint.
std::string read_config(const std::filesystem::path &path);

/// Which value of a checkpoint is NaN or infinite: "conv2d/kernel: 3 of 864 values are not finite" for the first tensor that holds such; ""
/// where all are finite.
std::string find_non_finite(Network &network, const Optimizer &optimizer);

/// Reads what save_checkpoint() wrote. Throws std::runtime_error, one line that names the file, where it is not a checkpoint of this
/// model and optimizer, its state is that of no run, or it holds a value that load_weights() would refuse; the network is then as it was.
Checkpoint load_checkpoint(const std::filesystem::path &path, Network &network, const Optimizer &optimizer);

/// Writes the weights only, and what is known of the images.
void save_weights(const std::filesystem::path &path, Network &network, const TrainingImages &images);

/// Weights that are NaN or infinite, or give such results, are refused by every reader, unless somebody wants to see what comes of them.
enum class NonfiniteWeights { refused, allowed };

/// What load_weights() tells of a file.
struct LoadedWeights {
    TrainingImages images;
    std::set<std::string> converted_types;  // those that were rounded to float32: "F16"
    std::vector<std::string> missing = {};  // the weights that load_first_weights() left as they were
};

/// Reads the weights of a file by anyone who names them as Keras does; an optimizer's state is passed over. F16, BF16 and F64 become
/// float32, rounded once. The images are known from files of ours alone. Throws
/// std::runtime_error, one line that names the file and the tensor, where a weight is missing, unknown, of another shape (it then names
/// both) or of another type, or holds values that are not finite or too large for a float32; the network is then as it was.
LoadedWeights load_weights(const std::filesystem::path &path, Network &network, NonfiniteWeights nonfinite = NonfiniteWeights::refused);

/// Reads weights to begin a training with. The file may lack some, as one of a pretrained backbone does: those stay as they are. Throws for
/// anything else that load_weights() refuses, and where the file has none of the weights.
LoadedWeights load_first_weights(const std::filesystem::path &path, Network &network);

/// What load_weights() would tell of the images. Throws std::runtime_error, one line that names the file.
TrainingImages read_training_images(const std::filesystem::path &path, const Plan &plan);

}  // namespace halcyon
