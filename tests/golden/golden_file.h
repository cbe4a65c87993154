// The file that stands beside a test, GOLDEN_FILE, which a make_*.py made.
#pragma once

#include "runtime/weights/safetensors.h"
#include "tests/catch.h"
#include "tests/tensors.h"

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

inline const TensorFile &golden() {
    static const TensorFile file = read_safetensors(GOLDEN_FILE);
    return file;
}

/// A tensor of the file.
template<typename Value>
std::vector<Value> tensor(const std::string &name) {
    return tensor_values<Value>(golden(), name);
}

/// Relative to the norm: float32 sums in another order.
inline void check_close(std::span<const float> ours, std::span<const float> theirs, double tolerance) {
    REQUIRE(ours.size() == theirs.size());
    double distance = 0, norm = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
        distance += std::pow(double(ours[i]) - theirs[i], 2);
        norm += std::pow(double(theirs[i]), 2);
    }
    CHECK(std::sqrt(distance) <= tolerance * std::sqrt(norm));
}

}  // namespace halcyon
