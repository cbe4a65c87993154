// The types of layers. Each kind of them is a file of this folder, which has a class for each type and lists them.
#pragma once

#include "compiler/layers/layer.h"
#include "compiler/options.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace halcyon {

struct LayerType {
    std::string keras_name;  // what Keras's automatic names begin with
    std::function<std::unique_ptr<Layer>(Options &)> make;
};

template<typename L>
LayerType layer_type(std::string keras_name) {
    return {std::move(keras_name), [](Options &options) { return std::make_unique<L>(options); }};
}

/// By the name that a model file has for it.
using LayerTypes = std::map<std::string, LayerType>;

LayerTypes activations();
LayerTypes convolutions();
LayerTypes merges();
LayerTypes noises();
LayerTypes normalizations();
LayerTypes pools();
LayerTypes scalings();
LayerTypes shapes();

/// A layer of `type` with its own options read from `options`. Throws std::invalid_argument with the reason.
std::unique_ptr<Layer> make_layer(const std::string &type, Options &options);

/// Keras's automatic name for the `index`-th unnamed layer of `type`: "conv2d", "conv2d_1", ...
std::string default_name(const std::string &type, int index);

}  // namespace halcyon
