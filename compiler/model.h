// A model file: a convolutional network's layers, with shapes inferred and everything checked.
#pragma once

#include "compiler/layers/layer.h"
#include "compiler/losses.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

struct Model {
    std::string name;  // part of every symbol; halcyon_<name> clashes with nothing of the run-time library, of C or of C++
    FeatureMap input;
    std::vector<std::unique_ptr<Layer>> layers;  // each reads only layers before it; the loss takes what the last one makes
    std::unique_ptr<Loss> loss;
    std::string text;  // the file's

    /// The classes that labels tell apart; 0 where images have targets.
    int classes() const { return loss->classes(); }
    /// What the layers at the beginning make of the image; nothing where it is none.
    std::optional<InputScaling> input_scaling() const;
    /// The own rates of the layers that drop; each of these has its own random stream.
    std::vector<double> dropout_rates() const;
};

/// `file` names the text in messages. Throws std::runtime_error with one line: the file, the layer and the reason, or the file and line
/// where the text is no JSON.
Model parse_model(std::string_view text, const std::string &file);

Model load_model(const std::string &path);

}  // namespace halcyon
