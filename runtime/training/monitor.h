// What a run does by its metrics at the end of an epoch: it keeps the best one, stops early, lowers the learning rate. Keras's
// EarlyStopping and ReduceLROnPlateau in all but that numbers are compared in double precision, and are the same after a stop and a resume.
#pragma once

#include "runtime/training/recipe.h"
#include "runtime/training/run_folder.h"
#include "runtime/weights/checkpoint.h"

#include <string>

namespace halcyon {

/// Throws std::runtime_error where the recipe watches a validation that the run does not have, or a metric that the model does not report.
void require_monitored(const Recipe &recipe, bool validates, Metric metric = Metric::accuracy);

/// By what the best epoch is chosen: early_stopping's monitor, else val_accuracy or, where the model reports an error, val_loss; without
/// validation, the training loss.
Monitor monitor_of_best(const Recipe &recipe, bool validates, Metric metric = Metric::accuracy);

/// Takes an epoch's metrics into `best`: true where it is the best so far.
bool is_best(const Monitor &monitor, const EpochMetrics &metrics, BestEpoch &best);

/// Whether early_stopping ends the run after `epochs` epochs: the last ones, `patience` of them and at least one, were not the best.
bool stops_early(const Recipe &recipe, const BestEpoch &best, std::uint32_t epochs);

/// Takes an epoch's metrics into `plateau`: true where the learning rate falls from the next epoch on.
bool reduces(const Recipe &recipe, const EpochMetrics &metrics, Plateau &plateau);

/// The constant learning rate after so many reductions: max(peak * factor^reductions, min), or the peak before the first.
double reduced_rate(const Recipe &recipe, int reductions);

}  // namespace halcyon
