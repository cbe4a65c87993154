// The pointwise functions (plan/pointwise.h) as expressions, and chains of them on the operands that a kernel has for them.
#pragma once

#include "generators/layers/dropout.h"
#include "plan/pointwise.h"

#include <Halide.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace halcyon {

/// Where a value lies.
struct Place {
    Halide::Expr c, x, y, n;
};

/// The activation that a chain is applied to, and what all chains of a kernel share.
struct ChainedActivation {
    int channels, width, height;
    Halide::Expr images;          // of the batch
    Halide::Expr records, words;  // the extents of the labels or targets and of the step buffer, where there are such
};

/// A link with its operands.
struct BoundLink {
    std::function<Halide::Expr(const Halide::Expr &value, const Place &at)> apply;
    std::vector<Halide::Func> channel_values;  // what it computes once for each channel
    std::vector<DropoutMask> masks;            // of a dropout
};

/// `operands` are the row's, by their names there.
BoundLink bind_link(const Link &link, const std::map<std::string, Halide::Func> &operands, const ChainedActivation &of);

/// A chain with its operands: a function of a value and its place. Where nothing schedules its Funcs, they are expressions of the loop that
/// makes the value.
class BoundChain {
public:
    BoundChain() = default;
    explicit BoundChain(std::vector<BoundLink> links) : links_(std::move(links)) {}

    bool empty() const { return links_.empty(); }

    Halide::Expr operator()(Halide::Expr value, const Place &at) const {
        for (const BoundLink &link : links_) value = link.apply(value, at);
        return value;
    }

    std::vector<Halide::Func> channel_values() const {
        std::vector<Halide::Func> values;
        for (const BoundLink &link : links_) values.insert(values.end(), link.channel_values.begin(), link.channel_values.end());
        return values;
    }

    /// Of its dropouts, in order.
    std::vector<DropoutMask> masks() const {
        std::vector<DropoutMask> masks;
        for (const BoundLink &link : links_) masks.insert(masks.end(), link.masks.begin(), link.masks.end());
        return masks;
    }

private:
    std::vector<BoundLink> links_;
};

/// `value`, over (c, x, y, n), with the chain applied to it: what a schedule takes in its place.
inline Halide::Func chained(const Halide::Func &value, const BoundChain &chain) {
    if (chain.empty()) return value;
    const std::vector<Halide::Var> at = value.args();
    Halide::Func result("chained");
    result(at) = chain(value(at), {at[0], at[1], at[2], at[3]});
    return result;
}

}  // namespace halcyon
