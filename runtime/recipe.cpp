#include "runtime/recipe.h"

#include "plan/json.h"
#include "runtime/builtin_recipes.h"

#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numbers>
#include <set>
#include <stdexcept>

namespace halcyon {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// One JSON object of a recipe; every key that is read is ticked off, so that one which nobody knows is found.
class Section {
public:
    Section(const json &values, std::string prefix, const std::string &where) : values_(values), prefix_(std::move(prefix)), where_(where) {
        if (!values.is_object()) fail(prefix_.empty() ? "it" : prefix_, "must be an object");
    }

    /// The value of a key, or null where it is absent.
    const json *find(const char *key) {
        known_.insert(key);
        const auto found = values_.find(key);
        return found == values_.end() ? nullptr : &*found;
    }

    std::string path(const std::string &key) const { return prefix_.empty() ? key : prefix_ + "." + key; }

    void text(const char *key, std::string &value) {
        const json *given = find(key);
        if (!given) return;
        if (!given->is_string()) fail(path(key), "must be a text, not " + short_json(*given));
        value = *given;
    }

    /// A key that must be there.
    void choice(const char *key, std::string &value, const std::vector<std::string> &choices) {
        const json *given = find(key);
        for (const std::string &known : choices) {
            if (given && *given == known) value = known;
        }
        if (given && *given == value) return;
        fail(path(key), fmt::format("must be {}, {}", fmt::join(choices, " or "), given ? "not " + short_json(*given) : "and is missing"));
    }

    void number(const char *key, double &value, bool (*accepts)(double), const char *range) {
        if (const json *given = find(key)) value = checked(*given, key, accepts, range);
    }

    double checked(const json &given, const char *key, bool (*accepts)(double), const char *range) const {
        if (!given.is_number() || !accepts(given.get<double>()))
            fail(path(key), fmt::format("must be {}, not {}", range, short_json(given)));
        return given;
    }

    void count(const char *key, int &value) {
        constexpr int largest = 1'000'000;
        const json *given = find(key);
        if (!given) return;
        if (!given->is_number_unsigned() || *given < 1 || *given > largest) {
            fail(path(key), fmt::format("must be a whole number from 1 to {}, not {}", largest, short_json(*given)));
        }
        value = *given;
    }

    void refuse_unknown() const {
        for (const auto &[key, value] : values_.items()) {
            if (!known_.contains(key)) fail(path(key), fmt::format("is no key of a recipe here; known are {}", fmt::join(known_, ", ")));
        }
    }

private:
    [[noreturn]] void fail(const std::string &key, const std::string &reason) const {
        throw std::runtime_error(fmt::format("{}: {} {}", where_, key, reason));
    }

    const json &values_;
    std::string prefix_;
    const std::string &where_;
    std::set<std::string> known_;
};

bool positive(double x) { return x > 0 && std::isfinite(x); }
bool below_one(double x) { return x >= 0 && x < 1; }
bool fraction(double x) { return x >= 0 && x <= 1; }
const char *const below_one_range = "a number from 0 to below 1";

OptimizerSettings parse_optimizer(const json &values, const std::string &where) {
    OptimizerSettings optimizer;
    Section section(values, "optimizer", where);
    section.choice("name", optimizer.name, {"adam", "sgd"});
    if (optimizer.name == "adam") {
        section.number("beta_1", optimizer.beta_1, below_one, below_one_range);
        section.number("beta_2", optimizer.beta_2, below_one, below_one_range);
        section.number("epsilon", optimizer.epsilon, positive, "a number over 0");
    } else {
        section.number("momentum", optimizer.momentum, below_one, below_one_range);
    }
    section.refuse_unknown();
    return optimizer;
}

LearningRate parse_learning_rate(const json &values, const std::string &where) {
    LearningRate rate;
    Section section(values, "learning_rate", where);
    section.choice("schedule", rate.schedule, {"constant", "one_cycle"});
    section.number("peak", rate.peak, positive, "a number over 0");
    if (rate.schedule == "one_cycle") {
        section.number("warmup", rate.warmup, below_one, below_one_range);
        section.number("start", rate.start, fraction, "a number from 0 to 1");
    }
    section.refuse_unknown();
    return rate;
}

std::vector<double> parse_dropout(const json &values, const Section &section) {
    if (!values.is_array()) return {section.checked(values, "dropout", below_one, below_one_range)};
    std::vector<double> rates;
    for (const json &rate : values) rates.push_back(section.checked(rate, "dropout", below_one, below_one_range));
    return rates;
}

}  // namespace

