#include "compiler/layers/feature_map.h"

#include <fmt/format.h>

#include <stdexcept>

namespace halcyon {

Shape elementwise(const FeatureMap &map) {
    Shape shape;
    shape.in_h = map.h, shape.in_w = map.w, shape.in_c = map.c;
    return shape;
}

std::string to_string(const FeatureMap &map) {
    return map.flat ? fmt::to_string(map.h * map.w * map.c) : fmt::format("{}x{}x{}", map.h, map.w, map.c);
}

void require_channels(const FeatureMap &in, const char *verb) {
    if (in.flat && (in.h > 1 || in.w > 1))
        throw std::invalid_argument(fmt::format("cannot {} what flatten made of rows and columns; put it before the flatten", verb));
}

void require_spatial(const FeatureMap &in) {
    if (in.flat) throw std::invalid_argument(fmt::format("needs rows, columns and channels, but its input is flat ({})", to_string(in)));
}

}  // namespace halcyon
