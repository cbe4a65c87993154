// The shape of what goes from layer to layer.
#pragma once

#include "plan/shape.h"

#include <string>

namespace halcyon {

/// The shape of an activation. `flat`: Keras sees a vector of h*w*c; in memory nothing changes.
struct FeatureMap {
    int h = 0, w = 0, c = 0;
    bool flat = false;

    auto operator<=>(const FeatureMap &) const = default;
};

/// "30x30x32", or "128" where flat.
std::string to_string(const FeatureMap &map);

/// The shape of a kernel that works on each element or channel: only in_* are set, the output has the same sizes.
Shape elementwise(const FeatureMap &map);

/// Throws std::invalid_argument where rows and columns were flattened: of those Keras takes every value for a channel. `verb`: what cannot
/// be done to it.
void require_channels(const FeatureMap &in, const char *verb);

/// Throws std::invalid_argument where the input is flat.
void require_spatial(const FeatureMap &in);

}  // namespace halcyon
