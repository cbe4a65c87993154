#include "compiler/graph.h"

#include "plan/augment.h"
#include "plan/optimizers.h"
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

Buffer loss_buffer(const Loss &loss, const std::string &name) {
    for (const std::vector<Buffer> &bound : {loss.targets(), loss.metrics()}) {
        const auto found = std::ranges::find(bound, name, &Buffer::name);
        if (found != bound.end()) return *found;
    }
    throw std::logic_error(fmt::format("the runtime binds no \"{}\"", name));
}

/// What the last of the layers makes that make features.
const FeatureMap &features_of(const Model &model) { return model.layers[std::size_t(feature_layers(model) - 1)]->out; }

Buffer external_buffer(const Model &model, const std::string &name) {
    const FeatureMap &image = model.input;
    Buffer buffer;
    buffer.name = name;
    buffer.home = Home::external;
    const auto set = [&](const char *type, std::vector<int> extents) { buffer.type = type, buffer.extents = std::move(extents); };
    const auto set_map = [&](const FeatureMap &map) { set("float32", {map.c, map.w, map.h, batch_extent}); };
    if (name == "images")
        set("uint8", {image.c, image.w, image.h, records_extent});
    else if (name == "indices" || name == "image_indices")
        set("int32", {batch_extent});
    else if (name == "step")
        set("uint32", {step_words(int(model.dropout_rates().size()), model.classes())});
    else if (name == "input")
        set_map(image);
    else if (name == "frozen features")
        set_map(features_of(model));
    else
        return loss_buffer(*model.loss, name);
    return buffer;
}

/// The forward pass of a layer. `outputs` has what the layers before it make, and gets what it makes; `input` is the image.
void lower_layer(const Layer &layer, Lowering &lowering, int input, std::vector<int> &outputs) {
    std::vector<int> inputs;
    for (int from : layer.inputs) inputs.push_back(from == image_input ? input : outputs[std::size_t(from)]);
    outputs.push_back(layer.lower(lowering, inputs));
}

/// The forward pass of the layers from `first` to before `end`. `input` is what those before make, or the image. Returns the value that the
/// last one makes.
int lower_layers(const Model &model, Lowering &lowering, int input, int first, int end) {
    std::vector<int> outputs(std::size_t(first), input);  // of each layer; of those before `first` the last one alone is read
    for (int i = first; i < end; ++i) lower_layer(*model.layers[std::size_t(i)], lowering, input, outputs);
    return outputs.back();
}

/// The forward pass behind the first `features` layers with the loss. Returns the value that the last layer makes.
int lower_forward(const Model &model, Lowering &lowering, int features) {
    const int input = lowering.external(features > 0 ? "frozen features" : "input");
    const int output = lower_layers(model, lowering, input, features, int(model.layers.size()));
    model.loss->lower_forward(lowering, output);
    return output;
}

/// A program of one call, whose buffers have the names of the kernel's arguments.
Graph one_call(const std::string &name, const std::string &core, const std::string &layer, const Shape &shape,
               const std::vector<Buffer> &inputs, const std::vector<Buffer> &outputs) {
    Graph graph;
    graph.name = name;
    const auto add = [&](const std::vector<Buffer> &buffers) {
        Operands operands;
        for (const Buffer &buffer : buffers) {
            operands.insert(buffer.name, int(graph.values.size()));
            graph.values.push_back(buffer);
        }
        return operands;
    };
    graph.operations.push_back({core, layer, shape, add(inputs), add(outputs)});
    return graph;
}

/// The values of a call in the order of its kernel's arguments.
std::vector<int> values_of(const Operation &call, const Kernel &kernel) {
    std::map<std::string, int> named;
    const auto name = [&](const std::string &argument, int value) {
        const auto [known, is_new] = named.emplace(argument, value);
        if (!is_new && known->second != value)
            throw std::logic_error(fmt::format("layer \"{}\" calls {} with two values of \"{}\"", call.layer, call.core, argument));
    };
    for (const Operands *operands : {&call.inputs, &call.outputs})
        for (const Operand &operand : *operands) name(operand.name, operand.value);
    for (const auto &[place, links] : call.chains)
        for (std::size_t i = 0; i < links.size(); ++i)
            for (const RowOperand &operand : find_row(links[i].row).operands)
                name(operand_name(kernel, place, int(i), operand), links[i].operands[operand.name]);

    std::vector<int> values;
    for (const KernelArgument &argument : arguments_of(kernel)) {
        const auto found = named.find(argument.name);
        if (found == named.end())
            throw std::logic_error(fmt::format("layer \"{}\" calls {} without its \"{}\"", call.layer, call.core, argument.name));
        values.push_back(found->second);
    }
    const auto check = [&](const Operands &operands, const std::vector<Argument> &of_core) {
        for (const Operand &operand : operands)
            if (std::ranges::find(of_core, operand.name, &Argument::name) == of_core.end())
                throw std::logic_error(fmt::format("layer \"{}\" calls {} with an unknown \"{}\"", call.layer, call.core, operand.name));
    };
    check(call.inputs, kernel.of().inputs);
    check(call.outputs, kernel.of().outputs);
    return values;
}

