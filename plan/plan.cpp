#include "plan/plan.h"

#include "plan/errors.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <new>
#include <numeric>
#include <stdexcept>

namespace halcyon {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::pair<Home, const char *> homes[] = {
    {Home::arena_batch, "arena_batch"},
    {Home::arena_fixed, "arena_fixed"},
    {Home::parameters, "parameters"},
    {Home::gradients, "gradients"},
    {Home::moving, "moving"},
    {Home::optimizer, "optimizer"},
    {Home::prepared, "prepared"},
    {Home::zeros, "zeros"},
    {Home::ones, "ones"},
    {Home::external, "external"},
};

std::string home_name(Home home) {
    for (const auto &[value, name] : homes)
        if (value == home) return name;
    throw std::logic_error("a buffer without a home");
}

Home parse_home(const std::string &text) {
    for (const auto &[home, name] : homes)
        if (text == name) return home;
    throw std::runtime_error(fmt::format("unknown home \"{}\"", text));
}

const std::map<std::string, int> extent_names = {{"batch", batch_extent}, {"records", records_extent}, {"images", images_extent}};

Json write_extents(const std::vector<int> &extents) {
    Json json = Json::array();
    for (int extent : extents) {
        const auto named = std::ranges::find(extent_names, extent, [](const auto &name) { return name.second; });
        if (named != extent_names.end())
            json.push_back(named->first);
        else
            json.push_back(extent);
    }
    return json;
}

std::vector<int> parse_extents(const Json &json) {
    std::vector<int> extents;
    for (const Json &extent : json) {
        // Comparing it with a string literal would make a value of that, inside a noexcept function.
        const std::string name = extent.is_string() ? extent.get<std::string>() : "";
        const auto named = extent_names.find(name);
        extents.push_back(named == extent_names.end() ? extent.get<int>() : named->second);
    }
    return extents;
}

/// The double that is written as the shortest decimal which reads back as `value`.
double shortest(float value) { return std::strtod(fmt::format("{}", value).c_str(), nullptr); }

Json write_buffer(const Buffer &buffer) {
    Json json = {
        {"name", buffer.name}, {"type", buffer.type}, {"extents", write_extents(buffer.extents)}, {"home", home_name(buffer.home)}};
    if (buffer.home == Home::external) return json;
    json["offset"] = buffer.offset;
    json["bytes"] = buffer.bytes;
    if (buffer.home == Home::arena_batch || buffer.home == Home::arena_fixed) json["calls"] = {buffer.first_call, buffer.last_call};
    return json;
}

Buffer parse_buffer(const Json &json) {
    Buffer buffer{.name = json.at("name"),
                  .type = json.at("type"),
                  .extents = parse_extents(json.at("extents")),
                  .home = parse_home(json.at("home"))};
    if (buffer.home == Home::external) return buffer;
    buffer.offset = json.at("offset");
    buffer.bytes = json.at("bytes");
    if (json.contains("calls")) {
        buffer.first_call = json["calls"].at(0);
        buffer.last_call = json["calls"].at(1);
    }
    return buffer;
}

// Arguments are written by name, for people; names are unique in a program.
Json write_call(const Call &call, const std::vector<Buffer> &buffers) {
    Json arguments = Json::array();
    for (int argument : call.arguments) arguments.push_back(buffers[argument].name);
    return {{"kernel", kernel_name(call.kernel)},
            {"layer", call.layer},
            {"entry", call.entry},
            {"reason", call.reason},
            {"symbol", call.symbol},
            {"arguments", arguments},
            {"flops", std::int64_t(call.flops)},
            {"bytes_per_image", call.bytes_per_image},
            {"bytes_fixed", call.bytes_fixed}};
}

Call parse_call(const Json &json, const std::map<std::string, int> &buffers) {
    Call call{.kernel = parse_kernel_name(json.at("kernel").get<std::string>()),
              .layer = json.at("layer"),
              .entry = json.at("entry"),
              .reason = json.at("reason"),
              .symbol = json.at("symbol"),
              .arguments = {}};
    for (const Json &name : json.at("arguments")) {
        const auto buffer = buffers.find(name.get<std::string>());
        if (buffer == buffers.end()) throw std::runtime_error(fmt::format("a call of {} names no buffer: {}", call.symbol, name.dump()));
        call.arguments.push_back(buffer->second);
    }
    call.flops = json.at("flops");
    call.bytes_per_image = json.at("bytes_per_image");
    call.bytes_fixed = json.at("bytes_fixed");
    return call;
}

Json write_program(const Program &program) {
    Json buffers = Json::array(), calls = Json::array();
    for (const Buffer &buffer : program.buffers) buffers.push_back(write_buffer(buffer));
    for (const Call &call : program.calls) calls.push_back(write_call(call, program.buffers));
    return {{"name", program.name},
            {"prepared_calls", program.prepared_calls},
            {"arena_bytes_per_image", program.arena_bytes_per_image},
            {"arena_bytes_fixed", program.arena_bytes_fixed},
            {"buffers", buffers},
            {"calls", calls}};
}

Program parse_program(const Json &json) {
    Program program{.name = json.at("name"), .buffers = {}, .calls = {}};
    program.prepared_calls = json.at("prepared_calls");
    program.arena_bytes_per_image = json.at("arena_bytes_per_image");
    program.arena_bytes_fixed = json.at("arena_bytes_fixed");
    std::map<std::string, int> names;
    for (const Json &buffer : json.at("buffers")) {
        names[buffer.at("name")] = int(program.buffers.size());
        program.buffers.push_back(parse_buffer(buffer));
    }
    for (const Json &call : json.at("calls")) program.calls.push_back(parse_call(call, names));
    return program;
}

Json write_kernel(const CompiledKernel &kernel) {
    Json arguments = Json::array();
    for (const Buffer &argument : kernel.arguments)
        arguments.push_back({{"name", argument.name}, {"type", argument.type}, {"extents", write_extents(argument.extents)}});
    return {{"kernel", kernel_name(kernel.kernel)}, {"entry", kernel.entry}, {"symbol", kernel.symbol}, {"arguments", arguments}};
}

CompiledKernel parse_kernel(const Json &json) {
    CompiledKernel kernel{.kernel = parse_kernel_name(json.at("kernel").get<std::string>()),
                          .entry = json.at("entry"),
                          .symbol = json.at("symbol"),
                          .arguments = {}};
    for (const Json &argument : json.at("arguments"))
        kernel.arguments.push_back(
            {.name = argument.at("name"), .type = argument.at("type"), .extents = parse_extents(argument.at("extents"))});
    return kernel;
}

Json write_set(const SetPlan &set) {
    Json programs = Json::array(), kernels = Json::array();
    for (const Program &program : set.programs) programs.push_back(write_program(program));
    for (const CompiledKernel &kernel : set.kernels) kernels.push_back(write_kernel(kernel));
    return {{"set", set.set},
            {"target", set.target},
            {"order", set.order == StorageOrder::hwnc ? "hwnc" : "nhwc"},
            {"fusions", set.fusions},
            {"prepared_bytes", set.prepared_bytes},
            {"programs", programs},
            {"kernels", kernels}};
}

SetPlan parse_set(const Json &json) {
    SetPlan set{.set = json.at("set"), .target = json.at("target"), .fusions = json.at("fusions"), .programs = {}, .kernels = {}};
    set.order = json.at("order").get<std::string>() == "hwnc" ? StorageOrder::hwnc : StorageOrder::nhwc;
    set.prepared_bytes = json.at("prepared_bytes");
    for (const Json &program : json.at("programs")) set.programs.push_back(parse_program(program));
    for (const Json &kernel : json.at("kernels")) set.kernels.push_back(parse_kernel(kernel));
    return set;
}

Json write_constraint(const Constraint &constraint) {
    Json json = {{"type", constraint_names.at(std::size_t(constraint.type))}};
    if (constraint.type == Constraint::Type::max_norm) json["max_value"] = shortest(constraint.max_value);
    if (!constraint.axes.empty()) json["axes"] = constraint.axes;
    return json;
}

Constraint parse_constraint(const Json &json) {
    const auto type = std::ranges::find(constraint_names, json.at("type").get<std::string>());
    if (type == constraint_names.end()) throw std::runtime_error("unknown constraint");
    Constraint constraint{Constraint::Type(type - constraint_names.begin())};
    if (json.contains("max_value")) constraint.max_value = json["max_value"];
    if (json.contains("axes")) constraint.axes = json["axes"].get<std::vector<int>>();
    return constraint;
}

Json write_parameter(const Parameter &parameter) {
    Json json = {{"name", parameter.name},
                 {"shape", parameter.shape},
                 {"home", home_name(parameter.home)},
                 {"offset", parameter.offset},
                 {"initializer", parameter.initializer}};
    if (parameter.fan_in > 0) json["fan"] = {parameter.fan_in, parameter.fan_out};
    for (const float value : parameter.values) json["values"].push_back(shortest(value));
    if (parameter.constraint) json["constraint"] = write_constraint(*parameter.constraint);
    return json;
}

Parameter parse_parameter(const Json &json) {
    Parameter parameter{.name = json.at("name"),
                        .shape = json.at("shape"),
                        .home = parse_home(json.at("home")),
                        .offset = json.at("offset"),
                        .initializer = json.at("initializer")};
    if (json.contains("fan")) {
        parameter.fan_in = json["fan"].at(0);
        parameter.fan_out = json["fan"].at(1);
    }
    if (json.contains("values")) parameter.values = json["values"].get<std::vector<float>>();
    if (json.contains("constraint")) parameter.constraint = parse_constraint(json["constraint"]);
    return parameter;
}

Json write_layer(const LayerSummary &layer) {
    return {{"name", layer.name}, {"type", layer.type}, {"output_shape", layer.output_shape}, {"parameters", layer.parameters}};
}

LayerSummary parse_layer(const Json &json) {
    return {.name = json.at("name"), .type = json.at("type"), .output_shape = json.at("output_shape"), .parameters = json.at("parameters")};
}

/// Appends `json`, on one line where that fits into the width left, otherwise a member a line.
void print(std::string &text, const Json &json, int indent) {
    constexpr std::size_t width = 160;
    const std::string line = json.dump();
    if (!json.is_structured() || json.empty() || line.size() + indent <= width) {
        text += line;
        return;
    }
    const bool object = json.is_object();
    text += object ? '{' : '[';
    const char *separator = "\n";
    for (const auto &[key, value] : json.items()) {
        text += separator;
        text.append(indent + 2, ' ');
        if (object) text += Json(key).dump() + ": ";
        print(text, value, indent + 2);
        separator = ",\n";
    }
    text += '\n';
    text.append(indent, ' ');
    text += object ? '}' : ']';
}

/// Throws where a number is one that no plan has: to convert a fraction to an int that cannot hold it is undefined.
void check_numbers(const Json &json, int depth = 0) {
    constexpr int deepest = 16;
    if (depth > deepest) throw std::runtime_error("its values are nested too deeply");
    if (json.is_number_float() && !(std::abs(json.get<double>()) < 0x1p31))
        throw std::runtime_error(fmt::format("{} is no number of a plan", json.dump()));
    if (!json.is_structured()) return;
    for (const Json &value : json) check_numbers(value, depth + 1);
}

Plan parse(const Json &json) {
    check_numbers(json);
    Plan plan;
    plan.version = json.at("version");
    if (plan.version != plan_version)
        throw std::runtime_error(fmt::format("its version is {}, this program reads {}", plan.version, plan_version));
    plan.model = json.at("model");
    const std::vector<int> input = json.at("input");
    if (input.size() != 3) throw std::runtime_error("\"input\" must be [rows, columns, channels]");
    plan.in_h = input[0], plan.in_w = input[1], plan.in_c = input[2];
    plan.classes = json.at("classes");
    if (json.contains("targets")) plan.targets = json["targets"], plan.metric = metric_called(json.at("metric").get<std::string>());
    plan.dropout_layers = json.at("dropout_layers");
    if (json.contains("dropout_rates")) plan.dropout_rates = json["dropout_rates"].get<std::vector<double>>();
    if (json.contains("feature_layers")) plan.feature_layers = json["feature_layers"];
    plan.trainable = json.at("trainable");
    plan.non_trainable = json.at("non_trainable");
    plan.parameter_bytes = json.at("parameter_bytes");
    plan.moving_bytes = json.at("moving_bytes");
    for (const Json &layer : json.at("layers")) plan.layers.push_back(parse_layer(layer));
    if (plan.feature_layers < 0 || plan.feature_layers > int(plan.layers.size()))
        throw std::runtime_error(fmt::format("{} of {} layers make features", plan.feature_layers, plan.layers.size()));
    for (const Json &parameter : json.at("parameters")) plan.parameters.push_back(parse_parameter(parameter));
    for (const Json &set : json.at("sets")) plan.sets.push_back(parse_set(set));
    return plan;
}

}  // namespace

