#include "runtime/training/monitor.h"

#include "plan/text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <stdexcept>

namespace halcyon {
namespace {

// Before the name of what is watched on the images to validate on.
constexpr std::string_view validated = "val_";

/// What the monitor's name says of an epoch, higher is better: losses and errors are negated.
double score_of(const Monitor &monitor, const EpochMetrics &metrics) {
    if (monitor.name == "loss") return -metrics.loss;
    if (monitor.name == "val_loss") return -metrics.val_loss.value();
    const double value = monitor.name.starts_with(validated) ? metrics.val_metric.value() : metrics.metric;
    return is_error(metrics.reported) ? -value : value;
}

bool is_better(const Monitor &monitor, double score, const std::optional<double> &best) {
    return !best || score - monitor.min_delta > *best;
}

}  // namespace

void require_monitored(const Recipe &recipe, bool validates, Metric metric) {
    const auto require = [&](const char *key, const Monitor &monitor) {
        const bool of_validation = monitor.name.starts_with(validated);
        const std::string_view watched = std::string_view(monitor.name).substr(of_validation ? validated.size() : 0);
        if (watched != "loss" && watched != name_of(metric))
            throw std::runtime_error(fmt::format("recipe {}: {} watches {}, but the model reports {}; watch that or loss",
                                                 printable(recipe.name), key, monitor.name, name_of(metric)));
        if (validates || !of_validation) return;
        throw std::runtime_error(fmt::format("recipe {}: {} watches {}, but the run does not validate; watch loss or {}",
                                             printable(recipe.name), key, monitor.name, name_of(metric)));
    };
    if (recipe.early_stopping) require("early_stopping", recipe.early_stopping->monitor);
    if (recipe.reduce_on_plateau) require("reduce_on_plateau", recipe.reduce_on_plateau->monitor);
}

Monitor monitor_of_best(const Recipe &recipe, bool validates, Metric metric) {
    if (recipe.early_stopping) return recipe.early_stopping->monitor;
    if (!validates) return {"loss", 0};
    return {is_error(metric) ? "val_loss" : "val_accuracy", 0};
}

bool is_best(const Monitor &monitor, const EpochMetrics &metrics, BestEpoch &best) {
    const double score = score_of(monitor, metrics);
    if (!is_better(monitor, score, best.score)) return false;
    best = {score, metrics.epoch};
    return true;
}

bool stops_early(const Recipe &recipe, const BestEpoch &best, std::uint32_t epochs) {
    if (!recipe.early_stopping || epochs == 0) return false;
    return epochs - best.epoch >= static_cast<std::uint32_t>(std::max(1, recipe.early_stopping->patience));
}

bool reduces(const Recipe &recipe, const EpochMetrics &metrics, Plateau &plateau) {
    if (!recipe.reduce_on_plateau) return false;
    const ReduceOnPlateau &settings = *recipe.reduce_on_plateau;
    if (plateau.cooldown > 0) {
        plateau.cooldown -= 1;
        plateau.wait = 0;
    }
    const double score = score_of(settings.monitor, metrics);
    if (is_better(settings.monitor, score, plateau.best_score)) {
        plateau.best_score = score;
        plateau.wait = 0;
        return false;
    }
    if (plateau.cooldown > 0) return false;
    plateau.wait += 1;
    const bool can_fall = reduced_rate(recipe, plateau.reductions) > settings.min;
    if (plateau.wait < settings.patience || !can_fall) return false;
    plateau.reductions += 1;
    plateau.cooldown = settings.cooldown;
    plateau.wait = 0;
    return true;
}

double reduced_rate(const Recipe &recipe, int reductions) {
    const double peak = recipe.learning_rate.peak;
    if (reductions == 0) return peak;
    return std::max(peak * std::pow(recipe.reduce_on_plateau->factor, reductions), recipe.reduce_on_plateau->min);
}

}  // namespace halcyon
