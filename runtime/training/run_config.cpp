#include "runtime/training/run_config.h"

#include "plan/json.h"
#include "runtime/engine/threads.h"
#include "runtime/training/section.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace halcyon {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Stands where other runs have the absolute path of a folder.
const std::string synthetic = "synthetic";

}  // namespace

bool is_validation_split(double fraction) { return fraction > 0 && fraction < 1; }

std::string to_json(const RunConfig &config) {
    ordered_json out;
    out["model"] = config.model;
    out["data"] = config.data.empty() ? synthetic : config.data;
    out["data_settings"] = ordered_json::parse(to_json(config.data_settings));
    out["train_images"] = config.train_images;
    out["validation_split"] = config.validation_split > 0 ? ordered_json(config.validation_split) : ordered_json(nullptr);
    out["limit"] = config.limit > 0 ? ordered_json(config.limit) : ordered_json(nullptr);
    out["recipe"] = ordered_json::parse(to_json(config.recipe));
    out["seed"] = config.seed;
    out["shuffle"] = config.shuffle;
    out["evaluate"] = config.evaluate;
    out["init"] = config.init.empty() ? ordered_json(nullptr) : ordered_json(config.init);
    out["schedule"] = config.schedule;
    out["threads"] = config.threads;
    return out.dump(4) + "\n";
}

RunConfig parse_run_config(std::string_view text, const std::string &where) {
    const json values = parse_json(text, where);
    Section section(values, "", where);
    const auto given = [&](const char *key) {
        const json *value = section.find(key);
        return value && !value->is_null();
    };
    RunConfig config;
    section.text("model", config.model);
    section.text("data", config.data);
    if (config.data == synthetic) config.data.clear();
    if (const json *settings = section.find("data_settings"))
        config.data_settings = parse_data_settings(settings->dump(), where + ": data_settings");
    section.count("train_images", config.train_images, 1);
    if (given("validation_split"))
        section.number("validation_split", config.validation_split, is_validation_split, "a number above 0 and below 1");
    if (given("limit")) section.count("limit", config.limit, 1);
    if (const json *recipe = section.find("recipe")) config.recipe = parse_recipe(recipe->dump(), where + ": recipe");
    section.count("seed", config.seed, 0);
    section.flag("shuffle", config.shuffle);
    section.flag("evaluate", config.evaluate);
    if (given("init")) section.text("init", config.init);
    section.text("schedule", config.schedule);
    section.count("threads", config.threads, 1, ThreadPool::most_threads);
    // Nothing may be left out: a default is not what the run had.
    if (const std::string reason = difference(text, where, to_json(config)); !reason.empty())
        throw std::runtime_error(fmt::format("{}: {}", where, reason));
    return config;
}

std::string difference(std::string_view text, const std::string &where, std::string_view other) {
    const json a = parse_json(text, where), b = json::parse(other);
    const json changes = json::diff(b, a);
    if (changes.empty()) return "";
    const json::json_pointer key(changes[0].at("path").get<std::string>());
    const auto value = [&key](const json &values) { return values.contains(key) ? short_json(values.at(key)) : "missing"; };
    std::string path = key.to_string().substr(1);
    std::ranges::replace(path, '/', '.');
    return fmt::format("{} is {}, not {}", path, value(a), value(b));
}

}  // namespace halcyon