std::size_t elements_of(const Parameter &parameter) {
    return std::accumulate(parameter.shape.begin(), parameter.shape.end(), std::size_t{1}, std::multiplies<>());
}

std::string to_json(const Plan &plan) {
    Json layers = Json::array(), parameters = Json::array(), sets = Json::array();
    for (const LayerSummary &layer : plan.layers) layers.push_back(write_layer(layer));
    for (const Parameter &parameter : plan.parameters) parameters.push_back(write_parameter(parameter));
    for (const SetPlan &set : plan.sets) sets.push_back(write_set(set));
    Json json = {{"version", plan.version}, {"model", plan.model}, {"input", {plan.in_h, plan.in_w, plan.in_c}}, {"classes", plan.classes}};
    if (plan.targets > 0) json.update({{"targets", plan.targets}, {"metric", name_of(plan.metric)}});
    json["dropout_layers"] = plan.dropout_layers;
    if (!plan.dropout_rates.empty()) json["dropout_rates"] = plan.dropout_rates;
    if (plan.feature_layers > 0) json["feature_layers"] = plan.feature_layers;
    json.update({{"trainable", plan.trainable},
                 {"non_trainable", plan.non_trainable},
                 {"parameter_bytes", plan.parameter_bytes},
                 {"moving_bytes", plan.moving_bytes},
                 {"layers", layers},
                 {"parameters", parameters},
                 {"sets", sets}});
    std::string text;
    print(text, json, 0);
    return text + "\n";
}

Plan parse_plan(std::string_view text) {
    try {
        return parse(Json::parse(text));
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception &error) {
        throw std::runtime_error(
            fmt::format("the plan cannot be read ({}); build the model again with this version's halcyonc", message_of(error)));
    }
}

}  // namespace halcyon
