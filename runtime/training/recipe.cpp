#include "runtime/training/recipe.h"

#include "plan/files.h"
#include "plan/json.h"
#include "plan/step.h"
#include "runtime/training/builtin_recipes.h"
#include "runtime/training/section.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <system_error>

namespace halcyon {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// The kernels compute in float32, without denormal numbers, and Adam's rate is up to 10^7 times the recipe's in its first steps: within
// these ranges, and those of the optimizers' settings, no number becomes zero, one or infinite there that was not.
bool is_zero_or_scale(double x) { return x == 0 || is_scale(x); }
bool is_factor(double x) { return x >= 1e-30 && x <= 0.9999999; }
const char *const zero_or_scale_range = "0 or a number from 1e-30 to 1e30";
const char *const factor_range = "a number from 1e-30 to 0.9999999";

const char *const frequency_key = "ema_overwrite_frequency";

/// A setting of an optimizer's or a schedule's.
double parse_setting(Section &section, const auto &setting) {
    const std::optional<double> standard = setting.standard;
    const json *given = section.find(setting.key.c_str());
    if (!given && !standard) section.fail(setting.key, "must be there: " + to_string(setting.range));
    if (!given) return *standard;
    if (!given->is_number() || !setting.range.holds(given->get<double>()))
        section.fail(setting.key, fmt::format("must be {}, not {}", to_string(setting.range), short_json(*given)));
    return *given;
}

/// At most one of them is given.
std::optional<Clipping> parse_clipping(Section &section) {
    std::optional<Clipping> clipping;
    for (const Clipping::By by : {Clipping::By::value, Clipping::By::norm, Clipping::By::global_norm}) {
        Clipping given{by, 0};
        const char *const key = clipping_key(given);
        if (!section.find(key)) continue;
        if (clipping) section.fail(key, fmt::format("cannot stand beside {}: give one of them", clipping_key(*clipping)));
        section.number(key, given.most, is_scale, scale_range);
        clipping = given;
    }
    return clipping;
}

std::vector<std::string> parse_excluded(Section &section, const Optimizer &optimizer) {
    const char *const key = "exclude_from_weight_decay";
    const json *given = section.find(key);
    if (!given) return {};
    const auto is_name = [](const json &text) { return text.is_string() && !text.get<std::string>().empty(); };
    if (!given->is_array() || given->empty() || !std::ranges::all_of(*given, is_name))
        section.fail(key, "must be a list of texts that are in the names of weights, not " + short_json(*given));
    if (std::ranges::find(optimizer.settings, "weight_decay", &OptimizerSetting::key) == optimizer.settings.end())
        section.fail(key, fmt::format("goes with weight_decay, which {} has not", optimizer.name));
    return *given;
}

std::optional<Averaging> parse_averaging(Section &section) {
    bool is_asked_for = false;
    section.flag("use_ema", is_asked_for);
    Averaging averaging{.momentum = parse_setting(section, ema_momentum)};
    if (section.find(frequency_key)) section.count(frequency_key, averaging.overwrite_frequency.emplace(), 1, largest_count);
    if (is_asked_for) return averaging;
    for (const char *key : {ema_momentum.key.c_str(), frequency_key})
        if (section.find(key)) section.fail(key, "goes with use_ema: true");
    return {};
}

OptimizerSettings parse_optimizer(const json &values, const std::string &where) {
    std::vector<std::string> names;
    for (const Optimizer &known : all_optimizers())
        if (known.flag.empty()) names.push_back(known.name);
    Section section(values, "optimizer", where);
    OptimizerSettings optimizer;
    section.choice("name", optimizer.name, names);
    const std::string name = optimizer.name;
    for (const Optimizer &variant : all_optimizers()) {
        bool is_asked_for = false;
        if (variant.variant_of == name) section.flag(variant.flag.c_str(), is_asked_for);
        if (is_asked_for) optimizer.name = variant.name;
    }
    optimizer.settings.clear();
    for (const OptimizerSetting &setting : find_optimizer(optimizer.name).settings)
        optimizer.settings.push_back(parse_setting(section, setting));
    optimizer.options = {parse_clipping(section), parse_excluded(section, find_optimizer(optimizer.name)), parse_averaging(section)};
    section.refuse_unknown();
    return optimizer;
}

/// Epochs, each after the one before.
std::vector<double> parse_milestones(Section &section) {
    const json *given = section.find("milestones");
    const auto is_epoch = [](const json &epoch) {
        return epoch.is_number() && epoch.get<double>() > 0 && epoch.get<double>() <= largest_count;
    };
    if (!given || !given->is_array() || given->empty() || !std::ranges::all_of(*given, is_epoch) ||
        !std::ranges::is_sorted(given->get<std::vector<double>>(), std::less_equal()))
        section.fail("milestones", "must be a list of epochs, each later than the one before");
    return *given;
}

LearningRate parse_learning_rate(const json &values, const std::string &where) {
    std::vector<std::string> names;
    for (const Schedule &known : all_schedules()) names.push_back(known.name);
    LearningRate rate;
    Section section(values, "learning_rate", where);
    section.choice("schedule", rate.schedule, names);
    section.number("peak", rate.peak, is_scale, scale_range);
    const Schedule &schedule = find_schedule(rate.schedule);
    for (const ScheduleSetting &setting : schedule.settings) rate.settings.push_back(parse_setting(section, setting));
    if (schedule.has_milestones) rate.milestones = parse_milestones(section);
    std::string per = "step";
    if (section.find("per")) section.choice("per", per, {"step", "epoch"});
    rate.per_epoch = per == "epoch";
    section.refuse_unknown();
    return rate;
}

Dropout parse_dropout(const json &values, const Section &section) {
    const auto checked = [&](const json &rate) { return section.checked(rate, "dropout", is_dropout_rate, dropout_rate_range); };
    if (!values.is_array()) return checked(values);
    std::vector<double> rates;
    for (const json &rate : values) rates.push_back(checked(rate));
    return rates;
}

void parse_monitor(Section &section, Monitor &monitor) {
    section.choice("monitor", monitor.name,
                   {"loss", "accuracy", "mean_absolute_error", "val_loss", "val_accuracy", "val_mean_absolute_error"});
    section.number("min_delta", monitor.min_delta, is_zero_or_scale, zero_or_scale_range);
}

EarlyStopping parse_early_stopping(const json &values, const std::string &where) {
    EarlyStopping stopping;
    Section section(values, "early_stopping", where);
    parse_monitor(section, stopping.monitor);
    section.count("patience", stopping.patience, 0, largest_count);
    section.refuse_unknown();
    return stopping;
}

ReduceOnPlateau parse_reduce_on_plateau(const json &values, const std::string &where) {
    ReduceOnPlateau plateau;
    Section section(values, "reduce_on_plateau", where);
    parse_monitor(section, plateau.monitor);
    section.number("factor", plateau.factor, is_factor, factor_range);
    section.count("patience", plateau.patience, 0, largest_count);
    section.count("cooldown", plateau.cooldown, 0, largest_count);
    section.number("min", plateau.min, is_zero_or_scale, zero_or_scale_range);
    section.refuse_unknown();
    return plateau;
}

ClassWeights parse_class_weights(const json &values, const std::string &where, const Section &section) {
    const auto checked = [&](const json &weight) {
        return section.checked(weight, "class_weights", is_zero_or_scale, zero_or_scale_range);
    };
    if (values == "balanced") return BalancedClasses();
    if (values.is_array()) {
        std::vector<double> weights;
        for (const json &weight : values) weights.push_back(checked(weight));
        return weights;
    }
    if (!values.is_object())
        throw std::runtime_error(
            fmt::format("{}: class_weights must be \"balanced\", a list or an object, not {}", where, short_json(values)));
    std::map<std::string, double> weights;
    for (const auto &[name, weight] : values.items()) weights[name] = checked(weight);
    return weights;
}

ordered_json to_object(const OptimizerSettings &optimizer) {
    const Optimizer &row = find_optimizer(optimizer.name);
    ordered_json values = {{"name", row.flag.empty() ? row.name : row.variant_of}};
    if (!row.flag.empty()) values[row.flag] = true;
    for (std::size_t i = 0; i < row.settings.size(); ++i) values[row.settings[i].key] = optimizer.settings.at(i);
    const auto &[clip, excluded, average] = optimizer.options;
    if (clip) values[clipping_key(*clip)] = clip->most;
    if (!excluded.empty()) values["exclude_from_weight_decay"] = excluded;
    if (average) {
        values["use_ema"] = true;
        values[ema_momentum.key] = average->momentum;
        if (average->overwrite_frequency) values[frequency_key] = *average->overwrite_frequency;
    }
    return values;
}

ordered_json to_object(const Monitor &monitor) { return {{"monitor", monitor.name}, {"min_delta", monitor.min_delta}}; }

ordered_json to_object(const EarlyStopping &stopping) {
    ordered_json values = to_object(stopping.monitor);
    values["patience"] = stopping.patience;
    return values;
}

ordered_json to_object(const ReduceOnPlateau &plateau) {
    ordered_json values = to_object(plateau.monitor);
    values["factor"] = plateau.factor;
    values["patience"] = plateau.patience;
    values["cooldown"] = plateau.cooldown;
    values["min"] = plateau.min;
    return values;
}

/// Null where there are none.
struct ClassWeightsToJson {
    ordered_json operator()(std::monostate) const { return nullptr; }
    ordered_json operator()(BalancedClasses) const { return "balanced"; }
    ordered_json operator()(const auto &weights) const { return weights; }
};

}  // namespace

