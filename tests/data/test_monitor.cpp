// Against monitor.json, which make_monitor.py makes with Keras's callbacks and scikit-learn.
#include "runtime/training/monitor.h"

#include "runtime/training/class_weights.h"
#include "tests/catch.h"
#include "tests/data/files.h"

#include <nlohmann/json.hpp>

using namespace halcyon;
using nlohmann::json;

namespace {

json golden() { return json::parse(read_bytes(MONITOR)); }

/// The recipe of a run of Keras's.
Recipe recipe_of(const json &run) {
    json recipe = {{"learning_rate", {{"schedule", "constant"}, {"peak", run.at("rates").at(0)}}}, {"epochs", run.at("values").size()}};
    for (const char *key : {"early_stopping", "reduce_on_plateau"}) {
        recipe[key] = run.at(key);
        recipe[key]["monitor"] = run.at("monitor");
    }
    return parse_recipe(recipe.dump(), "recipe");
}

/// Metrics of which one is `value`, and the others say the opposite.
EpochMetrics metrics_of(const std::string &monitor, std::uint32_t epoch, double value) {
    EpochMetrics metrics{
        .epoch = epoch, .loss = double(epoch), .metric = 1.0 / epoch, .val_loss = double(epoch), .val_metric = 1.0 / epoch};
    if (monitor == "loss") metrics.loss = value;
    if (monitor == "accuracy") metrics.metric = value;
    if (monitor == "val_loss") metrics.val_loss = value;
    if (monitor == "val_accuracy") metrics.val_metric = value;
    return metrics;
}

Recipe parse(const std::string &text) { return parse_recipe(text, "recipe"); }

}  // namespace

TEST_CASE("Early stopping and plateaus are Keras's") {
    const json runs = golden().at("runs");
    REQUIRE(runs.size() == 20);
    for (const json &run : runs) {
        CAPTURE(run.dump());
        const Recipe recipe = recipe_of(run);
        BestEpoch best;
        Plateau plateau;
        std::uint32_t epoch = 0;
        std::vector<double> rates;
        while (epoch < run.at("values").size() && !stops_early(recipe, best, epoch)) {
            rates.push_back(reduced_rate(recipe, plateau.reductions));
            const EpochMetrics metrics = metrics_of(run.at("monitor"), epoch + 1, run.at("values").at(epoch));
            is_best(monitor_of_best(recipe, true), metrics, best);
            reduces(recipe, metrics, plateau);
            ++epoch;
        }
        CHECK(epoch == run.at("epochs"));
        CHECK(stops_early(recipe, best, epoch) == run.at("stopped"));
        CHECK(best.epoch == run.at("best_epoch"));
        CHECK(rates == run.at("rates").get<std::vector<double>>());
    }
}

TEST_CASE("Without early stopping the best epoch is that of val_accuracy, else of the loss") {
    BestEpoch best;
    const Monitor validated = monitor_of_best(Recipe(), true), trained = monitor_of_best(Recipe(), false);
    CHECK(is_best(validated, {.epoch = 1, .loss = 1, .val_loss = 1, .val_metric = 0.5}, best));
    CHECK(!is_best(validated, {.epoch = 2, .loss = 0, .val_loss = 0, .val_metric = 0.5}, best));
    CHECK(is_best(validated, {.epoch = 3, .loss = 2, .val_loss = 2, .val_metric = 0.6}, best));
    CHECK(best == BestEpoch{0.6, 3});
    best = {};
    CHECK(is_best(trained, {.epoch = 1, .loss = 1, .metric = 0.5}, best));
    CHECK(!is_best(trained, {.epoch = 2, .loss = 1, .metric = 0.9}, best));
    CHECK(best == BestEpoch{-1, 1});
    CHECK(!stops_early(Recipe(), best, 1000));
    Plateau plateau;
    CHECK(!reduces(Recipe(), {.epoch = 1}, plateau));
    CHECK(plateau == Plateau());
}

