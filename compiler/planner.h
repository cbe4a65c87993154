// The planner: a model becomes a plan. Once per set: lower, fuse, choose an entry for every call, place the buffers.
#pragma once

#include "compiler/fuse.h"
#include "compiler/model.h"
#include "plan/menu.h"
#include "plan/plan.h"

#include <map>
#include <string>
#include <vector>

namespace halcyon {

/// Entries to take instead of the first that accepts, by kernel_name(): "conv2d_fwd__h13w13c64_k64r3s3" -> "register_tile".
using Pins = std::map<std::string, std::string>;

struct PlanOptions {
    std::vector<Set> sets;

    /// Compiles, beside what the programs call, every entry that accepts a kernel of any of the sets, in every set; the host's reference
    /// entry in the set `reference` alone. For tests and benchmarks.
    bool all_entries = false;

    std::map<std::string, Pins> pins = {};  // by the set's name
    Menu menu = halcyon::menu;

    /// Entries to do without, pinned or not, by name or by what the name begins with before a "_": "winograd".
    std::vector<std::string> without = {};
};

/// "" where the entry can be taken, else the reason why not.
std::string refusal(const Entry &entry, const Kernel &kernel, const Set &set, const PlanOptions &options);

/// Throws std::runtime_error where a pinned entry does not exist or refuses, and for an entry to do without that is on no menu.
Plan make_plan(const Model &model, const PlanOptions &options);

/// The graphs of all programs, before fusion: gradients, the optimizers', augment, augment_float, infer, infer_one.
std::vector<Graph> lower_programs(const Model &model, const Slabs &slabs);

/// Reads `folder`/<set>.json for every set that has one. Throws std::runtime_error naming the file where it is not an object of strings.
std::map<std::string, Pins> read_pins(const std::string &folder, const std::vector<Set> &sets);

}  // namespace halcyon
