#include "compiler/graph.h"

#include "plan/augment.h"
#include "plan/step.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>

namespace halcyon {
namespace {

std::int64_t product(const std::vector<int> &sizes) {
    std::int64_t result = 1;
    for (int size : sizes) result *= size;
    return result;
}

/// A float32 value that lies in a slab.
Buffer slab_part(std::string name, std::vector<int> extents, Home home, std::int64_t offset) {
    const std::int64_t bytes = 4 * product(extents);
    return {.name = std::move(name), .type = "float32", .extents = std::move(extents), .home = home, .offset = offset, .bytes = bytes};
}

Buffer external_buffer(const Model &model, const std::string &name) {
    const FeatureMap &image = model.input;
    Buffer buffer;
    buffer.name = name;
    buffer.home = Home::external;
    const auto set = [&](const char *type, std::vector<int> extents) { buffer.type = type, buffer.extents = std::move(extents); };
    if (name == "images")
        set("uint8", {image.c, image.w, image.h, records_extent});
    else if (name == "labels")
        set("uint16", {records_extent});
    else if (name == "indices" || name == "image_indices")
        set("int32", {batch_extent});
    else if (name == "step")
        set("uint32", {step_words(model.dropout_layers(), model.classes())});
    else if (name == "input")
        set("float32", {image.c, image.w, image.h, batch_extent});
    else if (name == "loss" || name == "correct")
        set("float32", {batch_extent});
    else if (name == "probabilities")
        set("float32", {model.classes(), 1, 1, batch_extent});
    else
        throw std::logic_error(fmt::format("the runtime binds no \"{}\"", name));
    return buffer;
}

/// The whole forward pass; the values of the logits and of everything the loss kernel writes.
struct Forward {
    int logits, probabilities;
    Shape loss;
};

Forward lower_forward(const Model &model, Lowering &lowering) {
    const int input = lowering.external("input");
    std::vector<int> outputs;  // of each layer
    for (const auto &layer : model.layers) {
        std::vector<int> inputs;
        for (int from : layer->inputs) inputs.push_back(from == image_input ? input : outputs[from]);
        outputs.push_back(layer->lower(lowering, inputs));
    }

    Forward forward{outputs.back(), lowering.external("probabilities"), {}};
    forward.loss.in_c = model.classes();
    lowering.call("loss", "softmax_cross_entropy_fwd", forward.loss,
                  {forward.logits, lowering.external("labels"), lowering.external("indices"), lowering.external("step")},
                  {forward.probabilities, lowering.external("loss"), lowering.external("correct")});
    return forward;
}

}  // namespace

std::vector<int> Graph::readers(int value) const {
    std::vector<int> found;
    for (int i = 0; i < int(operations.size()); ++i)
        if (std::ranges::find(operations[i].inputs, value) != operations[i].inputs.end()) found.push_back(i);
    return found;
}

int Graph::move_preparations_first() {
    std::vector<bool> is_constant;
    for (const Buffer &value : values) is_constant.push_back(value.home == Home::parameters || value.home == Home::moving);
    std::vector<Operation> preparations, others;
    for (Operation &operation : operations) {
        if (!std::ranges::all_of(operation.inputs, [&](int input) { return is_constant[input]; })) {
            others.push_back(std::move(operation));
            continue;
        }
        for (int output : operation.outputs) {
            is_constant[output] = true;
            values[output].home = Home::prepared;
        }
        preparations.push_back(std::move(operation));
    }
    const int count = int(preparations.size());
    operations = std::move(preparations);
    operations.insert(operations.end(), std::make_move_iterator(others.begin()), std::make_move_iterator(others.end()));
    return count;
}

int Slabs::find(const std::string &name) const {
    const auto found = std::ranges::find(parameters, name, &Parameter::name);
    if (found == parameters.end()) throw std::logic_error(fmt::format("there is no weight \"{}\"", name));
    return int(found - parameters.begin());
}

Slabs lay_out_slabs(const Model &model) {
    Slabs slabs;
    for (const auto &layer : model.layers) {
        for (const Weight &weight : layer->weights()) {
            const std::int64_t count = product(weight.shape);
            (weight.trainable ? slabs.trainable : slabs.non_trainable) += count;
            std::int64_t &end = weight.trainable ? slabs.parameter_bytes : slabs.moving_bytes;
            slabs.parameters.push_back({.name = layer->name + "/" + weight.name,
                                        .shape = weight.shape,
                                        .home = weight.trainable ? Home::parameters : Home::moving,
                                        .offset = end,
                                        .initializer = weight.initializer,
                                        .fan_in = int(weight.fan_in),
                                        .fan_out = int(weight.fan_out),
                                        .values = weight.values});
            slabs.extents.push_back(weight.extents);
            end += align_buffer(4 * count);
        }
    }
    return slabs;
}

Graph lower_input(const Model &model, const Slabs &slabs, bool floats) {
    Lowering lowering(model, slabs, floats ? "input_float" : "input", Lowering::Mode::inference);
    const std::vector<int> data = {lowering.external("images", floats ? "float32" : "uint8"), lowering.external("image_indices"),
                                   lowering.external("step")};
    const int output = lowering.external("input");
    Shape shape;
    shape.in_h = model.input.h, shape.in_w = model.input.w, shape.in_c = model.input.c;
    shape.floats = floats;
    const auto rescale = [](Shape &s, const Rescaled &by) { s.image_scale = float(by.scale), s.image_offset = float(by.offset); };

    const std::optional<InputScaling> scaling = model.input_scaling();
    if (!scaling || !scaling->normalization) {
        if (scaling) rescale(shape, scaling->before);
        lowering.call("input", "input_fwd", shape, data, {output});
        return std::move(lowering).finish();
    }
    const Layer &layer = *scaling->normalization;
    Shape fold;
    fold.in_c = model.input.c;
    rescale(fold, scaling->before);
    const int center = lowering.vector(layer.name + "/center", fold.in_c), factor = lowering.vector(layer.name + "/factor", fold.in_c);
    lowering.call(layer.name, "normalization_fold", fold, {lowering.weight(layer, "mean"), lowering.weight(layer, "variance")},
                  {center, factor});
    rescale(shape, scaling->after);
    lowering.call("input", "input_normalization_fwd", shape, {data[0], data[1], data[2], center, factor}, {output});
    return std::move(lowering).finish();
}

Graph lower_training(const Model &model, const Slabs &slabs) {
    Lowering lowering(model, slabs, "gradients", Lowering::Mode::training);
    const Forward forward = lower_forward(model, lowering);
    const int d_logits = lowering.gradient(forward.logits);
    lowering.call("loss", "softmax_cross_entropy_bwd", forward.loss,
                  {forward.probabilities, lowering.external("labels"), lowering.external("indices"), lowering.external("step")},
                  {d_logits});
    lowering.add_gradient("loss", forward.logits, d_logits);
    lowering.run_backward();
    return std::move(lowering).finish();
}

Graph lower_inference(const Model &model, const Slabs &slabs, int batch) {
    Lowering lowering(model, slabs, batch == 1 ? "infer_one" : "infer", Lowering::Mode::inference, batch);
    lower_forward(model, lowering);
    return std::move(lowering).finish();
}

std::vector<Graph> lower_optimizers(const Model &model, const Slabs &slabs) {
    Shape shape;
    shape.elements = int(slabs.parameter_bytes / 4);
    const Buffer parameters = slab_part("parameters", {shape.elements}, Home::parameters, 0);
    const Buffer gradients = slab_part("gradients", {shape.elements}, Home::gradients, 0);
    const Buffer step = external_buffer(model, "step");
    const auto state = [&](const std::string &name, int slab) {
        return slab_part(name, {shape.elements}, Home::optimizer, slab * slabs.parameter_bytes);
    };
    return {
        {"adam",
         {gradients, step, parameters, state("first_moment", 0), state("second_moment", 1)},
         {{"adam", "optimizer", shape, {0, 1}, {2, 3, 4}}}},
        {"sgd", {gradients, step, parameters, state("velocity", 0)}, {{"sgd", "optimizer", shape, {0, 1}, {2, 3}}}},
    };
}

std::vector<Graph> lower_augmentation(const Model &model) {
    const FeatureMap &image = model.input;
    Shape shape;
    shape.in_h = image.h, shape.in_w = image.w, shape.in_c = image.c;
    const Buffer indices = external_buffer(model, "indices");
    const Buffer words = {.name = "augment", .type = "int32", .extents = {augment_words, batch_extent}, .home = Home::external};
    const auto images = [&](const std::string &name, const std::string &type, int count) {
        return Buffer{.name = name, .type = type, .extents = {image.c, image.w, image.h, count}, .home = Home::external};
    };
    std::vector<Graph> graphs;
    for (const auto &[kernel, type] : {std::pair("augment", "uint8"), std::pair("augment_float", "float32")})
        graphs.push_back({kernel,
                          {images("records", type, records_extent), indices, words, images("augmented", type, images_extent)},
                          {{kernel, "augment", shape, {0, 1, 2}, {3}}}});
    return graphs;
}

Lowering::Lowering(const Model &model, const Slabs &slabs, std::string name, Mode mode, int batch)
    : model_(model), slabs_(slabs), mode_(mode), batch_(batch) {
    graph_.name = std::move(name);
    graph_.keeps_weights = mode == Mode::inference;
}

std::string Lowering::unique(const std::string &name) {
    const int uses = ++uses_[name];
    return uses == 1 ? name : fmt::format("{} #{}", name, uses);
}

int Lowering::new_value(Buffer buffer) {
    wants_gradient_.push_back(buffer.home == Home::parameters);
    gradients_.emplace_back();
    graph_.values.push_back(std::move(buffer));
    return int(graph_.values.size()) - 1;
}

int Lowering::activation(const std::string &name, const FeatureMap &map) {
    Buffer buffer{.name = unique(name), .type = "float32", .extents = {map.c, map.w, map.h, batch_extent}, .home = Home::arena_batch};
    buffer.bytes = std::int64_t{4} * map.c * map.w * map.h;
    return new_value(std::move(buffer));
}

int Lowering::vector(const std::string &name, int size) { return new_value(slab_part(unique(name), {size}, Home::arena_fixed, 0)); }

int Lowering::weight(const Layer &layer, const std::string &name) {
    const std::string full_name = layer.name + "/" + name;
    const auto known = named_.find(full_name);
    if (known != named_.end()) return known->second;
    const int index = slabs_.find(full_name);
    const Parameter &parameter = slabs_.parameters[index];
    return named_[full_name] = new_value(slab_part(full_name, slabs_.extents[index], parameter.home, parameter.offset));
}

int Lowering::external(const std::string &name, const std::string &type) {
    const auto known = named_.find(name);
    if (known != named_.end()) return known->second;
    Buffer buffer = external_buffer(model_, name);
    if (!type.empty()) buffer.type = type;
    return named_[name] = new_value(std::move(buffer));
}

int Lowering::gradient(int value) {
    Buffer buffer = graph_.values[value];
    buffer.name = unique("d " + buffer.name);
    if (buffer.home == Home::parameters) buffer.home = Home::gradients;
    return new_value(std::move(buffer));
}

void Lowering::call(const std::string &layer, const std::string &kernel, const Shape &shape, std::vector<int> inputs,
                    std::vector<int> outputs) {
    const bool wanted = std::ranges::any_of(inputs, [&](int input) { return wants_gradient(input); });
    for (int output : outputs) wants_gradient_[output] = wants_gradient_[output] || wanted;
    graph_.operations.push_back({kernel, layer, shape, std::move(inputs), std::move(outputs)});
}

void Lowering::on_backward(int value, std::function<void(int)> backward) {
    if (training() && wants_gradient(value)) tape_.push_back({value, std::move(backward)});
}

void Lowering::add_gradient(const std::string &layer, int value, int gradient) {
    std::optional<int> &sum = gradients_[value];
    if (!sum) {
        sum = gradient;
        return;
    }
    // new_value() may move `sum`, so it is written at the end.
    const int first = *sum;
    const std::vector<int> extents = graph_.values[value].extents;
    Shape shape;
    shape.in_c = extents[0], shape.in_w = extents[1], shape.in_h = extents[2];
    const int total = this->gradient(value);
    call(layer, "add", shape, {first, gradient}, {total});
    gradients_[value] = total;
}

void Lowering::run_backward() {
    for (auto step = tape_.rbegin(); step != tape_.rend(); ++step)
        if (gradients_[step->value]) step->backward(*gradients_[step->value]);
}

}  // namespace halcyon