TEST_CASE("A recipe that watches what a run does not have is refused") {
    const Recipe stopping = parse(R"({"name": "mine", "early_stopping": {"monitor": "val_loss"}})");
    const Recipe plateau = parse(R"({"name": "mine", "reduce_on_plateau": {"monitor": "val_accuracy"}})");
    CHECK(one_line_with(message_of([&] { require_monitored(stopping, false); }), {"recipe mine: early_stopping watches val_loss"}));
    CHECK(one_line_with(message_of([&] { require_monitored(plateau, false); }), {"recipe mine: reduce_on_plateau watches val_accuracy"}));
    CHECK(message_of([&] { require_monitored(stopping, true); }) == "");
    CHECK(message_of([&] { require_monitored(parse(R"({"early_stopping": {"monitor": "loss"}})"), false); }) == "");
}

TEST_CASE("Balanced class weights are scikit-learn's") {
    const json balanced = golden().at("balanced");
    const auto counts = balanced.at("counts").get<std::vector<std::int64_t>>();
    CHECK(class_weights(parse(R"({"class_weights": "balanced"})"), counts, {}) == balanced.at("weights").get<std::vector<double>>());
}

TEST_CASE("Class weights are given by number or by name, and must fit") {
    const std::vector<std::int64_t> counts = {3, 0, 2};
    const std::vector<std::string> names = {"cat", "dog", "owl"};
    const auto weights = [&](const std::string &text) {
        return class_weights(parse(R"({"name": "mine", "class_weights": )" + text + "}"), counts, names);
    };
    const auto refusal = [&](const std::string &text) { return message_of([&] { weights(text); }); };
    CHECK(class_weights(Recipe(), counts, names).empty());
    CHECK(weights("[1, 0, 2.5]") == std::vector<double>{1, 0, 2.5});
    CHECK(weights(R"({"owl": 2, "cat": 0.5})") == std::vector<double>{0.5, 1, 2});
    CHECK(weights("{}") == std::vector<double>{1, 1, 1});
    CHECK(one_line_with(refusal("[1, 2]"), {"recipe mine: 2 class weights", "3 classes"}));
    CHECK(one_line_with(refusal(R"({"dgo": 2})"), {"recipe mine: class_weights names dgo", "cat, dog, owl"}));
    CHECK(one_line_with(refusal(R"("balanced")"), {"recipe mine:", "class 1 (dog) has none of the 5 images"}));
}

TEST_CASE("A model that reports an error is watched by it, less is better, and its best epoch is that of val_loss") {
    const auto at = [](std::uint32_t epoch, double val_loss, double error) {
        return EpochMetrics{.epoch = epoch, .val_loss = val_loss, .val_metric = error, .reported = Metric::mean_absolute_error};
    };
    BestEpoch best;
    const Monitor by_loss = monitor_of_best(Recipe(), true, Metric::mean_absolute_error);
    CHECK(is_best(by_loss, at(1, 2, 1), best));
    CHECK(!is_best(by_loss, at(2, 2, 0), best));
    CHECK(is_best(by_loss, at(3, 1, 3), best));
    best = {};
    const Recipe stopping = parse(R"({"name": "mine", "early_stopping": {"monitor": "val_mean_absolute_error"}})");
    const Monitor by_error = monitor_of_best(stopping, true, Metric::mean_absolute_error);
    CHECK(is_best(by_error, at(1, 1, 2), best));
    CHECK(is_best(by_error, at(2, 9, 1), best));
    CHECK(!is_best(by_error, at(3, 0, 1.5), best));
    CHECK(best == BestEpoch{-1, 2});
    CHECK(message_of([&] { require_monitored(stopping, true, Metric::mean_absolute_error); }) == "");
    CHECK(message_of([&] { require_monitored(stopping, true); }) ==
          "recipe mine: early_stopping watches val_mean_absolute_error, but the model reports accuracy; watch that or loss");
    CHECK(message_of([&] { require_monitored(stopping, false, Metric::mean_absolute_error); }) ==
          "recipe mine: early_stopping watches val_mean_absolute_error, but the run does not validate; watch loss or mean_absolute_error");
}

TEST_CASE("Images with targets have no class that could weigh") {
    CHECK(no_class_weights(Recipe()).empty());
    CHECK(one_line_with(message_of([] { no_class_weights(parse(R"({"name": "mine", "class_weights": [1, 2]})")); }),
                        {"recipe mine: class_weights weigh classes"}));
}
