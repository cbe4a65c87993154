// One file with everything that a run needs to go on: weights, the optimizer's state, and where the run stands. A file that holds
// only weights, from whomever, serves to start from or to evaluate.
#pragma once

#include "runtime/network.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace halcyon {

/// Where a run stands.
struct TrainingState {
    std::int64_t step = 0;    // updates done
    std::uint32_t epoch = 0;  // epochs done
    int position = 0;         // images trained of the epoch in progress

    // Sums over those images.
    double loss = 0;
    std::int64_t correct = 0;
    double seconds = 0;  // of training alone

    // The best epoch so far, higher is better: its accuracy on the test images or, without evaluation, minus its training loss.
    std::optional<double> best_score;

    bool operator==(const TrainingState &) const = default;
};

/// Where a run stands and what it is.
struct Checkpoint {
    TrainingState state;
    std::vector<std::string> class_names;  // in the labels' order; empty where they are not known
    std::string config;                    // the run's settings as JSON (runtime/run_config.h)
};

/// Writes the weights under Keras's names, the state of `optimizer` ("optimizer/conv2d/kernel/m" and ".../v" for Adam, ".../velocity" for
/// SGD) and, as metadata, `checkpoint`. The file is replaced atomically; throws std::runtime_error, one line that names it.
void save_checkpoint(const std::filesystem::path &path, Network &network, Optimizer optimizer, const Checkpoint &checkpoint);

/// The settings of the run alone, for which no network is needed. Throws std::runtime_error, one line that names the file, where it is no
/// checkpoint.
std::string read_config(const std::filesystem::path &path);

/// Which value of a checkpoint is NaN or infinite: "conv2d/kernel: 3 of 864 values are not finite" for the first tensor that holds such; ""
/// where all are finite.
std::string find_non_finite(Network &network, Optimizer optimizer);

/// Reads what save_checkpoint() wrote. Throws std::runtime_error, one line that names the file, where it is not a checkpoint of this
/// model and optimizer, or its state is that of no run; the network is then as it was.
Checkpoint load_checkpoint(const std::filesystem::path &path, Network &network, Optimizer optimizer);

/// Writes the weights and the names of the classes only.
void save_weights(const std::filesystem::path &path, Network &network, const std::vector<std::string> &class_names);

/// Reads the weights of a file by anyone who names them as Keras does; an optimizer's state is passed over. Returns the names of the
/// classes where the file knows them. Throws std::runtime_error, one line that names the file, the tensor and both shapes, where a weight
/// is missing, unknown or of another shape; the network is then as it was.
std::vector<std::string> load_weights(const std::filesystem::path &path, Network &network);

}  // namespace halcyon
