#include "runtime/training/features.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace halcyon {

std::string why_not_kept(const Network &network, std::size_t images, std::int64_t available) {
    if (images > network.addressable_features())
        return fmt::format("the kernels can address those of {} images", network.addressable_features());
    const double bytes = static_cast<double>(images) * static_cast<double>(network.feature_values() * sizeof(float));
    const auto in_mib = [](double size) { return size / (1 << 20); };
    if (bytes <= static_cast<double>(available)) return "";
    return fmt::format("they need {:.1f} MiB of memory, and {:.1f} MiB are available", in_mib(bytes),
                       in_mib(static_cast<double>(available)));
}

std::optional<KeptFeatures> keep_features(Network &network, const Dataset &data, const PlacedData &placed,
                                          std::span<const std::int32_t> records, const StopRequested &stop_requested) {
    const std::size_t values = network.feature_values(), most = static_cast<std::size_t>(network.max_batch());
    Dataset features;
    features.pixels = Pixels::of_floats(records.size() * values);
    features.units = data.units;
    for (const std::int32_t record : records) add_answers(features, data, record);
    network.bind_data(placed);
    for (std::size_t first = 0; first < records.size(); first += most) {
        if (stop_requested()) return std::nullopt;
        const auto batch = records.subspan(first, std::min(most, records.size() - first));
        network.make_features(batch, features.pixels.floats().subspan(first * values, batch.size() * values));
    }
    PlacedData placed_features = network.place_features(features.pixels.floats(), features.answers());
    return KeptFeatures{std::move(features), std::move(placed_features)};
}

}  // namespace halcyon
