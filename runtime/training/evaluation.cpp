#include "runtime/training/evaluation.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace halcyon {

PlacedData place(Network &network, const Dataset &data) { return network.place(data.pixels.records(), data.answers()); }

std::optional<Evaluation> evaluate(Network &network, const PlacedData &data, std::span<const std::int32_t> records,
                                   const StopRequested &stop_requested, const TakeBatch &take) {
    network.bind_data(data);
    BatchResult sums;
    for (std::span<const std::int32_t> rest = records; !rest.empty();) {
        if (stop_requested()) return std::nullopt;
        const auto batch = rest.first(std::min(rest.size(), static_cast<std::size_t>(network.max_batch())));
        const BatchResult result = network.infer(batch);
        sums.loss += result.loss;
        sums.metric += result.metric;
        if (take) take(batch, network.predictions());
        rest = rest.subspan(batch.size());
    }
    const auto images = static_cast<int>(records.size());
    return Evaluation{sums.loss / images, sums.metric / images, images};
}

std::optional<Evaluation> evaluate(Network &network, const PlacedData &data, const StopRequested &stop_requested, const TakeBatch &take) {
    std::vector<std::int32_t> records(static_cast<std::size_t>(data.records()));
    std::iota(records.begin(), records.end(), 0);
    return evaluate(network, data, records, stop_requested, take);
}

}  // namespace halcyon
