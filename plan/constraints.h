// What a weight is held to: after each step of training it becomes what its constraint makes of it. Keras's (keras/src/constraints).
#pragma once

#include <array>
#include <vector>

namespace halcyon {

struct Constraint {
    /// max_norm: norms are at most max_value; unit_norm: they are 1; non_neg: what is negative becomes 0.
    enum class Type { max_norm, unit_norm, non_neg };

    Type type = Type::max_norm;
    float max_value = 0;         // of max_norm
    std::vector<int> axes = {};  // of the norms: those of the weight's shape that each is taken over

    bool operator==(const Constraint &) const = default;
};

/// Keras's names, in the order of the types.
inline constexpr std::array constraint_names = {"max_norm", "unit_norm", "non_neg"};

}  // namespace halcyon
