#include "runtime/engine/machine.h"

#include "runtime/devices/device.h"

#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/text.h"

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <sstream>
#include <stdexcept>

using namespace halcyon;

namespace {

using Strings = std::vector<std::string>;

/// The first CPU's flags as Linux reports them: what the CPU has and the kernel has enabled.
std::set<std::string> linux_flags() {
    std::ifstream cpuinfo("/proc/cpuinfo");
    for (std::string line; std::getline(cpuinfo, line);)
        if (line.starts_with("flags")) {
            std::istringstream words(line);
            return {std::istream_iterator<std::string>(words), {}};
        }
    return {};
}

Strings names_of_all_sets() {
    Strings names;
    for (const Set &set : all_sets()) names.push_back(set.name);
    return names;
}

std::string refusal_of_set(std::string_view wanted, const Strings &compiled) {
    try {
        choose_set(wanted, compiled);
    } catch (const std::runtime_error &error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("CPU features agree with what Linux reports") {
    const std::set<std::string> flags = linux_flags();
    REQUIRE(!flags.empty());
    const auto has_all = [&](const Strings &names) {
        return std::ranges::all_of(names, [&](const auto &name) { return flags.contains(name); });
    };
    CHECK(cpu_has("sse41") == has_all({"sse4_1"}));
    CHECK(cpu_has("avx") == has_all({"avx"}));
    CHECK(cpu_has("f16c") == has_all({"f16c"}));
    CHECK(cpu_has("fma") == has_all({"fma"}));
    CHECK(cpu_has("avx2") == has_all({"avx2"}));
    CHECK(cpu_has("avx512") == has_all({"avx512f", "avx512cd"}));
    CHECK(cpu_has("avx512_skylake") == has_all({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}));
    CHECK_THROWS_AS(cpu_has("avx1024"), std::invalid_argument);
}

TEST_CASE("an older CPU misses the features that a target names") {
    const auto haswell = [](std::string_view feature) { return !feature.starts_with("avx512"); };
    const auto nehalem = [](std::string_view feature) { return feature == "sse41"; };
    CHECK(missing_features("x86-64-linux-sse41-avx-f16c-fma-avx2-no_runtime", haswell).empty());
    CHECK(missing_features("x86-64-linux-sse41-avx-f16c-fma-avx2", nehalem) == Strings{"avx", "f16c", "fma", "avx2"});
    CHECK(missing_features("x86-64-linux-avx512_skylake-user_context", haswell) == Strings{"avx512_skylake"});
    CHECK(missing_features("x86-64-linux", nehalem).empty());
}

TEST_CASE("auto takes the first compiled set that runs here") {
    const Strings compiled = names_of_all_sets();
    const Set &chosen = choose_set("auto", compiled);
    CHECK(why_not(chosen).empty());
    for (const Set &set : all_sets()) {
        if (set.name == chosen.name) break;
        CHECK(!why_not(set).empty());
    }
    CHECK(choose_set("auto", {"reference"}).name == "reference");
}

TEST_CASE("a set is chosen by name, or refused with the reason") {
    for (const Set &set : all_sets()) {
        CAPTURE(set.name);
        if (why_not(set).empty()) {
            CHECK(choose_set(set.name, names_of_all_sets()).name == set.name);
        } else {
            const std::string message = refusal_of_set(set.name, names_of_all_sets());
            CHECK(contains(message, set.name));
            CHECK(contains(message, why_not(set)));
            CHECK(contains(message, "--schedule auto takes " + choose_set("auto", names_of_all_sets()).name));
        }
    }
    CHECK(contains(refusal_of_set("x86_avx9", {"x86_sse41", "reference"}), "\"x86_avx9\"; it has x86_sse41, reference"));
    CHECK(contains(refusal_of_set("x86_sse41", {"reference"}), "\"x86_sse41\"; it has reference"));
    CHECK(contains(refusal_of_set("auto", {}), "none of the model's schedule sets"));
}

TEST_CASE("where no set runs, auto says of each why not") {
    Strings compiled;
    for (const Set &set : all_sets())
        if (!why_not(set).empty()) compiled.push_back(set.name);
    if (compiled.empty()) {
        WARN("skipped: every set runs here");
        return;
    }
    const std::string message = refusal_of_set("auto", compiled);
    CAPTURE(message);
    for (const std::string &name : compiled) CHECK(contains(message, name + ": " + why_not(select_sets({name}).front())));
}

TEST_CASE("available memory is the least of what the machine and the control groups leave") {
    const TemporaryFolder root;
    const auto write = [&](const std::string &path, const std::string &text) {
        std::filesystem::create_directories((root.path() / path).parent_path());
        std::ofstream(root.path() / path) << text;
    };
    constexpr std::int64_t gib = 1 << 30;
    CHECK(available_memory(root.path()) == std::numeric_limits<std::int64_t>::max());
    write("proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n");
    CHECK(available_memory(root.path()) == 8 * gib);

    SECTION("version 2, whose outer group leaves less") {
        write("proc/self/cgroup", "0::/outer/inner\n");
        write("sys/fs/cgroup/outer/inner/memory.max", "max\n");
        write("sys/fs/cgroup/outer/inner/memory.current", "1073741824\n");
        CHECK(available_memory(root.path()) == 8 * gib);
        write("sys/fs/cgroup/outer/memory.max", "4294967296\n");
        write("sys/fs/cgroup/outer/memory.current", "3221225472\n");
        CHECK(available_memory(root.path()) == 1 * gib);
        write("sys/fs/cgroup/outer/memory.stat", "file 3\ninactive_file 1073741824\n");
        CHECK(available_memory(root.path()) == 2 * gib);
    }
    SECTION("version 1") {
        write("proc/self/cgroup", "6:cpu:/a\n5:memory:/docker/a\n0::/\n");
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");  // a container sees its own group as the outermost
        write("sys/fs/cgroup/memory/memory.usage_in_bytes", "2147483648\n");
        CHECK(available_memory(root.path()) == 0);
    }
}

TEST_CASE("nobody gets OpenCL unasked") { CHECK(choose_set("auto", {"opencl", "reference"}).name == "reference"); }

TEST_CASE("a device has a name and memory, or one line says why there is none") {
    for (const Set &set : select_sets({"gpu"})) {
        const std::string reason = why_not(set);
        CAPTURE(set.name, reason);
        CHECK(!contains(reason, "\n"));
        if (!reason.empty()) continue;
        const DeviceDescription device = describe_device(set.name);
        CHECK(!device.name.empty());
        CHECK(device.memory_bytes > 1 << 20);
    }
}

TEST_CASE("hardware threads are those that the process may use") {
    cpu_set_t all, one;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    CHECK(hardware_threads() == CPU_COUNT(&all));
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(hardware_threads() == 1);
    REQUIRE(sched_setaffinity(0, sizeof all, &all) == 0);
}
