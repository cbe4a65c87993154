// What the layers' menus (schedules/<layer>/entries.cpp) share: reasons why an entry cannot be taken, and the entries that end every menu.
// Plain C++, no Halide, so that the planner can read the menus.
#pragma once

#include "plan/menu.h"
#include "plan/shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

namespace halcyon {

inline std::string on_host(const Shape &, const Set &set) { return set.on_device() ? "the set runs on a device" : ""; }

inline std::string on_device(const Shape &, const Set &set) { return set.on_device() ? "" : "the set runs on the host"; }

inline std::string on_x86(const Shape &, const Set &set) { return set.family == "x86" ? "" : "the set is not x86"; }

/// The first reason why not of an entry with several conditions; "" where all of them hold.
inline std::string first_refusal(std::initializer_list<std::string> refusals) {
    const auto refused = std::ranges::find_if(refusals, [](const std::string &refusal) { return !refusal.empty(); });
    return refused == refusals.end() ? "" : *refused;
}

template<std::string (*first)(const Shape &, const Set &), std::string (*second)(const Shape &, const Set &)>
std::string both(const Shape &s, const Set &set) {
    return first_refusal({first(s, set), second(s, set)});
}

/// What a kernel may keep on the stack of each of its channels is 16 KiB in all: beyond it Halide would allocate.
template<int channels>
std::string on_x86_up_to(const Shape &s, const Set &set) {
    if (set.family != "x86") return "the set is not x86";
    return s.in_c > channels ? fmt::format("more than {} channels do not fit the stack", channels) : "";
}

inline std::string plain_weights(const Shape &s, const Set &) { return s.tile > 0 ? "the weights are for tiles" : ""; }

inline std::string separate_windows(const Shape &s, const Set &) {
    if (s.stride_h < s.kernel_h || s.stride_w < s.kernel_w) return "the windows overlap";
    return s.pad_top > 0 || s.pad_left > 0 ? "the first window begins in the padding" : "";
}

/// Halide's autoschedulers take the plain algorithms alone: weights in tiles are Winograd's.
inline std::string by_autoscheduler(const Shape &s, const Set &set) {
    return first_refusal({set.autoscheduler.empty() ? "the set has no autoscheduler" : "", plain_weights(s, set)});
}

/// For a batch norm and its pool in one pass, on 11x11x64: forward with dropout Adams2019 takes 13 minutes; two minutes into the gradients
/// it holds 9 GiB.
inline std::string by_one_that_ends(const Shape &s, const Set &set) {
    return set.autoscheduler == "Adams2019" ? "Adams2019 takes too much time and memory" : by_autoscheduler(s, set);
}

inline const Entry autoscheduled{"autoscheduled", by_autoscheduler};
inline const Entry reference{"reference", on_host}, gpu_reference{"gpu_reference", on_device};

/// The device's, where it sums over the batch in two steps.
inline Entry gpu_reference_with(std::vector<Workspace> (*workspaces)(const Shape &, const Set &)) {
    return {"gpu_reference", on_device, workspaces};
}

}  // namespace halcyon
