#include "compiler/model.h"

#include "compiler/layers/types.h"
#include "plan/files.h"
#include "plan/json.h"
#include "plan/plan.h"
#include "plan/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <map>
#include <numeric>
#include <stdexcept>

namespace halcyon {
namespace {

using nlohmann::json;

// Of a model and of a layer: they are parts of other names, of files among them, which have 255 bytes.
constexpr std::size_t longest_name = 100;

// Of all layers together. A plan looks at pairs of calls: this many take a minute.
constexpr std::size_t most_inputs = 10'000;

// C and C++ keep identifiers for themselves that begin with an underscore or have two in a row, and the parts of a kernel's symbol stand
// between two.
bool is_identifier(const std::string &name) {
    char before = '_';
    for (const unsigned char c : name) {
        if (!std::isalnum(c) && (c != '_' || before == '_')) return false;
        before = char(c);
    }
    return before != '_' && std::isalpha(static_cast<unsigned char>(name[0]));
}

// What runtime/halcyon.h and runtime/model.h declare with "halcyon_" before it, as a library declares its model.
bool is_taken_by_the_runtime(const std::string &name) {
    constexpr std::array<std::string_view, 14> taken = {
        "close", "initialize", "kernel",       "last_error", "load_weights", "model",      "network",
        "open",  "predict",    "save_weights", "status",     "step",         "train_step", "train_step_on_targets"};
    return std::ranges::find(taken, name) != taken.end();
}

std::string read_model_name(Options &options) {
    std::string name = options.text("name");
    const auto fail = [&](const std::string &reason) {
        throw std::invalid_argument(fmt::format("\"name\" {}, not \"{}\"", reason, shortened(name, longest_name)));
    };
    if (!is_identifier(name)) fail("must be made of letters, digits and single underscores between them, a letter first");
    if (name.size() > longest_name) fail(fmt::format("must have at most {} characters", longest_name));
    if (is_taken_by_the_runtime(name))
        throw std::invalid_argument(fmt::format("the name \"{0}\" is taken: there is a halcyon_{0} in Halcyon itself", name));
    return name;
}

// Names become keys in files and parts of other names ("conv2d/kernel", "d conv2d"), so they hold no slash and no space.
bool is_layer_name(const std::string &name) {
    const auto allowed = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
    return !name.empty() && std::ranges::all_of(name, allowed);
}

// What the plan calls the values that are no layer's.
bool is_reserved(const std::string &name) {
    constexpr std::array<std::string_view, 6> reserved = {"input", "images", "image_indices", "indices", "step", "loss"};
    return std::ranges::find(reserved, name) != reserved.end();
}

/// Whether a buffer of the loss is called so.
bool is_reserved(const std::string &name, const Loss &loss) {
    const auto binds = [&](const std::vector<Buffer> &buffers) { return std::ranges::find(buffers, name, &Buffer::name) != buffers.end(); };
    return binds(loss.targets()) || binds(loss.metrics());
}

void check_floats(const std::string &what, double floats) {
    if (floats > double(most_floats))
        throw std::invalid_argument(fmt::format("{} would hold {:.3g} floats; the most is {}", what, floats, most_floats));
}

double floats_of(const FeatureMap &map) { return double(map.h) * map.w * map.c; }

FeatureMap parse_input(const json &value) {
    Options options(value, "the input");
    const auto [h, w, c] = options.shape("shape");
    options.finish();
    const FeatureMap input{h, w, c};
    check_floats("the input", floats_of(input));
    return input;
}

/// Reads the layers one by one: each knows those before it.
class LayerReader {
public:
    LayerReader(const std::string &file, Model &model) : file_(file), model_(model) {}

