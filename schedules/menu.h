// The menus: for every kernel the ways of scheduling it, best first. Plain C++, no Halide, so that the planner can read them;
// the functions that apply an entry live in schedules/<target>/ and are bound to it by kernel and name (schedules/apply.h).
#pragma once

#include "schedules/shape.h"

#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// The order in which a set stores its activations, outermost dimension first. The channel is innermost in both.
enum class StorageOrder { nhwc, hwnc };

/// A target with a complete plan of its own: what `--schedule` names.
struct Set {
    std::string name;           // "x86_avx2"
    std::string family;         // "x86"; a family names several sets
    std::string halide_target;  // explicit, never "host"
    StorageOrder order;
    int vector_floats;            // floats in one vector register
    int vector_registers;         // architectural vector registers
    std::string autoscheduler{};  // "Adams2019", of Halide's: what schedules the kernels instead of our entries; "": nothing
};

/// Every set this build knows, fastest first: `auto` takes the first that the machine can run. Those of autoschedulers, there to be
/// compared, are last.
const std::vector<Set> &all_sets();

/// The sets that `names` selects, in the order of all_sets(); a name is a set or a family.
/// Throws std::invalid_argument naming the first unknown one and what there is.
std::vector<Set> select_sets(const std::vector<std::string> &names);

/// Scratch memory a kernel needs, as one more output that the planner places: no kernel allocates.
struct Workspace {
    std::string name;
    std::vector<int> extents;  // innermost first, float32, independent of the batch
};

/// One way of scheduling a kernel.
struct Entry {
    std::string name;  // "register_tile"; the last entry of every menu is "reference"

    /// "" where the entry can be taken, else the reason why not.
    std::string (*refuses)(const Shape &, const Set &);

    /// What it needs beyond the kernel's own outputs; null: nothing.
    std::vector<Workspace> (*workspaces)(const Shape &, const Set &) = nullptr;
};

/// The entries of `kernel`, best first; the last one accepts every shape. Throws std::invalid_argument for an unknown kernel.
const std::vector<Entry> &menu(std::string_view kernel);

}  // namespace halcyon
