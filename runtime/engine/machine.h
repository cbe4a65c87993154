// What this machine can run.
#pragma once

#include "plan/menu.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// Hardware threads that this process may use (its affinity mask's, not the machine's); at least 1.
int hardware_threads();

/// Bytes that this process can take without swapping: what Linux has available and what the process's control groups (of either version)
/// leave it; the largest number where nothing tells. Reads what lies under `root`.
std::int64_t available_memory(const std::filesystem::path &root = "/");

/// The CPU features that a Halide target names and `has` denies, in the target's order ("avx512_skylake"); `has` gets Halide's names.
/// Words that are no features of the CPU (the architecture, the operating system, "no_runtime") are passed over.
std::vector<std::string> missing_features(std::string_view halide_target, bool (*has)(std::string_view feature));

/// Whether this CPU has a feature and the operating system saves its registers. Throws std::invalid_argument for an unknown feature.
bool cpu_has(std::string_view feature);

/// "" where this machine can run the kernels of `set`, else why not, in a few words: "this CPU has no avx512_skylake". Asks for a device
/// once.
std::string why_not(const Set &set);

/// The set that `--schedule` means: `wanted` is "auto" (the first of all_sets() that is compiled in and runs here) or a set's name.
/// `compiled` are the names of the sets in the model's library. Throws std::runtime_error with one line where `wanted` is unknown, not
/// compiled in, or cannot be used on this machine.
const Set &choose_set(std::string_view wanted, const std::vector<std::string> &compiled);

}  // namespace halcyon
