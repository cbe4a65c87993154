#include "compiler/layers/types.h"

#include "plan/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <vector>

namespace halcyon {
namespace {

LayerTypes all_layer_types() {
    LayerTypes all;
    for (const auto &kind : {activations, convolutions, merges, noises, normalizations, pools, scalings, shapes}) all.merge(kind());
    return all;
}

const LayerTypes &layer_types() {
    static const LayerTypes types = all_layer_types();
    return types;
}

const LayerType &find_type(const std::string &type) {
    const auto found = layer_types().find(type);
    if (found != layer_types().end()) return found->second;
    std::vector<std::string> names;
    for (const auto &[name, layer_type] : layer_types()) names.push_back(name);
    throw std::invalid_argument(fmt::format("unknown type \"{}\"; there are {}", shortened(type, 100), fmt::join(names, ", ")));
}

}  // namespace

std::unique_ptr<Layer> make_layer(const std::string &type, Options &options) { return find_type(type).make(options); }

std::string default_name(const std::string &type, int index) {
    const std::string &name = find_type(type).keras_name;
    return index == 0 ? name : fmt::format("{}_{}", name, index);
}

}  // namespace halcyon
