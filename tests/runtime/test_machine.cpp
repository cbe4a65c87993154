#include "runtime/machine.h"

#include "runtime/device.h"

#include "tests/catch.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <iterator>
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

std::string message_of(std::string_view wanted, const Strings &compiled) {
    try {
        choose_set(wanted, compiled);
    } catch (const std::runtime_error &error) {
        return error.what();
    }
    return "";
}

bool contains(const std::string &text, std::string_view part) { return text.find(part) != std::string::npos; }

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
            const std::string message = message_of(set.name, names_of_all_sets());
            CHECK(contains(message, set.name));
            CHECK(contains(message, why_not(set)));
            CHECK(contains(message, "--schedule auto takes " + choose_set("auto", names_of_all_sets()).name));
        }
    }
    CHECK(contains(message_of("x86_avx9", {"x86_sse41", "reference"}), "\"x86_avx9\"; it has x86_sse41, reference"));
    CHECK(contains(message_of("x86_sse41", {"reference"}), "\"x86_sse41\"; it has reference"));
    CHECK(contains(message_of("auto", {}), "none of the model's schedule sets"));
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
