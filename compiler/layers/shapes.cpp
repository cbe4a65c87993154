// The same values in another shape.
#include "compiler/layers/types.h"

#include "compiler/graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace halcyon {
namespace {

/// Neither a kernel nor a copy: what comes after it reads (c, x, y, n).
class Flatten : public Layer {
public:
    explicit Flatten(Options &) {}
    FeatureMap infer() const override { return {in[0].h, in[0].w, in[0].c, true}; }
    bool hands_on() const override { return true; }
    int lower(Lowering &, const std::vector<int> &inputs) const override { return inputs[0]; }
};

/// The same where rows, columns and channels stay, as they are or flat: others would lie in memory in another way.
class Reshape : public Layer {
public:
    explicit Reshape(Options &options) : target_(options.target_shape("target_shape")) {}

    FeatureMap infer() const override {
        const auto [h, w, c, _] = in[0];
        const FeatureMap made = {h, w, c, target_.size() == 1};
        const std::vector<int> sizes = made.flat ? std::vector<int>{h * w * c} : std::vector<int>{h, w, c};
        const auto fits = [](int target, int size) { return target == -1 || target == size; };
        if (!std::ranges::equal(target_, sizes, fits))
            throw std::invalid_argument(fmt::format("cannot reshape {} to [{}]: only to [{}] or [{}, {}, {}]", to_string(in[0]),
                                                    fmt::join(target_, ", "), h * w * c, h, w, c));
        return made;
    }

    bool hands_on() const override { return true; }
    int lower(Lowering &, const std::vector<int> &inputs) const override { return inputs[0]; }

private:
    std::vector<int> target_;
};

}  // namespace

LayerTypes shapes() {
    return {
        {"flatten", layer_type<Flatten>("flatten")},
        {"reshape", layer_type<Reshape>("reshape")},
    };
}

}  // namespace halcyon
