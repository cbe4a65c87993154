// Networks and recipes of the kinds that people publish, written down for Halcyon: each is read, and its training is planned. projects/ has
// a file for each: its "model", its "recipe", and what it "lacks" where it cannot be said. What the message of the refusal must name is
// that.
#include "compiler/model.h"
#include "compiler/planner.h"
#include "plan/files.h"
#include "runtime/training/recipe.h"
#include "tests/catch.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

/// What keeps a project from being planned for AVX2; "" where nothing does.
std::string obstacle(const nlohmann::json &project, const std::string &file) {
    const Set &avx2 = *std::ranges::find(all_sets(), "x86_avx2", &Set::name);
    try {
        parse_recipe(project["recipe"].dump(), file);
        make_plan(parse_model(project["model"].dump(), file), {.sets = {avx2}});
        return "";
    } catch (const std::exception &error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("what people train can be said") {
    std::vector<std::filesystem::path> files;
    for (const auto &entry : std::filesystem::directory_iterator(PROJECTS)) files.push_back(entry.path());
    std::ranges::sort(files);
    int expressible = 0;
    for (const std::filesystem::path &file : files) {
        const auto project = nlohmann::json::parse(read_file(file));
        const std::string lacks = project.value("lacks", ""), found = obstacle(project, file.filename());
        CAPTURE(file.filename(), found);
        if (lacks.empty())
            CHECK(found == "");
        else
            CHECK(found.find(lacks) != std::string::npos);
        expressible += found.empty() ? 1 : 0;
    }
    CHECK(files.size() >= 40);
    fmt::print("{} of {} projects can be said\n", expressible, files.size());
}