    void read(const json &value) {
        const int index = int(model_.layers.size());
        std::string where = fmt::format("layers[{}]", index);
        try {
            Options options(value, "the layer");
            const std::string type = options.text("type");
            const std::string name = options.has("name") ? options.text("name") : default_name(type, unnamed_[type]++);
            where += fmt::format(" \"{}\"", shortened(name, longest_name));
            check_name(name);

            const std::vector<int> inputs = find_inputs(options);
            inputs_ += inputs.size();
            if (inputs_ > most_inputs)
                throw std::invalid_argument(fmt::format("the layers up to here read {} inputs; the most is {}", inputs_, most_inputs));
            const bool trainable = options.flag("trainable", true);
            std::unique_ptr<Layer> layer = make_layer(type, options);
            options.finish();

            layer->name = name, layer->type = type, layer->inputs = inputs, layer->trainable = trainable;
            if (layer->takes_many() ? inputs.size() < 2 : inputs.size() != 1)
                throw std::invalid_argument(
                    fmt::format("takes {}, has {}", layer->takes_many() ? "two or more inputs" : "one input", inputs.size()));
            for (int input : inputs) layer->in.push_back(input == image_input ? model_.input : model_.layers[input]->out);
            layer->out = layer->infer();
            check_scaling(*layer);
            check_sizes(*layer);
            for (const int input : inputs)
                if (input != image_input) is_read_[input] = true;
            is_read_.push_back(false);
            indices_[name] = index;
            model_.layers.push_back(std::move(layer));
        } catch (const std::invalid_argument &error) {
            throw std::runtime_error(fmt::format("{}: {}: {}", file_, where, error.what()));
        }
    }

    /// What can only be seen once all layers are there.
    void finish(const MakeLoss &make_loss) const {
        const int last = int(model_.layers.size()) - 1;
        for (int i = 0; i < last; ++i)
            if (!is_read_[i]) fail(i, "no layer reads its output");
        if (!has_trained_weights_)
            throw std::runtime_error(
                fmt::format("{}: no layer has weights to train; add a dense layer or a conv2d{}", file_,
                            std::ranges::all_of(model_.layers, &Layer::trainable) ? "" : ", or one without \"trainable\": false"));
        model_.loss = make_loss(model_.layers[last]->out);
        leave_activation(layer_before_loss());
        try {
            model_.loss->check();
        } catch (const std::invalid_argument &error) {
            fail(last, error.what());
        }
        for (int i = 0; i <= last; ++i)
            if (is_reserved(model_.layers[i]->name, *model_.loss)) fail(i, "the name is reserved");
    }

private:
    [[noreturn]] void fail(int layer, const std::string &reason) const {
        throw std::runtime_error(fmt::format("{}: layers[{}] \"{}\": {}", file_, layer, model_.layers[layer]->name, reason));
    }

    void leave_activation(int layer) const {
        if (layer == image_input) return;
        const std::string activation = model_.layers[layer]->activation(), taken_in = model_.loss->activation();
        model_.layers[layer]->leaves_activation = activation == taken_in;
        if (activation == "softmax" && taken_in.empty())
            fail(layer, "activation softmax goes with a cross-entropy, and with no other loss");
        const bool makes_probabilities = activation == "softmax" || activation == "sigmoid";
        if (makes_probabilities && !taken_in.empty() && activation != taken_in)
            fail(layer, fmt::format("the loss takes in activation {}, not {}", taken_in, activation));
    }

    /// The layer that makes what the loss takes: the last one that does more than hand on its input.
    int layer_before_loss() const {
        int layer = int(model_.layers.size()) - 1;
        while (layer != image_input && model_.layers[layer]->hands_on()) layer = model_.layers[layer]->inputs[0];
        return layer;
    }

    void check_name(const std::string &name) const {
        if (!is_layer_name(name)) throw std::invalid_argument("a name is made of letters, digits, _, - and .");
        if (name.size() > longest_name) throw std::invalid_argument(fmt::format("a name has at most {} characters", longest_name));
        if (is_reserved(name)) throw std::invalid_argument("the name is reserved");
        const auto taken = indices_.find(name);
        if (taken != indices_.end()) throw std::invalid_argument(fmt::format("the name is taken by layers[{}]", taken->second));
    }