Recipe parse_recipe(std::string_view text, const std::string &where) {
    const json values = parse_json(text, where);
    Recipe recipe;
    Section section(values, "", where);
    section.find("$schema");
    section.text("name", recipe.name);
    if (const json *given = section.find("optimizer")) recipe.optimizer = parse_optimizer(*given, where);
    if (const json *given = section.find("learning_rate")) recipe.learning_rate = parse_learning_rate(*given, where);
    section.count("epochs", recipe.epochs, 1, largest_count);
    section.count("batch", recipe.batch, 1, largest_count);
    if (const json *given = section.find("dropout")) recipe.dropout = parse_dropout(*given, section);
    section.number("flip", recipe.flip, is_chance, chance_range);
    if (const json *given = section.find("augment")) recipe.augment = parse_augmentation(*given, recipe.flip, where);
    if (const json *given = section.find("class_weights")) recipe.class_weights = parse_class_weights(*given, where, section);
    if (const json *given = section.find("early_stopping")) recipe.early_stopping = parse_early_stopping(*given, where);
    if (const json *given = section.find("reduce_on_plateau")) recipe.reduce_on_plateau = parse_reduce_on_plateau(*given, where);
    section.refuse_unknown();
    if (recipe.reduce_on_plateau && recipe.learning_rate.schedule != "constant")
        throw std::runtime_error(fmt::format("{}: reduce_on_plateau goes with the learning_rate.schedule \"constant\", not \"{}\"", where,
                                             recipe.learning_rate.schedule));
    return recipe;
}

