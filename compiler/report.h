// Plans as text for people: what `halcyonc plan` prints.
#pragma once

#include "compiler/model.h"
#include "compiler/planner.h"

#include <string>

namespace halcyon {

/// The table of layers, and for each set the fusions taken, every program's calls with entry, reason, FLOPs and bytes, and the map of its
/// arena.
std::string describe(const Plan &plan);

/// For each set every place where a fusion fits, taken or not, and for each kernel every entry of its menu, taken or refused, with the
/// reason.
std::string explain(const Model &model, const Plan &plan, const PlanOptions &options);

}  // namespace halcyon
