#include "runtime/engine/initializers.h"

#include "plan/step.h"
#include "runtime/engine/random.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace halcyon {
namespace {

/// Glorot and Bengio's uniform initialisation: -limit .. limit, a number of its own for each (parameter, element).
void glorot_uniform(std::span<float> weight, const Parameter &parameter, std::uint32_t index, std::uint32_t key) {
    const float limit = std::sqrt(6.0F / static_cast<float>(parameter.fan_in + parameter.fan_out));
    for (std::size_t element = 0; element < weight.size(); ++element) {
        const std::uint32_t bits = philox2x32({static_cast<std::uint32_t>(element), index}, key)[0];
        const float uniform = static_cast<float>(bits >> 8) * 0x1p-24F;
        weight[element] = limit * (2.0F * uniform - 1.0F);
    }
}

}  // namespace

void initialize_weight(std::span<float> weight, const Parameter &parameter, std::uint32_t index, std::uint32_t seed) {
    if (parameter.initializer == "glorot_uniform")
        glorot_uniform(weight, parameter, index, stream_key(seed, 0, stream_init));
    else if (parameter.initializer == "ones" || parameter.initializer == "image_variance")
        std::ranges::fill(weight, 1.0F);
    else if (parameter.initializer == "zeros" || parameter.initializer == "image_mean")
        std::ranges::fill(weight, 0.0F);
    else if (parameter.initializer == "given" && parameter.values.size() == weight.size())
        std::ranges::copy(parameter.values, weight.begin());
    else
        throw std::runtime_error(fmt::format("weight {}: there is no initializer \"{}\"", parameter.name, parameter.initializer));
}

}  // namespace halcyon
