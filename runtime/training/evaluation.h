// What a network makes of images whose classes are known.
#pragma once

#include "runtime/data/dataset.h"
#include "runtime/engine/network.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace halcyon {

/// Asked between steps; true: stop here.
using StopRequested = std::function<bool()>;

/// Means over a data set.
struct Evaluation {
    double loss = 0;
    double metric = 0;  // the plan's: an accuracy in 0..1, or an error
    int images = 0;
};

/// Is given each batch: its records, and the predictions of them, those of an image side by side.
using TakeBatch = std::function<void(std::span<const std::int32_t> records, std::span<const float> predictions)>;

/// A data set where the kernels of `network` read it; on the host `data` must outlive its use.
PlacedData place(Network &network, const Dataset &data);

/// The network's loss and metric on these records of `data`, in batches of its max_batch(); nothing where it was stopped.
std::optional<Evaluation> evaluate(Network &network, const PlacedData &data, std::span<const std::int32_t> records,
                                   const StopRequested &stop_requested, const TakeBatch &take = {});

/// The same on all records.
std::optional<Evaluation> evaluate(
    Network &network, const PlacedData &data, const StopRequested &stop_requested = [] { return false; }, const TakeBatch &take = {});

}  // namespace halcyon
