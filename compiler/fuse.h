// Fusion: rules that merge neighbouring calls of a graph into one, each taken only where the set has a tuned entry for the merged kernel.
#pragma once

#include "compiler/graph.h"
#include "plan/menu.h"

#include <string>
#include <vector>

namespace halcyon {

/// What serves the entries of a kernel: halcyon::menu, or a test's own.
using Menu = const std::vector<Entry> &(*)(std::string_view kernel);

/// A place where a rule applies.
struct Fusion {
    bool taken = false;
    std::string line;  // what was fused where, and by whose leave; or why not
};

struct PlanOptions;

/// Applies every rule wherever it fits, and says where, in the order of the rules and then of the calls.
std::vector<Fusion> fuse(Graph &graph, const Set &set, const PlanOptions &options);

}  // namespace halcyon
