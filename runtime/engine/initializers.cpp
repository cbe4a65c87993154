#include "runtime/engine/initializers.h"

#include "plan/initializers.h"
#include "plan/step.h"
#include "runtime/engine/random.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace halcyon {
namespace {

/// Box and Muller, 1958. Of 24 bits each, so that the logarithm is of 2^-24 at least.
double standard_normal(const std::array<std::uint32_t, 2> &bits) {
    const double radius = (static_cast<double>(bits[0] >> 8) + 1) * 0x1p-24, angle = static_cast<double>(bits[1] >> 8) * 0x1p-24;
    return std::sqrt(-2 * std::log(radius)) * std::cos(2 * std::numbers::pi * angle);
}

/// Numbers of its own for each (parameter, element); `index` has 16 bits, above which the attempts are counted.
void fill(std::span<float> weight, const Draw &draw, std::uint32_t index, std::uint32_t key) {
    for (std::size_t element = 0; element < weight.size(); ++element) {
        const auto bits = [&](std::uint32_t attempt) {
            return philox2x32({static_cast<std::uint32_t>(element), index + (attempt << 16)}, key);
        };
        if (draw.distribution == Distribution::uniform) {
            const float uniform = static_cast<float>(bits(0)[0] >> 8) * 0x1p-24F;
            weight[element] = draw.center + draw.spread * (2.0F * uniform - 1.0F);
            continue;
        }
        double normal = standard_normal(bits(0));
        for (std::uint32_t attempt = 1; draw.distribution == Distribution::truncated_normal && std::abs(normal) > 2; ++attempt)
            normal = standard_normal(bits(attempt));
        weight[element] = static_cast<float>(draw.center + draw.spread * normal);
    }
}

}  // namespace

void initialize_weight(std::span<float> weight, const Parameter &parameter, std::uint32_t index, std::uint32_t seed) {
    const Initializer *const initializer = find_initializer(parameter.initializer);
    if (initializer && parameter.values.size() == initializer->options.size()) {
        const Draw draw = initializer->draw(parameter);
        if (draw.spread == 0)
            std::ranges::fill(weight, draw.center);
        else
            fill(weight, draw, index, stream_key(seed, 0, stream_init));
    } else if (parameter.initializer == "image_variance")
        std::ranges::fill(weight, 1.0F);
    else if (parameter.initializer == "image_mean")
        std::ranges::fill(weight, 0.0F);
    else if (parameter.initializer == "given" && parameter.values.size() == weight.size())
        std::ranges::copy(parameter.values, weight.begin());
    else
        throw std::runtime_error(fmt::format("weight {}: there is no initializer \"{}\"", parameter.name, parameter.initializer));
}

}  // namespace halcyon
