// Plans as text for people: what `halcyonc plan` prints.
#pragma once

#include "compiler/measurements.h"
#include "compiler/model.h"
#include "compiler/planner.h"

#include <optional>
#include <string>

namespace halcyon {

/// The table of layers, and for each set the fusions taken, every program's calls with entry, reason, FLOPs and bytes, what a call of it
/// moves for `batch` images, and the map of its arena. With measurements also, for every call and in all: the tasks that it splits into,
/// the least milliseconds that the machine allows, and those it took.
std::string describe(const Plan &plan, int batch, const std::optional<Measurements> &measured = {});

/// For each set every place where a fusion fits, taken or not, and for each kernel every entry of its menu, taken or refused, with the
/// reason.
std::string explain(const Model &model, const Plan &plan, const PlanOptions &options);

}  // namespace halcyon