/// The input that the link's operand for each element is already; -1 where it is the first to read that value, or has no such operand.
int input_that_is_operand_of(const Operation &call, const Kernel &kernel, const std::string &place, int link) {
    for (const RowOperand &operand : find_row(kernel.chain(place)[link].row).operands) {
        if (operand.beside != Beside::element) continue;
        const std::vector<int> values = values_of(call, kernel);
        const auto first = std::ranges::find(values, call.chain(place)[link].operands[operand.name]) - values.begin();
        return arguments_of(kernel)[first].name == operand_name(kernel, place, link, operand) ? -1 : int(first);
    }
    return -1;
}

}  // namespace

const AppliedChain &Operation::chain(const std::string &place) const {
    static const AppliedChain none;
    const auto found = chains.find(place);
    return found == chains.end() ? none : found->second;
}

std::vector<int> Operation::values_read() const {
    std::vector<int> values;
    for (const Operand &input : inputs) values.push_back(input.value);
    for (const auto &[place, chain] : chains)
        for (const AppliedLink &link : chain)
            for (const Operand &operand : link.operands) values.push_back(operand.value);
    return values;
}

bool Operation::reads(int value) const {
    if (inputs.holds(value)) return true;
    for (const auto &[place, chain] : chains)
        for (const AppliedLink &link : chain)
            if (link.operands.holds(value)) return true;
    return false;
}

Kernel Operation::kernel() const {
    Kernel kernel{core, shape};
    for (const auto &[place, links] : chains)
        for (const AppliedLink &link : links)
            kernel.chains[place].push_back({.row = link.row, .number = link.number, .constants = link.constants});
    // In the order of the arguments, so that what is found for one link stays true when the next ones are looked at.
    for (const std::string &place : places_of(kernel.of()))
        for (std::size_t i = 0; i < chain(place).size(); ++i)
            kernel.chains[place][i].same_as = input_that_is_operand_of(*this, kernel, place, int(i));
    return kernel;
}

std::vector<int> Operation::arguments() const { return values_of(*this, kernel()); }

int Graph::move_preparations_first() {
    std::vector<bool> stays;
    for (const Buffer &value : values)
        stays.push_back(value.home == Home::parameters || value.home == Home::moving || is_constant(value.home));
    std::vector<Operation> preparations, others;
    for (Operation &operation : operations) {
        if (!std::ranges::all_of(operation.values_read(), [&](int value) { return stays[value]; })) {
            others.push_back(std::move(operation));
            continue;
        }
        for (const Operand &output : operation.outputs) {
            stays[output.value] = true;
            values[output.value].home = Home::prepared;
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
            const bool trained = layer->trains(weight);
            (trained ? slabs.trainable : slabs.non_trainable) += count;
            std::int64_t &end = trained ? slabs.parameter_bytes : slabs.moving_bytes;
            slabs.parameters.push_back({.name = layer->name + "/" + weight.name,
                                        .shape = weight.shape,
                                        .home = trained ? Home::parameters : Home::moving,
                                        .offset = end,
                                        .initializer = weight.initializer,
                                        .fan_in = int(weight.fan_in),
                                        .fan_out = int(weight.fan_out),
                                        .values = weight.values,
                                        .constraint = weight.constraint});
            slabs.extents.push_back(weight.extents);
            end += align_buffer(4 * count);
        }
    }
    return slabs;
}

