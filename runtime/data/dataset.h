// Labelled images of one size: what every source of data gives, and what a network is trained on.
#pragma once

#include "runtime/data/pixels.h"

#include <cstdint>
#include <string>
#include <vector>

namespace halcyon {

enum class Split { train, validation, test };

/// What folders and messages call it.
constexpr const char *name_of(Split split) { return split == Split::train ? "train" : split == Split::validation ? "validation" : "test"; }

struct Dataset {
    int h = 0, w = 0, c = 0, classes = 0;
    Pixels pixels;                      // a record of h * w * c values an image, (h, w, c), the channel innermost
    std::vector<std::uint16_t> labels;  // one an image, 0 .. classes - 1
    std::vector<std::string> class_names;
    std::vector<std::string> names;  // what to call each image: its file's path; empty: their numbers

    int size() const { return static_cast<int>(labels.size()); }
};

}  // namespace halcyon