Recipe load_recipe(const std::string &name_or_path) {
    const auto builtin = builtin_recipes().find(name_or_path);
    if (builtin != builtin_recipes().end()) return parse_recipe(builtin->second, "recipe " + builtin->first);

    std::error_code error;
    if (!std::filesystem::exists(name_or_path, error))
        throw std::runtime_error(fmt::format("{}: neither a readable recipe file nor one of the recipes built in ({})", name_or_path,
                                             fmt::join(recipe_names(), ", ")));
    return parse_recipe(read_file(name_or_path), name_or_path);
}

std::string to_json(const Recipe &recipe) {
    const LearningRate &rate = recipe.learning_rate;
    ordered_json values;
    values["name"] = recipe.name;
    values["optimizer"] = to_object(recipe.optimizer);
    values["learning_rate"]["schedule"] = rate.schedule;
    values["learning_rate"]["peak"] = rate.peak;
    const std::vector<ScheduleSetting> &settings = find_schedule(rate.schedule).settings;
    for (std::size_t i = 0; i < settings.size(); ++i) values["learning_rate"][settings[i].key] = rate.settings.at(i);
    if (!rate.milestones.empty()) values["learning_rate"]["milestones"] = rate.milestones;
    if (rate.per_epoch) values["learning_rate"]["per"] = "epoch";
    values["epochs"] = recipe.epochs;
    values["batch"] = recipe.batch;
    if (recipe.dropout) std::visit([&values](const auto &rates) { values["dropout"] = rates; }, *recipe.dropout);
    values["flip"] = recipe.flip;
    if (recipe.augment != Augmentation()) values["augment"] = to_json(recipe.augment);
    if (const ordered_json weights = std::visit(ClassWeightsToJson(), recipe.class_weights); !weights.is_null())
        values["class_weights"] = weights;
    if (recipe.early_stopping) values["early_stopping"] = to_object(*recipe.early_stopping);
    if (recipe.reduce_on_plateau) values["reduce_on_plateau"] = to_object(*recipe.reduce_on_plateau);
    return values.dump(4);
}

std::vector<std::string> recipe_names() {
    std::vector<std::string> names;
    for (const auto &[name, text] : builtin_recipes()) names.push_back(name);
    return names;
}

std::vector<double> dropout_rates(const Recipe &recipe, const Plan &plan) {
    const auto count = static_cast<std::size_t>(plan.dropout_layers);
    if (!recipe.dropout) return plan.dropout_rates.empty() ? std::vector<double>(count, 0) : plan.dropout_rates;
    if (const double *rate = std::get_if<double>(&*recipe.dropout)) return std::vector<double>(count, *rate);
    const auto &rates = std::get<std::vector<double>>(*recipe.dropout);
    if (rates.size() != count)
        throw std::runtime_error(
            fmt::format("recipe {}: {} dropout rates, but the model has {} dropout layers; list one rate a layer, or give a number for all",
                        recipe.name, rates.size(), count));
    return rates;
}

}  // namespace halcyon