    std::vector<int> find_inputs(Options &options) const {
        if (!options.has("inputs")) return {int(model_.layers.size()) - 1};
        std::vector<int> inputs;
        for (const std::string &name : options.texts("inputs")) {
            const auto found = indices_.find(name);
            if (name == "input")
                inputs.push_back(image_input);
            else if (found != indices_.end())
                inputs.push_back(found->second);
            else
                throw std::invalid_argument(fmt::format("there is no layer \"{}\" before it", shortened(name, longest_name)));
        }
        return inputs;
    }

    /// The input kernel makes one image, which all other layers read: what scales it stands before it, one layer after the other.
    void check_scaling(const Layer &layer) {
        const int index = int(model_.layers.size()), last_scaling = scaling_layers_ - 1;
        if (!layer.scales_input()) {
            for (const int input : layer.inputs)
                if (input < last_scaling)
                    throw std::invalid_argument(fmt::format("reads what \"{}\" scales on; only \"{}\" and layers after it can be read",
                                                            model_.layers[input + 1]->name, model_.layers[last_scaling]->name));
            return;
        }
        if (index != scaling_layers_ || layer.inputs[0] != last_scaling)
            throw std::invalid_argument(
                fmt::format("{} stands at the beginning of a model alone, before layers of other types", layer.type));
        layer.add_to(scaling_);
        ++scaling_layers_;
    }

    void check_sizes(const Layer &layer) {
        check_floats("its output", floats_of(layer.out));
        for (const Weight &weight : layer.weights()) {
            const double floats = std::accumulate(weight.shape.begin(), weight.shape.end(), 1.0, std::multiplies<>());
            check_floats(fmt::format("its {}", weight.name), floats);
            has_trained_weights_ = has_trained_weights_ || layer.trains(weight);
            slab_bytes_ += align_buffer(4 * std::int64_t(floats));
        }
        check_floats("the weights up to here", double(slab_bytes_) / 4);
    }

    const std::string &file_;
    Model &model_;
    std::map<std::string, int> indices_;  // of the layers by name
    std::map<std::string, int> unnamed_;  // how many of each type so far
    std::vector<bool> is_read_;           // by layer
    InputScaling scaling_;                // by the layers at the beginning
    int scaling_layers_ = 0;              // how many those are
    std::size_t inputs_ = 0;              // of the layers so far
    std::int64_t slab_bytes_ = 0;         // of their weights
    bool has_trained_weights_ = false;    // any of them
};

}  // namespace

std::optional<InputScaling> Model::input_scaling() const {
    std::optional<InputScaling> scaling;
    for (const auto &layer : layers) {
        if (!layer->scales_input()) break;
        if (!scaling) scaling.emplace();
        layer->add_to(*scaling);
    }
    return scaling;
}

std::vector<double> Model::dropout_rates() const {
    std::vector<double> rates;
    for (const auto &layer : layers)
        if (const auto rate = layer->dropout_rate()) rates.push_back(*rate);
    return rates;
}

Model parse_model(std::string_view text, const std::string &file) {
    const json document = parse_json(text, file);
    Model model;
    model.text = text;
    LayerReader reader(file, model);
    const json *layers = nullptr;
    MakeLoss make_loss;
    try {
        Options options(document, "the model");
        options.has("$schema");
        model.name = read_model_name(options);
        model.input = parse_input(options.object("input"));
        layers = &options.array("layers");
        make_loss = read_loss(options);
        options.finish();
    } catch (const std::invalid_argument &error) {
        throw std::runtime_error(fmt::format("{}: {}", file, error.what()));
    }
    for (const json &layer : *layers) reader.read(layer);
    reader.finish(make_loss);
    return model;
}

Model load_model(const std::string &path) { return parse_model(read_file(path), path); }

}  // namespace halcyon
