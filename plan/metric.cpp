#include "plan/metric.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace halcyon {
namespace {

constexpr std::array names = {std::pair{Metric::accuracy, std::string_view("accuracy")},
                              std::pair{Metric::mean_absolute_error, std::string_view("mean_absolute_error")}};

}  // namespace

std::string name_of(Metric metric) {
    return std::string(std::ranges::find(names, metric, [](const auto &named) { return named.first; })->second);
}

Metric metric_called(std::string_view name) {
    const auto *const found = std::ranges::find(names, name, [](const auto &named) { return named.second; });
    if (found == names.end()) throw std::invalid_argument(fmt::format("there is no metric \"{}\"", name));
    return found->first;
}

std::string to_text(Metric metric, double value) {
    return is_error(metric) ? fmt::format("{:.4f}", value) : fmt::format("{:.2f} %", 100 * value);
}

}  // namespace halcyon
