#include "compiler/model.h"

#include "plan/files.h"
#include "plan/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <stdexcept>

namespace halcyon {
namespace {

using nlohmann::json;

// Halide indexes a buffer with 32 bits, so that an image's activation and a slab of weights must stay below 2^31 bytes.
constexpr std::int64_t most_floats = (std::int64_t{1} << 29) - 1;

bool is_identifier(const std::string &name) {
    const auto letter = [](unsigned char c) { return std::isalpha(c) || c == '_'; };
    return !name.empty() && letter(name[0]) && std::ranges::all_of(name, [&](unsigned char c) { return letter(c) || std::isdigit(c); });
}

// Names become keys in files and parts of other names ("conv2d/kernel", "d conv2d"), so they hold no slash and no space.
bool is_layer_name(const std::string &name) {
    const auto allowed = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
    return !name.empty() && std::ranges::all_of(name, allowed);
}

// What the plan calls the values that are no layer's.
bool is_reserved(const std::string &name) {
    constexpr std::array<std::string_view, 8> reserved = {"input", "images", "labels",  "indices",
                                                          "step",  "loss",   "correct", "probabilities"};
    return std::ranges::find(reserved, name) != reserved.end();
}

FeatureMap parse_input(const json &value) {
    Options options(value, "the input");
    const json &shape = options.array("shape");
    options.finish();
    const bool sizes = shape.size() == 3 && std::ranges::all_of(shape, [](const json &item) {
                           return item.is_number_integer() && item >= 1 && item <= largest_size;
                       });
    if (!sizes) throw std::invalid_argument(fmt::format("\"shape\" must be [rows, columns, channels], not {}", short_json(shape)));
    return {shape[0], shape[1], shape[2]};
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
            where += fmt::format(" \"{}\"", name);
            check_name(name);

            const std::vector<int> inputs = find_inputs(options);
            std::unique_ptr<Layer> layer = make_layer(type, options);
            options.finish();

            layer->name = name, layer->type = type, layer->inputs = inputs;
            if (layer->takes_many() ? inputs.size() < 2 : inputs.size() != 1)
                throw std::invalid_argument(
                    fmt::format("takes {}, has {}", layer->takes_many() ? "two or more inputs" : "one input", inputs.size()));
            for (int input : inputs) layer->in.push_back(input == image_input ? model_.input : model_.layers[input]->out);
            layer->out = layer->infer();
            check_sizes(*layer);
            indices_[name] = index;
            model_.layers.push_back(std::move(layer));
        } catch (const std::invalid_argument &error) {
            throw std::runtime_error(fmt::format("{}: {}: {}", file_, where, error.what()));
        }
    }

    /// What can only be seen once all layers are there.
    void finish() const {
        const int count = int(model_.layers.size());
        for (int i = 0; i < count; ++i) {
            const Layer &layer = *model_.layers[i];
            const auto fail = [&](const std::string &reason) {
                throw std::runtime_error(fmt::format("{}: layers[{}] \"{}\": {}", file_, i, layer.name, reason));
            };
            const bool last = i == count - 1;
            if (last && !(layer.type == "dense" && layer.ends_in_softmax())) fail("the last layer must be dense with activation softmax");
            if (!last && layer.ends_in_softmax()) fail("only the last layer, a dense one, can have activation softmax");
            if (last && (layer.out.c < 2 || layer.out.c > 256)) fail("labels are bytes, so there can be 2 to 256 classes");
            if (!last && !is_read(i)) fail("no layer reads its output");
        }
    }

private:
    void check_name(const std::string &name) const {
        if (!is_layer_name(name)) throw std::invalid_argument("a name is made of letters, digits, _, - and .");
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
                throw std::invalid_argument(fmt::format("there is no layer \"{}\" before it", name));
        }
        return inputs;
    }

    void check_sizes(const Layer &layer) {
        const auto limit = [](const std::string &what, double floats) {
            if (floats > double(most_floats))
                throw std::invalid_argument(fmt::format("{} would hold {:.3g} floats; the most is {}", what, floats, most_floats));
        };
        limit("its output", double(layer.out.h) * layer.out.w * layer.out.c);
        const double volume = double(layer.in[0].h) * layer.in[0].w * layer.in[0].c;
        if (layer.type == "dense") limit("its weights", volume * layer.out.c);
        for (const Weight &weight : layer.weights()) {
            double count = 1;
            for (int size : weight.shape) count *= size;
            weights_ += count;
        }
        limit("the model's weights up to here", weights_);
    }

    bool is_read(int index) const {
        return std::ranges::any_of(model_.layers,
                                   [&](const auto &layer) { return std::ranges::find(layer->inputs, index) != layer->inputs.end(); });
    }

    const std::string &file_;
    Model &model_;
    std::map<std::string, int> indices_;  // of the layers by name
    std::map<std::string, int> unnamed_;  // how many of each type so far
    double weights_ = 0;
};

}  // namespace

int Model::dropout_layers() const {
    return int(std::ranges::count_if(layers, [](const auto &layer) { return layer->type == "dropout"; }));
}

Model parse_model(std::string_view text, const std::string &file) {
    const json document = parse_json(text, file);
    Model model;
    LayerReader reader(file, model);
    const json *layers = nullptr;
    try {
        Options options(document, "the model");
        options.has("$schema");
        model.name = options.text("name");
        if (!is_identifier(model.name)) throw std::invalid_argument(fmt::format("\"name\" must be a C identifier, not \"{}\"", model.name));
        model.input = parse_input(options.object("input"));
        layers = &options.array("layers");
        options.text("loss");
        options.choice("loss", {"sparse_categorical_crossentropy"}, "");
        options.finish();
    } catch (const std::invalid_argument &error) {
        throw std::runtime_error(fmt::format("{}: {}", file, error.what()));
    }
    for (const json &layer : *layers) reader.read(layer);
    reader.finish();
    return model;
}

Model load_model(const std::string &path) { return parse_model(read_file(path), path); }

}  // namespace halcyon
