// One of projects/ is trained for a few steps of its own recipe, on synthetic images.
#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/training/process.h"

#include <nlohmann/json.hpp>

#include <sstream>
#include <string>
#include <vector>

using namespace halcyon;
using namespace halcyon::tests;
using nlohmann::json;

TEST_CASE("what people train trains") {
    const TemporaryFolder folder;
    const std::string recipe = folder / "recipe.json", run = folder / "run";
    write_bytes(recipe, json::parse(read_bytes(PROJECT)).at("recipe").dump());
    output_of(
        {"train", "--recipe", recipe, "--out", run, "--batch", "32", "--limit", "160", "--epochs", "4", "--no-evaluate", "--threads", "2"});
    std::vector<double> losses;
    std::istringstream lines(read_bytes(run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) losses.push_back(json::parse(line).at("loss"));
    CAPTURE(losses);
    REQUIRE(losses.size() == 4);
    CHECK(losses.back() < losses.front());
}