Graph lower_input(const Model &model, const Slabs &slabs, bool floats) {
    Lowering lowering(model, slabs, floats ? "input_float" : "input", Lowering::Mode::inference);
    Operands inputs = {{"images", lowering.external("images", floats ? "float32" : "uint8")},
                       {"indices", lowering.external("image_indices")},
                       {"step", lowering.external("step")}};
    const int output = lowering.external("input");
    Shape shape = elementwise(model.input);
    shape.floats = floats;
    const auto rescale = [](Shape &s, const Rescaled &by) { s.image_scale = float(by.scale), s.image_offset = float(by.offset); };

    const std::optional<InputScaling> scaling = model.input_scaling();
    if (!scaling || !scaling->normalization) {
        if (scaling) rescale(shape, scaling->before);
        lowering.call("input", "input_fwd", shape, std::move(inputs), {{"output", output}});
        return std::move(lowering).finish();
    }
    const Layer &layer = *scaling->normalization;
    Shape fold;
    fold.in_c = model.input.c;
    rescale(fold, scaling->before);
    const int center = lowering.vector(layer.name + "/center", fold.in_c), factor = lowering.vector(layer.name + "/factor", fold.in_c);
    lowering.call(layer.name, "normalization_fold", fold,
                  {{"mean", lowering.weight(layer, "mean")}, {"variance", lowering.weight(layer, "variance")}},
                  {{"center", center}, {"factor", factor}});
    rescale(shape, scaling->after);
    lowering.call("input", "input_fwd", shape, std::move(inputs), {{"output", output}});
    Graph graph = std::move(lowering).finish();
    graph.operations.back().chains["pixel"] = {{"normalise", {{"center", center}, {"factor", factor}}}};
    return graph;
}

int feature_layers(const Model &model) {
    const auto &layers = model.layers;
    const auto frozen = std::ranges::find_if(
        layers, [](const auto &layer) { return !layer->trainable && std::ranges::any_of(layer->weights(), &Weight::trainable); });
    if (frozen == layers.end()) return 0;
    const Slabs slabs = lay_out_slabs(model);
    Lowering lowering(model, slabs, "", Lowering::Mode::training);
    const int image = lowering.external("input");
    std::vector<int> outputs;
    for (const auto &layer : layers) {
        lower_layer(*layer, lowering, image, outputs);
        if (!lowering.is_the_same_each_step()) break;
    }
    const int constant = int(outputs.size()) - (lowering.is_the_same_each_step() ? 0 : 1);
    int first_read = int(layers.size());  // by the layers from `count` on
    for (int count = int(layers.size()) - 1; count > int(frozen - layers.begin()); --count) {
        first_read = std::min(first_read, std::ranges::min(layers[std::size_t(count)]->inputs));
        if (count <= constant && first_read == count - 1) return count;
    }
    return 0;
}

Graph lower_training(const Model &model, const Slabs &slabs) {
    Lowering lowering(model, slabs, "gradients", Lowering::Mode::training);
    model.loss->lower_backward(lowering, lower_forward(model, lowering, feature_layers(model)));
    lowering.run_backward();
    return std::move(lowering).finish();
}

Graph lower_inference(const Model &model, const Slabs &slabs, int batch) {
    Lowering lowering(model, slabs, batch == 1 ? "infer_one" : "infer", Lowering::Mode::inference, batch);
    lower_forward(model, lowering, batch == 1 ? 0 : feature_layers(model));
    return std::move(lowering).finish();
}

std::vector<Graph> lower_features(const Model &model, const Slabs &slabs) {
    const int layers = feature_layers(model);
    if (layers == 0) return {};
    Lowering lowering(model, slabs, "features", Lowering::Mode::inference);
    const int made = lower_layers(model, lowering, lowering.external("input"), 0, layers);
    Graph features = std::move(lowering).finish();
    features.values[std::size_t(made)] = external_buffer(model, "frozen features");

    Shape shape = elementwise(features_of(model));
    shape.floats = true;
    Lowering kept(model, slabs, "input_features", Lowering::Mode::inference);
    const int records = kept.external("images", "float32");
    kept.call("input", "input_fwd", shape,
              {{"images", records}, {"indices", kept.external("image_indices")}, {"step", kept.external("step")}},
              {{"output", kept.external("frozen features")}});
    Graph gather = std::move(kept).finish();
    gather.values[std::size_t(records)].extents = {shape.in_c, shape.in_w, shape.in_h, records_extent};
    return {std::move(features), std::move(gather)};
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
    std::vector<Graph> graphs;
    for (const Optimizer &optimizer : all_optimizers()) {
        std::vector<Buffer> updated = {parameters};
        for (const StateSlot &slot : optimizer.slots) updated.push_back(state(slot.name, int(updated.size()) - 1));
        graphs.push_back(one_call(optimizer.name, optimizer.name, "optimizer", shape, {gradients, step}, updated));
    }
    return graphs;
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
    for (const auto &[name, type] : {std::pair("augment", "uint8"), std::pair("augment_float", "float32")}) {
        shape.floats = type == std::string("float32");
        graphs.push_back(one_call(name, "augment", "augment", shape, {images("records", type, records_extent), indices, words},
                                  {images("augmented", type, images_extent)}));
    }
    return graphs;
}

