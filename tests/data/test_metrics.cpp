// Against metrics.json, which make_metrics.py makes with scikit-learn.
#include "runtime/training/metrics.h"

#include "tests/catch.h"
#include "tests/data/files.h"

#include <nlohmann/json.hpp>

#include <limits>

using namespace halcyon;
using nlohmann::json;

namespace {

Predictions predictions_of(const json &labels, const json &probabilities) {
    Predictions predictions(static_cast<int>(probabilities.at(0).size()));
    for (std::size_t image = 0; image < labels.size(); ++image)
        predictions.add(labels.at(image).get<std::uint16_t>(), probabilities.at(image).get<std::vector<float>>());
    return predictions;
}

bool are(const Scores &scores, const json &expected) {
    return scores.precision == Approx(expected.at("precision").get<double>()) &&
           scores.recall == Approx(expected.at("recall").get<double>()) && scores.f1 == Approx(expected.at("f1").get<double>());
}

}  // namespace

TEST_CASE("Scores by class, their means, the confusion, top-k accuracies and areas under ROC curves are scikit-learn's") {
    const json cases = json::parse(read_bytes(METRICS)).at("cases");
    REQUIRE(cases.size() == 7);
    for (const json &one : cases) {
        const Predictions predictions = predictions_of(one.at("labels"), one.at("probabilities"));
        const json &expected = one.at("expected");
        CAPTURE(expected.dump());
        CHECK(predictions.are_finite());
        const std::vector<ClassScores> classes = predictions.by_class();
        REQUIRE(classes.size() == expected.at("classes").size());
        json confusion = json::array();
        const std::vector<std::int64_t> images = predictions.confusion();
        for (std::size_t label = 0; label < classes.size(); ++label) {
            CAPTURE(label);
            CHECK(are(classes[label], expected.at("classes").at(label)));
            CHECK(classes[label].images == expected.at("classes").at(label).at("images"));
            json row = json::array();
            std::int64_t predicted = 0;
            for (std::size_t other = 0; other < classes.size(); ++other) {
                row.push_back(images[label * classes.size() + other]);
                predicted += images[other * classes.size() + label];
            }
            CHECK(classes[label].predicted == predicted);
            confusion.push_back(row);
        }
        CHECK(confusion == expected.at("confusion"));
        CHECK(are(macro_mean(classes), expected.at("macro")));
        CHECK(are(weighted_mean(classes), expected.at("weighted")));
        if (expected.contains("auc")) {
            const std::optional<double> auc = predictions.auc();
            CHECK(auc.has_value() == !expected.at("auc").is_null());
            if (auc) CHECK(*auc == Approx(expected.at("auc").get<double>()).epsilon(1e-12));
        } else {
            for (std::size_t i = 0; i < expected.at("top").size(); ++i)
                CHECK(predictions.top_accuracy(static_cast<int>(i) + 1) == Approx(expected.at("top").at(i).get<double>()));
        }
    }
}

TEST_CASE("Of equally likely classes the first stands before the others") {
    const Predictions predictions = predictions_of({2, 1, 0}, {{0.25F, 0.375F, 0.375F}, {0.25F, 0.375F, 0.375F}, {0.5F, 0.5F, 0.0F}});
    CHECK(predictions.confusion() == std::vector<std::int64_t>{1, 0, 0, 0, 1, 0, 0, 1, 0});
    CHECK(predictions.top_accuracy(1) == Approx(2.0 / 3));
    CHECK(predictions.top_accuracy(2) == 1);
}

TEST_CASE("Predictions know of probabilities that are not finite") {
    for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        Predictions predictions(2);
        predictions.add(0, std::vector<float>{0.75F, 0.25F});
        CHECK(predictions.are_finite());
        predictions.add(1, std::vector<float>{value, 0.25F});
        predictions.add(1, std::vector<float>{0.5F, 0.5F});
        CHECK(!predictions.are_finite());
    }
}

TEST_CASE("Scores and areas by label, and errors by target, are scikit-learn's") {
    const json expected = json::parse(read_bytes(METRICS)).at("units");
    UnitPredictions predictions(4);
    UnitErrors errors(4);
    for (std::size_t image = 0; image < expected.at("labels").size(); ++image) {
        const auto labels = expected.at("labels").at(image).get<std::vector<float>>();
        const auto probabilities = expected.at("probabilities").at(image).get<std::vector<float>>();
        predictions.add(labels, probabilities);
        errors.add(labels, probabilities);
    }
    CHECK(predictions.are_finite());
    const std::vector<ClassScores> units = predictions.by_unit();
    const std::vector<std::optional<double>> aucs = predictions.aucs();
    REQUIRE((units.size() == 4 && aucs.size() == 4));
    for (std::size_t unit = 0; unit < 4; ++unit) {
        CAPTURE(unit);
        CHECK(are(units[unit], expected.at("units").at(unit)));
        CHECK(units[unit].images == expected.at("units").at(unit).at("images"));
        REQUIRE(aucs[unit].has_value() == !expected.at("aucs").at(unit).is_null());
        if (aucs[unit]) CHECK(*aucs[unit] == Approx(expected.at("aucs").at(unit).get<double>()));
        CHECK(errors.by_unit()[unit].mean_absolute == Approx(expected.at("mean_absolute_errors").at(unit).get<double>()));
        CHECK(errors.by_unit()[unit].root_mean_squared == Approx(expected.at("root_mean_squared_errors").at(unit).get<double>()));
    }
    CHECK(are(macro_mean(units), expected.at("macro")));
    CHECK(are(weighted_mean(units), expected.at("weighted")));
    const ClassScores nothing;
    CHECK(weighted_mean(std::span(&nothing, 1)).f1 == 0);
    predictions.add(std::vector<float>(4), std::vector<float>{0, std::numeric_limits<float>::quiet_NaN(), 0, 0});
    CHECK(!predictions.are_finite());
}
