#include "runtime/engine/machine.h"

#include "runtime/devices/device.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cpuid.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <stdexcept>
#include <thread>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

struct CpuFeature {
    std::string_view name;  // Halide's
    bool (*available)();
};

// f16c has no name that both compilers' __builtin_cpu_supports know; its registers are AVX's, whose builtin asks the operating system.
bool has_f16c() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __builtin_cpu_supports("avx") && __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

// What Halide 21 generates under each name; __builtin_cpu_supports also checks that the operating system saves the registers.
const CpuFeature cpu_features[] = {
    {"sse41", [] { return __builtin_cpu_supports("sse4.1") != 0; }},
    {"avx", [] { return __builtin_cpu_supports("avx") != 0; }},
    {"f16c", has_f16c},
    {"fma", [] { return __builtin_cpu_supports("fma") != 0; }},
    {"avx2", [] { return __builtin_cpu_supports("avx2") != 0; }},
    {"avx512", [] { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd"); }},
    {"avx512_skylake",
     [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
     }},
};

const CpuFeature *find_feature(std::string_view name) {
    const auto *found = std::find_if(std::begin(cpu_features), std::end(cpu_features), [&](const CpuFeature &f) { return f.name == name; });
    return found == std::end(cpu_features) ? nullptr : found;
}

/// The first number in a file, or the one behind `key`; nothing where there is none.
std::optional<std::int64_t> number_in(const fs::path &path, std::string_view key = "") {
    std::ifstream file(path);
    if (!key.empty())
        for (std::string word; file >> word && word != key;) {
        }
    std::int64_t number = 0;
    return file >> number ? std::optional(number) : std::nullopt;
}

/// Where a version of Linux's control groups tells of memory: a folder for each group, in the folders of those that it belongs to.
struct Groups {
    const char *folder, *limit, *usage, *cached;  // what is `cached` counts as used, but goes when it is needed
};

constexpr Groups groups_v2{"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};
constexpr Groups groups_v1{"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};

/// What a group and those that it belongs to leave.
std::int64_t memory_of_groups(const fs::path &root, const Groups &groups, std::string_view group) {
    const fs::path outermost = root / groups.folder;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (fs::path inner = fs::path(group).relative_path();; inner = inner.parent_path()) {
        const fs::path folder = outermost / inner;
        const auto limit = number_in(folder / groups.limit), usage = number_in(folder / groups.usage);
        const auto cached = number_in(folder / "memory.stat", groups.cached);
        if (limit && usage) least = std::min(least, std::max<std::int64_t>(*limit - *usage + cached.value_or(0), 0));
        if (inner.empty()) return least;
    }
}

/// Why there is no device for a set's kernels; "" where there is one.
std::string why_no_device(const Set &set) {
    try {
        describe_device(set.name);
        return "";
    } catch (const std::runtime_error &error) {
        return error.what();
    }
}

}  // namespace

int hardware_threads() {
    cpu_set_t affinity;
    if (sched_getaffinity(0, sizeof affinity, &affinity) == 0) return CPU_COUNT(&affinity);
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));  // more CPUs than a cpu_set_t has bits
}

std::int64_t available_memory(const fs::path &root) {
    const std::optional<std::int64_t> kib = number_in(root / "proc/meminfo", "MemAvailable:");
    std::int64_t least = kib ? *kib * 1024 : std::numeric_limits<std::int64_t>::max();
    std::ifstream groups(root / "proc/self/cgroup");  // "0::/the/group", "5:memory:/the/group"
    for (std::string line; std::getline(groups, line);) {
        const std::string_view text = line;
        const std::size_t first = text.find(':'), second = text.find(':', first + 1);
        if (second == std::string_view::npos) continue;
        const std::string_view controllers = text.substr(first + 1, second - first - 1), group = text.substr(second + 1);
        if (controllers.empty()) least = std::min(least, memory_of_groups(root, groups_v2, group));
        if (controllers == "memory") least = std::min(least, memory_of_groups(root, groups_v1, group));
    }
    return least;
}

std::vector<std::string> missing_features(std::string_view halide_target, bool (*has)(std::string_view feature)) {
    std::vector<std::string> missing;
    while (!halide_target.empty()) {
        const std::string_view word = halide_target.substr(0, halide_target.find('-'));
        halide_target.remove_prefix(std::min(halide_target.size(), word.size() + 1));
        if (find_feature(word) && !has(word)) missing.emplace_back(word);
    }
    return missing;
}

bool cpu_has(std::string_view feature) {
    const CpuFeature *known = find_feature(feature);
    if (!known) throw std::invalid_argument(fmt::format("there is no CPU feature \"{}\"", feature));
    return known->available();
}

std::string why_not(const Set &set) {
    const std::vector<std::string> missing = missing_features(set.halide_target, cpu_has);
    if (!missing.empty()) return fmt::format("this CPU has no {}", fmt::join(missing, ", no "));
    return set.on_device() ? why_no_device(set) : "";
}

const Set &choose_set(std::string_view wanted, const std::vector<std::string> &compiled) {
    std::vector<const Set *> there_are;
    for (const Set &set : all_sets())
        if (std::find(compiled.begin(), compiled.end(), set.name) != compiled.end()) there_are.push_back(&set);

    const auto runs = [](const Set *set) { return why_not(*set).empty(); };
    const auto first_that_runs = [&] { return std::find_if(there_are.begin(), there_are.end(), runs); };
    if (wanted == "auto") {
        if (const auto automatic = first_that_runs(); automatic != there_are.end()) return **automatic;
        std::vector<std::string> reasons;
        for (const Set *set : there_are) reasons.push_back(fmt::format("{}: {}", set->name, why_not(*set)));
        throw std::runtime_error(fmt::format("none of the model's schedule sets runs on this machine: {}", fmt::join(reasons, "; ")));
    }

    const auto named = std::find_if(there_are.begin(), there_are.end(), [&](const Set *set) { return set->name == wanted; });
    if (named == there_are.end())
        throw std::runtime_error(
            fmt::format("the model has no schedule set \"{}\"; it has {}, or auto", wanted, fmt::join(compiled, ", ")));
    const std::string reason = why_not(**named);
    if (reason.empty()) return **named;
    const auto automatic = first_that_runs();
    throw std::runtime_error(fmt::format("schedule set \"{}\" cannot be used on this machine: {}; {}", wanted, reason,
                                         automatic == there_are.end() ? "none of the model's sets can"
                                                                      : fmt::format("--schedule auto takes {}", (*automatic)->name)));
}

}  // namespace halcyon
