#include "runtime/training/normalization.h"

#include "runtime/data/moments.h"

#include <algorithm>
#include <string_view>

namespace halcyon {
namespace {

/// The call that reads the statistics of the model's normalization; null where it has none.
const Call *find_fold(const Network &network) {
    for (const SetPlan &set : network.plan().sets)
        if (set.set == network.set())
            for (const Program &program : set.programs)
                for (const Call &call : program.calls)
                    if (call.kernel.core == "normalization_fold") return &call;
    return nullptr;
}

}  // namespace

void adapt_normalization(Network &network, const Dataset &train, std::span<const std::int32_t> records,
                         std::span<const std::string> given) {
    const Call *fold = find_fold(network);
    if (!fold) return;
    const auto statistic = [&](std::string_view name) -> const Parameter & {
        return *std::ranges::find(network.plan().parameters, fold->layer + "/" + std::string(name), &Parameter::name);
    };
    const Parameter &mean = statistic("mean"), &variance = statistic("variance");
    const auto is_wanted = [&](const Parameter &of) { return std::ranges::find(given, of.name) == given.end(); };
    if (mean.initializer != "image_mean" || (!is_wanted(mean) && !is_wanted(variance))) return;

    // The layers before it make scale x + offset of a value x.
    const ChannelMoments of_images = channel_moments(train, records);
    const double scale = fold->kernel.shape.image_scale, offset = fold->kernel.shape.image_offset;
    if (is_wanted(mean))
        std::ranges::transform(of_images.mean, network.weight(mean).begin(), [&](double x) { return float(scale * x + offset); });
    if (is_wanted(variance))
        std::ranges::transform(of_images.variance, network.weight(variance).begin(), [&](double x) { return float(scale * scale * x); });
}

}  // namespace halcyon
