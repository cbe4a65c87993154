#include "runtime/commands/predictions.h"

#include "plan/text.h"
#include "runtime/data/dataset.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string_view>

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

bool are_finite(std::span<const float> values) {
    return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
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

}  // namespace

std::string PredictionLines::header() const {
    if (format != PredictionFormat::csv) return "";
    std::string line = "image,label,class,probability";
    for (int place = 2; place <= top; ++place) line += fmt::format(",label{0},class{0},probability{0}", place);
    return line + "\n";
}

std::string PredictionLines::prediction(const std::string &image, std::span<const float> probabilities) const {
    Prediction prediction{*this, image, probabilities, {}};
    if (are_finite(probabilities)) prediction.labels = likeliest(probabilities, top);
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

std::string PredictionLines::failure(const std::string &image, const std::string &error) const {
    if (format == PredictionFormat::json) return json_line({{"image", image}, {"error", error}});
    if (format == PredictionFormat::csv) return csv_field(image) + std::string(3 * static_cast<std::size_t>(top), ',') + "\n";
    return "";
}

}  // namespace halcyon
