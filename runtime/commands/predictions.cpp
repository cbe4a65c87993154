#include "runtime/commands/predictions.h"

#include "plan/text.h"
#include "runtime/data/dataset.h"
#include "runtime/training/metrics.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string_view>
#include <utility>

namespace halcyon {
namespace {

using nlohmann::ordered_json;

std::string json_line(const ordered_json &value) { return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n"; }

std::string csv_field(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
    std::string quoted = "\"";
    for (const char character : text) quoted += character == '"' ? "\"\"" : std::string(1, character);
    return quoted + "\"";
}

/// The likeliest classes first.
std::vector<std::size_t> likeliest(std::span<const float> probabilities, int top) {
    std::vector<std::size_t> labels(probabilities.size());
    std::iota(labels.begin(), labels.end(), 0);
    std::ranges::stable_sort(labels, std::ranges::greater(), [&](std::size_t label) { return probabilities[label]; });
    labels.resize(static_cast<std::size_t>(top));
    return labels;
}

/// A prediction whose classes are ordered; they are none where a probability is not finite.
struct Prediction {
    const PredictionLines &lines;
    const std::string &image;
    std::span<const float> probabilities;
    std::vector<std::size_t> labels;

    std::string name(std::size_t label) const { return class_name(lines.class_names, label); }

    std::string text() const {
        if (labels.empty()) return fmt::format("{}: no class, its probabilities are not finite\n", printable(image));
        std::string line = printable(image);
        for (const std::size_t label : labels)
            line += fmt::format("{} {} {:.1f} %", label == labels[0] ? ":" : ",", printable(name(label)), 100 * probabilities[label]);
        return line + "\n";
    }

    std::string json() const {
        ordered_json line = {{"image", image}, {"label", nullptr}, {"class", nullptr}};
        if (!labels.empty()) line["label"] = labels[0], line["class"] = name(labels[0]);
        line["probabilities"] = std::vector<float>(probabilities.begin(), probabilities.end());
        line["top"] = ordered_json::array();
        for (const std::size_t label : labels)
            line["top"].push_back({{"label", label}, {"class", name(label)}, {"probability", probabilities[label]}});
        return json_line(line);
    }

    std::string csv() const {
        if (labels.empty()) return lines.failure(image, "");
        std::string line = csv_field(image);
        for (const std::size_t label : labels) line += fmt::format(",{},{},{}", label, csv_field(name(label)), probabilities[label]);
        return line + "\n";
    }
};

/// What the units of a model make.
struct UnitPrediction {
    const PredictionLines &lines;
    const std::string &image;
    std::span<const float> predictions;

    std::string name(std::size_t unit) const { return class_name(lines.class_names, unit, "unit"); }

    /// The units whose label the image is said to have, the likeliest first.
    std::vector<std::size_t> labels() const {
        std::vector<std::size_t> units = likeliest(predictions, lines.units);
        std::erase_if(units, [&](std::size_t unit) { return !(predictions[unit] > 0.5F); });
        return units;
    }

    std::string text() const {
        std::vector<std::string> parts;
        if (!lines.unit_labels)
            for (const float value : predictions) parts.push_back(fmt::format("{:.6g}", value));
        else if (!all_finite(predictions))
            parts.emplace_back("no label, its probabilities are not finite");
        else
            for (const std::size_t unit : labels())
                parts.push_back(fmt::format("{} {:.1f} %", printable(name(unit)), 100 * predictions[unit]));
        return fmt::format("{}: {}\n", printable(image), parts.empty() ? "no label" : fmt::format("{}", fmt::join(parts, ", ")));
    }

    std::string json() const {
        ordered_json line = {{"image", image}};
        const std::vector<float> values(predictions.begin(), predictions.end());
        if (!lines.unit_labels) {
            line["predictions"] = values;
            return json_line(line);
        }
        line["labels"] = all_finite(predictions) ? ordered_json::array() : ordered_json(nullptr);
        for (std::size_t unit = 0; line["labels"].is_array() && unit < predictions.size(); ++unit)
            if (predictions[unit] > 0.5F) line["labels"].push_back(name(unit));
        line["probabilities"] = values;
        return json_line(line);
    }

    std::string csv() const {
        std::string line = csv_field(image);
        for (const float value : predictions) line += fmt::format(",{}", std::isfinite(value) ? fmt::to_string(value) : "");
        return line + "\n";
    }
};

std::string print(const auto &prediction, PredictionFormat format) {
    switch (format) {
    case PredictionFormat::json:
        return prediction.json();
    case PredictionFormat::csv:
        return prediction.csv();
    case PredictionFormat::text:
        break;
    }
    return prediction.text();
}

}  // namespace

std::string PredictionLines::header() const {
    if (format != PredictionFormat::csv) return "";
    if (units > 0) {
        std::string line = "image";
        for (std::size_t unit = 0; std::cmp_less(unit, units); ++unit)
            line += fmt::format(",{}", csv_field(class_name(class_names, unit, "unit")));
        return line + "\n";
    }
    std::string line = "image,label,class,probability";
    for (int place = 2; place <= top; ++place) line += fmt::format(",label{0},class{0},probability{0}", place);
    return line + "\n";
}

std::string PredictionLines::prediction(const std::string &image, std::span<const float> predictions) const {
    if (units > 0) return print(UnitPrediction{*this, image, predictions}, format);
    Prediction prediction{*this, image, predictions, {}};
    if (all_finite(predictions)) prediction.labels = likeliest(predictions, top);
    return print(prediction, format);
}

std::string PredictionLines::failure(const std::string &image, const std::string &error) const {
    if (format == PredictionFormat::json) return json_line({{"image", image}, {"error", error}});
    if (format == PredictionFormat::csv)
        return csv_field(image) + std::string(static_cast<std::size_t>(units > 0 ? units : 3 * top), ',') + "\n";
    return "";
}

}  // namespace halcyon
