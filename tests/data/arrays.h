// The images of tests/data/arrays, which make_arrays.py made by a formula, and how tests open what they wrote.
#pragma once

#include "runtime/data/source.h"

#include <algorithm>
#include <filesystem>

namespace halcyon::tests {

inline int value_of(int n, int y, int x, int c) { return (31 * n + 7 * y + 3 * x + 11 * c) % 256; }

/// Whether `data` has these images and labels, floats 255 times smaller.
inline bool is_formula(const Dataset &data, int images, int h, int w, int c) {
    bool equal = data.size() == images && data.h == h && data.w == w && data.c == c;
    std::size_t at = 0;
    for (int n = 0; equal && n < images; ++n) {
        equal = equal && data.labels[std::size_t(n)] == n % 3;
        for (int y = 0; y < h; ++y)
            for (int x = 0; x < w; ++x)
                for (int k = 0; k < c; ++k, ++at) {
                    const int value = value_of(n, y, x, k);
                    equal = equal && (data.pixels.are_floats() ? data.pixels.floats()[at] == float(value / 255.0)
                                                               : data.pixels.bytes()[at] == value);
                }
    }
    return equal && at == std::max(data.pixels.bytes().size(), data.pixels.floats().size());
}

inline DataRequest request_of(const std::filesystem::path &path, int classes = 3) {
    DataRequest request;
    request.path = path;
    request.classes = classes;
    return request;
}

inline Dataset load(const std::filesystem::path &path, Split split = Split::train, int classes = 3) {
    return open_source(request_of(path, classes))->load(split, {});
}

}  // namespace halcyon::tests