Recipe parse_recipe(std::string_view text, const std::string &where) {
    const json values = parse_json(text, where);
    Recipe recipe;
    Section section(values, "", where);
    section.find("$schema");
    section.text("name", recipe.name);
    if (const json *given = section.find("optimizer")) recipe.optimizer = parse_optimizer(*given, where);
    if (const json *given = section.find("learning_rate")) recipe.learning_rate = parse_learning_rate(*given, where);
    section.count("epochs", recipe.epochs);
    section.count("batch", recipe.batch);
    if (const json *given = section.find("dropout")) recipe.dropout = parse_dropout(*given, section);
    section.number("flip", recipe.flip, fraction, "a number from 0 to 1");
    section.refuse_unknown();
    return recipe;
}

Recipe load_recipe(const std::string &name_or_path) {
    const auto builtin = builtin_recipes().find(name_or_path);
    if (builtin != builtin_recipes().end()) return parse_recipe(builtin->second, "recipe " + builtin->first);

    std::ifstream file(name_or_path);
    if (!file || std::filesystem::is_directory(name_or_path)) {
        throw std::runtime_error(fmt::format("{}: neither a readable recipe file nor one of the recipes built in ({})", name_or_path,
                                             fmt::join(recipe_names(), ", ")));
    }
    return parse_recipe(std::string(std::istreambuf_iterator<char>(file), {}), name_or_path);
}

std::string to_json(const Recipe &recipe) {
    const OptimizerSettings &optimizer = recipe.optimizer;
    const LearningRate &rate = recipe.learning_rate;
    ordered_json values;
    values["name"] = recipe.name;
    values["optimizer"]["name"] = optimizer.name;
    if (optimizer.name == "adam") {
        values["optimizer"]["beta_1"] = optimizer.beta_1;
        values["optimizer"]["beta_2"] = optimizer.beta_2;
        values["optimizer"]["epsilon"] = optimizer.epsilon;
    } else {
        values["optimizer"]["momentum"] = optimizer.momentum;
    }
    values["learning_rate"]["schedule"] = rate.schedule;
    values["learning_rate"]["peak"] = rate.peak;
    if (rate.schedule == "one_cycle") {
        values["learning_rate"]["warmup"] = rate.warmup;
        values["learning_rate"]["start"] = rate.start;
    }
    values["epochs"] = recipe.epochs;
    values["batch"] = recipe.batch;
    values["dropout"] = recipe.dropout.size() == 1 ? ordered_json(recipe.dropout[0]) : ordered_json(recipe.dropout);
    values["flip"] = recipe.flip;
    return values.dump(4);
}

std::vector<std::string> recipe_names() {
    std::vector<std::string> names;
    for (const auto &[name, text] : builtin_recipes()) names.push_back(name);
    return names;
}

double learning_rate(const LearningRate &rate, std::int64_t step, std::int64_t total_steps) {
    if (rate.schedule == "constant") return rate.peak;
    const double warmup_steps = rate.warmup * double(total_steps);
    if (double(step) < warmup_steps) return rate.peak * (rate.start + (1 - rate.start) * double(step) / warmup_steps);
    return rate.peak * (1 + std::cos(std::numbers::pi * (double(step) - warmup_steps) / (double(total_steps) - warmup_steps))) / 2;
}

std::vector<double> dropout_rates(const Recipe &recipe, int layers) {
    if (recipe.dropout.size() == 1) return std::vector<double>(std::size_t(layers), recipe.dropout[0]);
    if (int(recipe.dropout.size()) != layers) {
        throw std::runtime_error(
            fmt::format("recipe {}: {} dropout rates, but the model has {} dropout layers; give one rate a layer, or one for all",
                        recipe.name, recipe.dropout.size(), layers));
    }
    return recipe.dropout;
}

}  // namespace halcyon
