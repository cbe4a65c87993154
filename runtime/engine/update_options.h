// What a recipe can ask of any optimizer: what Keras's have in common.
#pragma once

#include "plan/optimizers.h"

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace halcyon {

/// What the gradients of a step are clipped to.
struct Clipping {
    /// Each value to -most .. most; a tensor's norm, or that of all tensors, to most.
    enum class By { value, norm, global_norm };
    By by;
    double most;  // is_scale()

    bool operator==(const Clipping &) const = default;
};

/// A number that float32 holds.
constexpr bool is_scale(double x) { return x >= 1e-30 && x <= 1e30; }
constexpr const char *scale_range = "a number from 1e-30 to 1e30";

/// Keras's name for it.
constexpr const char *clipping_key(const Clipping &clipping) {
    return std::array{"clipvalue", "clipnorm", "global_clipnorm"}[static_cast<std::size_t>(clipping.by)];
}

/// An average of each weight over the steps, each counting `momentum` times as much as the next.
struct Averaging {
    double momentum = 0.99;                       // in ema_momentum's range
    std::optional<int> overwrite_frequency = {};  // after so many steps, again and again, weights become their averages; at least 1

    bool operator==(const Averaging &) const = default;
};

/// A recipe's key for that momentum.
inline const OptimizerSetting ema_momentum = {"ema_momentum", Averaging().momentum, {1e-30, 0.9999999, true}};

struct UpdateOptions {
    std::optional<Clipping> clip = {};
    std::vector<std::string> exclude_from_weight_decay = {};  // texts: weights with one of them in the name do not decay, nor have an l2
    std::optional<Averaging> average = {};

    bool operator==(const UpdateOptions &) const = default;
};

/// Of each weight a step takes `shrink` times itself, and its gradient gets `l2` times it.
struct WeightDecay {
    float shrink, l2;
};

}  // namespace halcyon
