#include "runtime/training/metrics.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace halcyon {
namespace {

double ratio(std::int64_t part, std::int64_t all) { return all == 0 ? 0 : double(part) / double(all); }

/// Of so many images that were taken for what they are.
void set_scores(ClassScores &scores, std::int64_t right) {
    scores.precision = ratio(right, scores.predicted);
    scores.recall = ratio(right, scores.images);
    scores.f1 = ratio(2 * right, scores.predicted + scores.images);
}

/// By the sum of ranks of those that have the label, where equal probabilities have the mean of their ranks (Mann and Whitney's U).
std::optional<double> area_under_curve(std::vector<ProbabilityOf> sorted) {
    std::ranges::sort(sorted, {}, &ProbabilityOf::probability);
    double ranks = 0, ones = 0;
    for (auto first = sorted.begin(); first != sorted.end();) {
        const auto end = std::find_if(std::next(first), sorted.end(),
                                      [first](const ProbabilityOf &other) { return other.probability != first->probability; });
        const auto ones_here = double(std::count_if(first, end, [](const ProbabilityOf &one) { return one.has; }));
        ranks += ones_here * (double(first - sorted.begin()) + double(end - sorted.begin()) + 1) / 2;
        ones += ones_here;
        first = end;
    }
    const double zeros = double(sorted.size()) - ones;
    if (ones == 0 || zeros == 0) return std::nullopt;
    return (ranks - ones * (ones + 1) / 2) / (ones * zeros);
}

template<typename Weight>
Scores mean(std::span<const ClassScores> classes, Weight weight) {
    Scores sum;
    double weights = 0;
    for (const ClassScores &scores : classes) {
        const double w = weight(scores);
        sum.precision += w * scores.precision, sum.recall += w * scores.recall, sum.f1 += w * scores.f1;
        weights += w;
    }
    if (weights == 0) return {};  // no image has a label
    return {sum.precision / weights, sum.recall / weights, sum.f1 / weights};
}

}  // namespace

bool all_finite(std::span<const float> values) {
    return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

void Predictions::add(std::uint16_t label, std::span<const float> probabilities) {
    finite_ = finite_ && all_finite(probabilities);
    const auto best = std::ranges::max_element(probabilities) - probabilities.begin();
    const float own = probabilities[label];
    const auto likelier = std::ranges::count_if(probabilities, [own](float other) { return other > own; });
    const auto equal_before = std::ranges::count(probabilities.first(label), own);
    predictions_.push_back(
        {label, static_cast<std::uint16_t>(best), static_cast<std::uint16_t>(likelier + equal_before), probabilities.back()});
}

double Predictions::top_accuracy(int k) const {
    const auto among = std::ranges::count_if(predictions_, [k](const Prediction &prediction) { return prediction.before < k; });
    return double(among) / double(predictions_.size());
}

std::vector<ClassScores> Predictions::by_class() const {
    std::vector<ClassScores> classes(classes_);
    std::vector<std::int64_t> right(classes_);
    for (const Prediction &prediction : predictions_) {
        ++classes[prediction.label].images;
        ++classes[prediction.predicted].predicted;
        if (prediction.label == prediction.predicted) ++right[prediction.label];
    }
    for (std::size_t label = 0; label < classes_; ++label) set_scores(classes[label], right[label]);
    return classes;
}

std::vector<std::int64_t> Predictions::confusion() const {
    std::vector<std::int64_t> images(classes_ * classes_);
    for (const Prediction &prediction : predictions_) ++images[prediction.label * classes_ + prediction.predicted];
    return images;
}

std::optional<double> Predictions::auc() const {
    std::vector<ProbabilityOf> of_last;
    for (const Prediction &prediction : predictions_) of_last.push_back({prediction.last, prediction.label == 1});
    return area_under_curve(std::move(of_last));
}

void UnitPredictions::add(std::span<const float> labels, std::span<const float> probabilities) {
    finite_ = finite_ && all_finite(probabilities.first(units_));
    for (std::size_t unit = 0; unit < units_; ++unit) of_units_.push_back({probabilities[unit], labels[unit] > 0.5F});
}

std::vector<ClassScores> UnitPredictions::by_unit() const {
    std::vector<ClassScores> units(units_);
    std::vector<std::int64_t> right(units_);
    for (std::size_t i = 0; i < of_units_.size(); ++i) {
        const std::size_t unit = i % units_;
        const bool has = of_units_[i].has, predicted = of_units_[i].probability > 0.5F;
        units[unit].images += has;
        units[unit].predicted += predicted;
        right[unit] += has && predicted;
    }
    for (std::size_t unit = 0; unit < units_; ++unit) set_scores(units[unit], right[unit]);
    return units;
}

std::vector<std::optional<double>> UnitPredictions::aucs() const {
    std::vector<std::optional<double>> areas;
    for (std::size_t unit = 0; unit < units_; ++unit) {
        std::vector<ProbabilityOf> of_unit;
        for (std::size_t i = unit; i < of_units_.size(); i += units_) of_unit.push_back(of_units_[i]);
        areas.push_back(area_under_curve(std::move(of_unit)));
    }
    return areas;
}

void UnitErrors::add(std::span<const float> targets, std::span<const float> predicted) {
    ++images_;
    for (std::size_t unit = 0; unit < sums_.size(); ++unit) {
        const double difference = double(predicted[unit]) - double(targets[unit]);
        sums_[unit].absolute += std::abs(difference);
        sums_[unit].squared += difference * difference;
    }
}

std::vector<UnitErrors::Errors> UnitErrors::by_unit() const {
    const auto images = static_cast<double>(images_);
    std::vector<Errors> errors;
    for (const Sums &sums : sums_) errors.push_back({sums.absolute / images, std::sqrt(sums.squared / images)});
    return errors;
}

Scores macro_mean(std::span<const ClassScores> classes) {
    return mean(classes, [](const ClassScores &) { return 1.0; });
}

Scores weighted_mean(std::span<const ClassScores> classes) {
    return mean(classes, [](const ClassScores &scores) { return double(scores.images); });
}

}  // namespace halcyon
