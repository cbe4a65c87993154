// The schedules: functions on an algorithm's named stages, bound to their menu entries (plan/menu.cpp) by name.
//
// Each schedules/<target>/<layer>.cpp ends in a table for every kernel of its layer. `reference` and `gpu_reference` are overloads of one
// function, one a kernel: no tiling, and no memory beyond 16 KiB of stack or a thread's registers.
#pragma once

#include "plan/menu.h"
#include "plan/shape.h"
#include "schedules/gpu/gpu_reference.h"
#include "schedules/gpu/gpu_schedules.h"
#include "schedules/reference/reference.h"

#include <Halide.h>

#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace halcyon {

/// The x86 entries of the kernel that computes `Stages`.
template<typename Stages>
const std::vector<NamedSchedule<Stages>> &x86_schedules();

/// All entries of the kernel that computes `Stages` but the references.
template<typename Stages>
std::vector<NamedSchedule<Stages>> tuned_schedules() {
    std::vector<NamedSchedule<Stages>> schedules = gpu_schedules<Stages>();
    if constexpr (!for_devices<Stages>) schedules.insert(schedules.end(), x86_schedules<Stages>().begin(), x86_schedules<Stages>().end());
    return schedules;
}

/// Schedules `stages` by the menu entry called `entry`; throws Halide::CompileError where no function is bound to that name.
template<typename Stages>
void apply_schedule(Stages &stages, const Shape &shape, const Set &set, const std::string &entry) {
    if (entry == "autoscheduled") return;  // Halide's plugin does it, once the generator has built the pipeline
    if constexpr (requires { reference(stages); })
        if (entry == "reference") return reference(stages);
    if constexpr (requires { gpu_reference(stages); })
        if (entry == "gpu_reference") return gpu_reference(stages);
    for (const NamedSchedule<Stages> &schedule : tuned_schedules<Stages>())
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
