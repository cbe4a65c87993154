#include "runtime/commands/commands.h"

#include "runtime/engine/network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace halcyon {
namespace {

using nlohmann::ordered_json;

void print_as_json(const Plan &plan) {
    ordered_json layers = ordered_json::array();
    for (const LayerSummary &layer : plan.layers)
        layers.push_back(
            {{"name", layer.name}, {"type", layer.type}, {"output_shape", layer.output_shape}, {"parameters", layer.parameters}});
    ordered_json out;
    out["layers"] = layers;
    out["parameters"] = plan.trainable + plan.non_trainable;
    out["trainable"] = plan.trainable;
    out["non_trainable"] = plan.non_trainable;
    print_json(out);
}

/// 297226 as "297,226".
std::string grouped(std::int64_t number) {
    std::string text = std::to_string(number);
    for (int i = static_cast<int>(text.size()) - 3; i > 0; i -= 3) text.insert(static_cast<std::size_t>(i), 1, ',');
    return text;
}

void print_table(const Plan &plan) {
    std::size_t name_width = 0;
    for (const LayerSummary &layer : plan.layers) name_width = std::max(name_width, layer.name.size());
    const auto row = [&](const auto &...columns) { fmt::print("{:<{}}  {:<22}{:<16}{:>12}\n", columns...); };
    const std::string rule(name_width + 52, '-');

    fmt::print("model {}, input {}x{}x{}\n\n", plan.model, plan.in_h, plan.in_w, plan.in_c);
    row("layer", name_width, "type", "output", "parameters");
    fmt::print("{}\n", rule);
    for (const LayerSummary &layer : plan.layers)
        row(layer.name, name_width, layer.type, fmt::format("{}", fmt::join(layer.output_shape, "x")), grouped(layer.parameters));
    fmt::print("{}\n", rule);
    fmt::print("parameters {}, trainable {}, non-trainable {}\n", grouped(plan.trainable + plan.non_trainable), grouped(plan.trainable),
               grouped(plan.non_trainable));
}

}  // namespace

int run_summary(const halcyon_model &model, bool json) {
    const Plan plan = plan_of(model);
    json ? print_as_json(plan) : print_table(plan);
    return exit_done;
}

}  // namespace halcyon
