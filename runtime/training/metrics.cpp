#include "runtime/training/metrics.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace halcyon {
namespace {

double ratio(std::int64_t part, std::int64_t all) { return all == 0 ? 0 : double(part) / double(all); }

template<typename Weight>
Scores mean(std::span<const ClassScores> classes, Weight weight) {
    Scores sum;
    double weights = 0;
    for (const ClassScores &scores : classes) {
        const double w = weight(scores);
        sum.precision += w * scores.precision, sum.recall += w * scores.recall, sum.f1 += w * scores.f1;
        weights += w;
    }
    return {sum.precision / weights, sum.recall / weights, sum.f1 / weights};
}

}  // namespace

void Predictions::add(std::uint16_t label, std::span<const float> probabilities) {
    finite_ = finite_ && std::ranges::all_of(probabilities, [](float value) { return std::isfinite(value); });
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
    for (std::size_t label = 0; label < classes_; ++label) {
        ClassScores &scores = classes[label];
        scores.precision = ratio(right[label], scores.predicted);
        scores.recall = ratio(right[label], scores.images);
        scores.f1 = ratio(2 * right[label], scores.predicted + scores.images);
    }
    return classes;
}

std::vector<std::int64_t> Predictions::confusion() const {
    std::vector<std::int64_t> images(classes_ * classes_);
    for (const Prediction &prediction : predictions_) ++images[prediction.label * classes_ + prediction.predicted];
    return images;
}

// By the sum of ranks of class 1, where equal probabilities have the mean of their ranks (Mann and Whitney's U).
std::optional<double> Predictions::auc() const {
    std::vector<Prediction> sorted = predictions_;
    std::ranges::sort(sorted, {}, &Prediction::last);
    double ranks = 0, ones = 0;
    for (auto first = sorted.begin(); first != sorted.end();) {
        const auto end =
            std::find_if(std::next(first), sorted.end(), [first](const Prediction &other) { return other.last != first->last; });
        const auto ones_here = double(std::count_if(first, end, [](const Prediction &prediction) { return prediction.label == 1; }));
        ranks += ones_here * (double(first - sorted.begin()) + double(end - sorted.begin()) + 1) / 2;
        ones += ones_here;
        first = end;
    }
    const double zeros = double(sorted.size()) - ones;
    if (ones == 0 || zeros == 0) return std::nullopt;
    return (ranks - ones * (ones + 1) / 2) / (ones * zeros);
}

Scores macro_mean(std::span<const ClassScores> classes) {
    return mean(classes, [](const ClassScores &) { return 1.0; });
}

Scores weighted_mean(std::span<const ClassScores> classes) {
    return mean(classes, [](const ClassScores &scores) { return double(scores.images); });
}

}  // namespace halcyon
