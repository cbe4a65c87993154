// Options that several layers have.
#pragma once

#include "compiler/layers/feature_map.h"
#include "compiler/options.h"
#include "plan/constraints.h"
#include "plan/pointwise.h"

#include <optional>
#include <string>
#include <vector>

namespace halcyon {

/// The activation that a layer goes through: by its name, or {"type": name, its options}.
struct ActivationChoice {
    std::string name;
    std::optional<Link> link = {};  // none of linear, nor of softmax

    explicit ActivationChoice(Options &options);
    explicit ActivationChoice(std::string name);
};

/// The "axis" of layers over the channels, which are the last.
class ChannelAxis {
public:
    explicit ChannelAxis(Options &options);

    /// Throws std::invalid_argument where it is another axis.
    void check(const FeatureMap &in) const;

private:
    std::vector<double> axis_;
};

/// What a weight begins as: by the name of an initializer, or {"type": name, its options}.
struct InitializerChoice {
    std::string name;
    std::vector<float> values = {};  // Parameter::values

    InitializerChoice(Options &options, const char *key, const std::string &otherwise);
};

/// What a weight adds to the loss, l1 |w| + l2 w^2.
struct RegularizerChoice {
    float l1 = 0, l2 = 0;

    RegularizerChoice(Options &options, const char *key);

    bool is_none() const { return l1 == 0 && l2 == 0; }
};

/// What a weight of so many axes is held to.
std::optional<Constraint> read_constraint(Options &options, const char *key, int rank);

}  // namespace halcyon