Lowering::Lowering(const Model &model, const Slabs &slabs, std::string name, Mode mode, int batch)
    : model_(model), slabs_(slabs), mode_(mode), batch_(batch) {
    graph_.model = model.name;
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

int Lowering::units(const std::string &name, const FeatureMap &map) {
    return new_value(slab_part(unique(name), {map.c, map.w, map.h}, Home::arena_fixed, 0));
}

int Lowering::weight(const Layer &layer, const std::string &name) {
    const std::string full_name = layer.name + "/" + name;
    const auto known = named_.find(full_name);
    if (known != named_.end()) return known->second;
    const int index = slabs_.find(full_name);
    const Parameter &parameter = slabs_.parameters[index];
    return named_[full_name] = new_value(slab_part(full_name, slabs_.extents[index], parameter.home, parameter.offset));
}

int Lowering::constant(const Layer &layer, const std::string &name, Home home, std::vector<int> extents) {
    return new_value(slab_part(unique(layer.name + "/" + name), std::move(extents), home, 0));
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
    if (is_constant(buffer.home) || buffer.home == Home::moving) buffer.home = Home::arena_fixed, buffer.offset = 0;
    return new_value(std::move(buffer));
}

void Lowering::append(Operation operation) {
    const bool wanted = std::ranges::any_of(operation.values_read(), [&](int value) { return wants_gradient(value); });
    for (const Operand &output : operation.outputs) wants_gradient_[output.value] = wants_gradient_[output.value] || wanted;
    const auto changes = [&](int value) { return graph_.values[value].home == Home::parameters || graph_.values[value].name == "step"; };
    const auto moves = [&](const Operand &output) { return graph_.values[output.value].home == Home::moving; };
    is_the_same_each_step_ =
        is_the_same_each_step_ && std::ranges::none_of(operation.values_read(), changes) && std::ranges::none_of(operation.outputs, moves);
    graph_.operations.push_back(std::move(operation));
}

int Lowering::unfinished_gradient(int weight) {
    Buffer buffer = graph_.values[weight];
    buffer.name = unique("d " + buffer.name + " unfinished");
    buffer.home = Home::arena_fixed;
    buffer.offset = 0;
    return new_value(std::move(buffer));
}

void Lowering::call(const std::string &layer, const std::string &core, const Shape &shape, Operands inputs, Operands outputs) {
    append({core, layer, shape, std::move(inputs), std::move(outputs)});
}

void Lowering::apply(const std::string &layer, AppliedLink link, int input, int output) {
    const std::vector<int> &extents = graph_.values[output].extents;
    Shape shape;
    shape.in_c = extents[0], shape.in_w = extents[1], shape.in_h = extents[2];
    append({"pointwise", layer, shape, {{"input", input}}, {{"output", output}}, {{"output", {std::move(link)}}}});
}

void Lowering::apply_to_weights(const std::string &layer, AppliedLink link, const Shape &shape, int input, int output) {
    append({"pointwise_weights", layer, shape.of_weights(), {{"input", input}}, {{"output", output}}, {{"output", {std::move(link)}}}});
}

void Lowering::on_backward(int value, std::function<void(int)> backward) {
    if (training() && wants_gradient(value)) tape_.push_back({value, std::move(backward)});
}

void Lowering::add_gradient(const std::string &layer, int value, int gradient) {
    if (!wants_gradient(value)) return;
    std::optional<int> &sum = gradients_[value];
    if (!sum) {
        sum = gradient;
        return;
    }
    // new_value() may move `sum`, so it is written at the end.
    const int first = *sum;
    const int total = this->gradient(value);
    apply(layer, {"add", {{"addend", gradient}}}, first, total);
    gradients_[value] = total;
}

void Lowering::run_backward() {
    for (auto step = tape_.rbegin(); step != tape_.rend(); ++step)
        if (gradients_[step->value]) step->backward(*gradients_[step->value]);
    for (const std::function<void()> &finish : finish_) finish();
}

}  // namespace halcyon
