#include "compiler/layers/choices.h"

#include "plan/initializers.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace halcyon {

ActivationChoice::ActivationChoice(Options &options) {
    std::vector<std::string> names = {"linear"};
    for (const Activation &activation : all_activations()) names.push_back(activation.name);
    names.push_back("softmax");
    NamedOptions chosen(options, "activation", names, "linear");
    name = chosen.name;
    const auto row = std::ranges::find(all_activations(), name, &Activation::name);
    if (row != all_activations().end()) link = row->approximate && chosen.own.flag("approximate", false) ? row->approximate : row->link;
    chosen.own.finish();
}

ActivationChoice::ActivationChoice(std::string name) : name(std::move(name)) {}

ChannelAxis::ChannelAxis(Options &options) : axis_(options.has("axis") ? options.numbers("axis", -1, 3) : std::vector<double>{-1}) {}

void ChannelAxis::check(const FeatureMap &in) const {
    if (axis_.size() > 1 || (axis_[0] != -1 && axis_[0] != (in.flat ? 1 : 3)))
        throw std::invalid_argument("\"axis\" must be -1, the channels");
}

InitializerChoice::InitializerChoice(Options &options, const char *key, const std::string &otherwise) {
    std::vector<std::string> names;
    for (const Initializer &initializer : all_initializers()) names.push_back(initializer.name);
    NamedOptions chosen(options, key, names, otherwise);
    name = chosen.name;
    for (const InitializerOption &option : find_initializer(name)->options)
        values.push_back(float(chosen.own.number(option.name.c_str(), option.otherwise, option.low, option.high)));
    chosen.own.finish();
}

RegularizerChoice::RegularizerChoice(Options &options, const char *key) {
    if (!options.has(key)) return;
    NamedOptions type(options, key, {"l1", "l2", "l1_l2"});
    const auto factor = [&](const char *name) {
        return float(type.own.number(name, type.name == name ? 0.01 : 0, 0, find_row("penalised").constants.front().high));
    };
    if (type.name != "l2") l1 = factor("l1");
    if (type.name != "l1") l2 = factor("l2");
    type.own.finish();
}

std::optional<Constraint> read_constraint(Options &options, const char *key, int rank) {
    if (!options.has(key)) return {};
    const std::vector<std::string> names(constraint_names.begin(), constraint_names.end());
    auto [own, name] = NamedOptions(options, key, names);
    Constraint constraint{Constraint::Type(std::ranges::find(names, name) - names.begin())};
    if (constraint.type == Constraint::Type::max_norm) constraint.max_value = float(own.number("max_value", 2, 0, most_value));
    if (constraint.type != Constraint::Type::non_neg) constraint.axes = own.axes("axis", 0, rank - 1, {0});
    own.finish();
    return constraint;
}

}  // namespace halcyon
