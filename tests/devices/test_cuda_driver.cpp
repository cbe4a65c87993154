// What the program asks of a CUDA driver, and what it says of one that is of no use, with fake_cuda.cpp in the driver's place.
#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/text.h"
#include "tests/training/process.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <string>

using namespace halcyon::tests;
using nlohmann::json;

namespace {

/// While it lives, programs find the fake driver, with this fault.
class FakeDriver {
public:
    explicit FakeDriver(const std::string &fault = "") {
        setenv("LD_LIBRARY_PATH", FAKE_CUDA_FOLDER, 1);
        setenv("FAKE_CUDA", fault.c_str(), 1);
        setenv("FAKE_CUDA_LOG", (folder_ / "log").c_str(), 1);
    }
    FakeDriver(const FakeDriver &) = delete;
    FakeDriver &operator=(const FakeDriver &) = delete;
    ~FakeDriver() {
        for (const char *name : {"LD_LIBRARY_PATH", "FAKE_CUDA", "FAKE_CUDA_LOG"}) unsetenv(name);
    }

    /// What the last program asked for.
    json log() const { return json::parse(read_bytes(folder_ / "log")); }

private:
    TemporaryFolder folder_;
};

Result train(const std::string &schedule, int images = 16) {
    const TemporaryFolder folder;
    return cifar10({"train", "--schedule", schedule, "--limit", std::to_string(images), "--batch", "16", "--epochs", "1", "--no-evaluate",
                    "--out", (folder / "run").string()});
}

}  // namespace

TEST_CASE("a CUDA driver that is of no use is told in one line, and auto takes the CPU") {
    const auto [fault, reason] = GENERATE(table<std::string, std::string>({
        {"cuInit fails", "the CUDA driver's cuInit failed: unknown error"},
        {"no device", "there is no CUDA device"},
        {"old device", "its CUDA device has compute capability 7.5, less than 8.0"},
    }));
    CAPTURE(fault);
    const FakeDriver driver(fault);

    const Result refused = train("cuda");
    CHECK(refused.exit_code == 1);
    CHECK(contains(refused.err, reason));
    CHECK(std::ranges::count(refused.err, '\n') == 1);

    const Result schedules = cifar10({"schedules"});
    CHECK(schedules.exit_code == 0);
    CHECK(schedules.err == "");
    CHECK(contains(schedules.out, "cuda: cannot run here: " + reason));

    const Result automatic = train("auto");
    CHECK(automatic.exit_code == 0);
    CHECK(automatic.err == "");
    CHECK(contains(automatic.out, "no cuda: " + reason));
}

TEST_CASE("a stream that cannot be made is told in one line") {
    const FakeDriver driver("no stream");
    const Result result = train("cuda");
    CHECK(result.exit_code == 1);
    CHECK(contains(result.err, "the CUDA driver's cuStreamCreate failed: unknown error"));
    CHECK(driver.log().at("launches") == 0);
}

TEST_CASE("too little memory on a device is told in one line") {
    const FakeDriver driver("full device");
    const Result result = train("cuda");
    CHECK(result.exit_code == 1);
    CHECK(contains(result.err, "the device has no"));
    CHECK(contains(result.err, "give a smaller batch"));
    CHECK(std::ranges::count(result.err, '\n') == 1);
}

TEST_CASE("a CUDA device is listed with its memory and capability, and auto takes it") {
    const FakeDriver driver;
    const Result schedules = cifar10({"schedules"});
    CHECK(contains(schedules.out, "auto takes cuda"));
    CHECK(contains(schedules.out, "cuda: runs on Fake GPU (1024 MiB, compute capability 9.5)"));
}

TEST_CASE("kernels run in the primary context and on one stream, compiled without a cap on registers") {
    const FakeDriver driver;
    const Result result = train("cuda");
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(contains(result.out, "Fake GPU"));
    const json log = driver.log();
    CHECK(log.at("launches") > 0);
    CHECK(log.at("modules") > 0);
    for (const char *name : {"contexts_created", "wrong_contexts", "wrong_streams", "modules_with_options", "too_large", "live_streams"}) {
        CAPTURE(name);
        CHECK(log.at(name) == 0);
    }
}

TEST_CASE("an epoch of more steps copies and allocates no more") {
    const FakeDriver driver;
    REQUIRE(train("cuda", 32).exit_code == 0);
    const json two = driver.log();
    REQUIRE(train("cuda", 320).exit_code == 0);
    const json twenty = driver.log();
    CHECK(twenty.at("launches") > two.at("launches"));
    for (const char *name : {"allocations", "to_device", "to_host", "modules"}) {
        CAPTURE(name);
        CHECK(twenty.at(name) == two.at(name));
    }
}
