// The schedules: functions on an algorithm's named stages, bound by name to the entries of the kernel's menu
// (schedules/<layer>/entries.cpp).
//
// Each of a layer's reference*.cpp, x86*.cpp and gpu*.cpp binds its own with an object for every algorithm:
//
//     const Schedules<Add> schedules{{"channel_vectors", channel_vectors}};
//
// The references are bound like the others: `reference`, the plainest loops that need no memory beyond 16 KiB of stack, the yardstick of
// all others, and `gpu_reference`, a thread for every output element, whatever the shape. What that sums over the batch one thread sums in
// a fixed order, pixel by pixel or row by row first and then over those, so that the same bits come out on every run.
#pragma once

#include "plan/menu.h"
#include "plan/shape.h"
#include "schedules/defaults.h"

#include <Halide.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace halcyon {

/// A function under the name of the menu entry that it makes.
template<typename Stages>
struct NamedSchedule {
    std::string entry;
    std::function<void(Stages &, const Shape &, const Set &)> apply;

    NamedSchedule(std::string name, void (*function)(Stages &, const Shape &, const Set &)) : entry(std::move(name)), apply(function) {}

    /// One that is the same for every shape and set.
    NamedSchedule(std::string name, void (*function)(Stages &))
        : entry(std::move(name)), apply([function](Stages &stages, const Shape &, const Set &) { function(stages); }) {}
};

/// Binds functions to entries of the kernel that computes `Stages`. The objects of all files are made before main() begins, for kernel_gen
/// is linked of these files themselves, not of a library, out of which the linker would leave them.
template<typename Stages>
class Schedules {
public:
    Schedules(std::initializer_list<NamedSchedule<Stages>> schedules) { all().insert(all().end(), schedules); }

    /// What all files have bound.
    static const std::vector<NamedSchedule<Stages>> &bound() { return all(); }

private:
    static std::vector<NamedSchedule<Stages>> &all() {
        static std::vector<NamedSchedule<Stages>> schedules;
        return schedules;
    }
};

/// All entries of the kernel that computes `Stages` but the references.
template<typename Stages>
std::vector<NamedSchedule<Stages>> tuned_schedules() {
    std::vector<NamedSchedule<Stages>> schedules = Schedules<Stages>::bound();
    std::erase_if(schedules, [](const NamedSchedule<Stages> &schedule) { return is_reference(schedule.entry); });
    return schedules;
}

/// The references of an algorithm whose files bind none.
template<typename Stages>
std::vector<NamedSchedule<Stages>> default_references() {
    if constexpr (MakesActivation<Stages>)
        return {{"reference", image_by_image<Stages>}, {"gpu_reference", element_by_element<Stages>}};
    else
        return {{"reference", plain_loops<Stages>}};
}

/// Schedules `stages` by the menu entry called `entry`; throws Halide::CompileError where no function is bound to that name.
template<typename Stages>
void apply_schedule(Stages &stages, const Shape &shape, const Set &set, const std::string &entry) {
    if (entry == "autoscheduled") return;  // Halide's plugin does it, once the generator has built the pipeline
    for (const std::vector<NamedSchedule<Stages>> &schedules : {Schedules<Stages>::bound(), default_references<Stages>()})
        for (const NamedSchedule<Stages> &schedule : schedules)
            if (schedule.entry == entry) return schedule.apply(stages, shape, set);
    throw Halide::CompileError("no schedule is bound to the entry " + entry);
}

/// The same for the one algorithm of several that a kernel was built with.
template<typename... Algorithms>
void apply_schedule(std::variant<std::monostate, Algorithms...> &algorithm, const Shape &shape, const Set &set, const std::string &entry) {
    const auto apply = [&]<typename Stages>(Stages &stages) {
        if constexpr (!std::is_same_v<Stages, std::monostate>) apply_schedule(stages, shape, set, entry);
    };
    std::visit(apply, algorithm);
}

}  // namespace halcyon
