// A run's curves for TensorBoard, as Keras's callback writes them: the scalars epoch_loss, epoch_accuracy and epoch_learning_rate, at the
// epoch's number from 0, under train/ and validation/.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <span>

namespace halcyon {

/// Adds epochs, lines of metrics.jsonl, to the event files in `folder`, which are made where there are none. Their time is now. Throws
/// std::runtime_error, one line that names the file.
void append_events(const std::filesystem::path &folder, std::span<const nlohmann::ordered_json> epochs);

/// Removes the event files in `folder`.
void remove_events(const std::filesystem::path &folder);

}  // namespace halcyon
