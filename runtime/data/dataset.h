// Labelled images of one size: what every source of data gives, and what a network is trained on.
#pragma once

#include "runtime/data/pixels.h"

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

namespace halcyon {

enum class Split { train, validation, test };

/// What folders and messages call it.
constexpr const char *name_of(Split split) { return split == Split::train ? "train" : split == Split::validation ? "validation" : "test"; }

struct Dataset {
    int h = 0, w = 0, c = 0, classes = 0;
    Pixels pixels;                         // a record of h * w * c values an image, (h, w, c), the channel innermost
    std::vector<std::uint16_t> labels;     // one an image, 0 .. classes - 1; none where there are no classes
    int units = 0;                         // targets an image, which may be shares of the classes; 0 where images have labels alone
    std::vector<float> targets;            // those of an image side by side
    std::vector<std::string> class_names;  // or what the units are called
    std::vector<std::string> names;        // what to call each image: its file's path; empty: their numbers

    bool has_targets() const { return units > 0; }
    bool has_classes() const { return classes > 0; }

    int size() const { return static_cast<int>(has_targets() ? targets.size() / static_cast<std::size_t>(units) : labels.size()); }

    /// What a network is to make of the images.
    Answers answers() const {
        if (has_targets()) return std::span<const float>(targets);
        return std::span<const std::uint16_t>(labels);
    }

    /// Those of an image.
    std::span<const float> targets_of(std::int32_t record) const {
        const auto width = static_cast<std::size_t>(units);
        return std::span(targets).subspan(static_cast<std::size_t>(record) * width, width);
    }

    /// Values of an image's record.
    std::size_t record_values() const { return static_cast<std::size_t>(h) * static_cast<std::size_t>(w) * static_cast<std::size_t>(c); }
};

/// Adds the label and the targets that a record of `from` has.
inline void add_answers(Dataset &data, const Dataset &from, std::int32_t record) {
    if (from.has_classes()) data.labels.push_back(from.labels[static_cast<std::size_t>(record)]);
    const std::span<const float> targets = from.targets_of(record);
    data.targets.insert(data.targets.end(), targets.begin(), targets.end());
}

/// The numbers of all its records.
inline std::vector<std::int32_t> all_records(const Dataset &data) {
    std::vector<std::int32_t> records(static_cast<std::size_t>(data.size()));
    std::iota(records.begin(), records.end(), 0);
    return records;
}

/// What to call a class: "class 3" where it has no name. A unit likewise.
inline std::string class_name(const std::vector<std::string> &names, std::size_t label, const char *what = "class") {
    return label < names.size() ? names[label] : std::string(what).append(" ").append(std::to_string(label));
}

}  // namespace halcyon
