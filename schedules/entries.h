// What the layers' menus (schedules/<layer>/entries.cpp) share: reasons why an entry cannot be taken, and the entries that end every menu.
// Plain C++, no Halide, so that the planner can read the menus.
#pragma once

#include "plan/menu.h"
#include "plan/shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>
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

/// A pool over the whole input, as the global ones are: pixels of the output are nothing to share out.
inline std::string one_large_window(const Shape &s, const Set &) {
    return s.out_h * s.out_w > 1 || s.few_taps() ? "there are several windows, or few taps" : "";
}

inline std::string no_large_window(const Shape &s, const Set &set) {
    return one_large_window(s, set).empty() ? "of the one window there is nothing to share out but images" : "";
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

/// Which chains an entry takes (Entry::refuses_chains): all.
inline std::string any_chain(const Kernel &, const Set &) { return ""; }

/// On x86 the values that a chain computes once for each channel lie on the stack, or Halide would allocate.
inline std::string few_channel_values(const Kernel &kernel, const Set &set) {
    const bool gradient = std::ranges::any_of(
        kernel.chains, [](const auto &chain) { return std::ranges::find(chain.second, "normgradient", &Link::row) != chain.second.end(); });
    const bool many = std::max(kernel.shape.in_c, kernel.shape.out_c) > 4096;
    return gradient && many && set.family == "x86" ? "more than 4096 channels do not fit the stack" : "";
}

/// All that draw no random numbers: it stages what it reads, or reads it once.
inline std::string any_that_draws_nothing(const Kernel &kernel, const Set &set) {
    for (const auto &[place, chain] : kernel.chains)
        if (draws(chain)) return "random numbers would be drawn for a channel in four";
    return few_channel_values(kernel, set);
}

/// Those behind the output that draw random numbers, with anything else: its loops are made for them.
inline std::string one_that_draws(const Kernel &kernel, const Set &set) {
    return draws(kernel.chain("output")) ? few_channel_values(kernel, set) : "nothing behind it draws random numbers";
}

/// All behind, for on devices each thread draws for itself; none before.
inline std::string any_behind(const Kernel &kernel, const Set &) {
    for (const Argument &input : kernel.of().inputs)
        if (!kernel.chain(input.name).empty()) return fmt::format("it reads its {} again and again", input.name);
    return "";
}

/// Adams2019 finds no end where much is computed again.
inline std::string any_but_adams(const Kernel &kernel, const Set &set) {
    return set.autoscheduler == "Adams2019" && !kernel.chains.empty() ? "Adams2019 takes too much time and memory" : "";
}

inline std::string any_behind_but_adams(const Kernel &kernel, const Set &set) {
    return first_refusal({any_behind(kernel, set), any_but_adams(kernel, set)});
}

inline const Entry autoscheduled{"autoscheduled", by_autoscheduler, nullptr, any_behind_but_adams};

/// For what reads each value once, or as often with a chain before it as without.
inline const Entry autoscheduled_with_chains{"autoscheduled", by_autoscheduler, nullptr, any_but_adams};
inline const Entry reference{"reference", on_host, nullptr, any_chain}, gpu_reference{"gpu_reference", on_device, nullptr, any_chain};

/// Of what goes over the channels in vectors, and reads each value once.
inline KernelMenu channel_vectors_menu(std::string core) {
    return {std::move(core),
            {{"channel_vectors", on_x86, nullptr, any_that_draws_nothing},
             {"vectors", on_device, nullptr, any_that_draws_nothing},
             autoscheduled_with_chains,
             reference,
             gpu_reference}};
}

/// The device's, where it sums over the batch in two steps.
inline Entry gpu_reference_with(std::vector<Workspace> (*workspaces)(const Shape &, const Set &)) {
    return {"gpu_reference", on_device, workspaces, any_chain};
}

}  // namespace halcyon
