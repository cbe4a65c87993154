// Fusion: pointwise passes become parts of the kernels beside them, and neighbouring calls one, where the set has a tuned entry for it.
#pragma once

#include "compiler/graph.h"
#include "plan/menu.h"

#include <string>
#include <vector>

namespace halcyon {

/// What serves the entries of a core: halcyon::menu, or a test's own.
using Menu = const std::vector<Entry> &(*)(std::string_view core);

/// A place where something could be fused.
struct Fusion {
    bool taken = false;
    std::string line;  // what was fused where, and by whose leave; or why not
};

struct PlanOptions;

/// Fuses what can be, and says where and what was left alone.
std::vector<Fusion> fuse(Graph &graph, const Set &set, const PlanOptions &options);

}  // namespace halcyon
