// The menus: for every core the ways of scheduling it, best first. Plain C++, no Halide, so that the planner can read them. A layer's
// menus are in schedules/<layer>/entries.cpp, and beside it the functions that its entries name (schedules/schedules.h).
#pragma once

#include "plan/kernel.h"

#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// The order in which a set stores its activations, outermost dimension first. The channel is innermost in both.
enum class StorageOrder { nhwc, hwnc };

/// A target with a complete plan of its own: what `--schedule` names.
struct Set {
    std::string name;           // "x86_avx2"
    std::string family;         // "x86", "gpu"; a family names several sets
    std::string halide_target;  // explicit, never "host"
    StorageOrder order;
    int vector_floats;            // floats in one vector register
    int vector_registers;         // architectural vector registers
    std::string autoscheduler{};  // "Adams2019", of Halide's: what schedules the kernels instead of our entries; "": nothing

    /// The kernels run on a device with memory of its own.
    bool on_device() const { return family == "gpu"; }
};

/// Every set this build knows, fastest first: `auto` takes the first that the machine can run. OpenCL's devices may be anything, even the
/// CPU, and autoschedulers are there to be compared: nobody gets them unasked.
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
    std::string name;  // "register_tile"

    /// "" where the entry can be taken, else the reason why not.
    std::string (*refuses)(const Shape &, const Set &);

    /// What it needs beyond the kernel's own outputs; null: nothing.
    std::vector<Workspace> (*workspaces)(const Shape &, const Set &) = nullptr;

    /// The same for the chains of a kernel. Null: it takes any that draw no random numbers, behind what the core makes and not before what
    /// it reads, which most schedules read again and again.
    std::string (*refuses_chains)(const Kernel &, const Set &) = nullptr;
};

/// "" where the entry can be taken for the kernel, else the reason why not.
std::string refusal(const Entry &entry, const Kernel &kernel, const Set &set);

/// The entries of a core, best first; the last two are the references.
struct KernelMenu {
    std::string core;
    std::vector<Entry> entries;
};

/// Whether this is the entry that remains where no other accepts: "reference" takes every shape on the host, "gpu_reference" on devices.
inline bool is_reference(std::string_view entry) { return entry == "reference" || entry == "gpu_reference"; }

/// The menus of all layers: every folder of schedules/ that has an entries.cpp.
const std::vector<KernelMenu> &all_menus();

/// The entries on the menu of `core`. Throws std::invalid_argument for an unknown one.
const std::vector<Entry> &menu(std::string_view core);

}  // namespace halcyon
