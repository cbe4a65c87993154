// docs/models.md and the schema of model files, held to their reader.
#include "plan/files.h"
#include "tests/catch.h"
#include "tests/pages.h"
#include "tests/plan/support.h"
#include "tests/schema.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

using namespace halcyon;
using nlohmann::json;

namespace {

const json &model_schema() {
    static const json schema = json::parse(read_file(HALCYON_SOURCE_DIR "/models/model.schema.json"));
    return schema;
}

PageSection section(const std::string &heading) { return read_section(read_file(HALCYON_SOURCE_DIR "/docs/models.md"), heading); }

/// What the reader takes here is what the schema allows: neither knows more of keys and names than the other.
std::string plan_of(const json &model) {
    const std::string refusal = failure_of([&] { parse_model(model.dump(), "t.json"); });
    CAPTURE(model.dump(), refusal);
    CHECK(allows(model_schema(), model, model_schema()) == refusal.empty());
    return to_json(make_plan(parse_model(model.dump(), "t.json"), {.sets = {x86_avx2()}}));
}

/// What scales images is the first layer. Other layers stand behind convolutions that have the names of their inputs, or behind one.
std::string plan_with_layer(const json &layer, const json &loss = "sparse_categorical_crossentropy") {
    const json convolution = {{"type", "conv2d"}, {"filters", 32}, {"kernel_size", 1}, {"inputs", json::array({"input"})}};
    const std::string type = layer.value("type", "");
    json layers = json::array();
    for (const json &name : layer.value("inputs", json::array())) {
        layers.push_back(convolution);
        layers.back()["name"] = name;
    }
    if (layers.empty() && type != "rescaling" && type != "normalization") layers.push_back(convolution);
    for (const json &next : {layer, json{{"type", "flatten"}}, json{{"type", "dense"}, {"units", 10}}}) layers.push_back(next);
    return plan_of({{"name", "t"}, {"input", {{"shape", {8, 8, 3}}}}, {"layers", layers}, {"loss", loss}});
}

/// Of the loss of a model, or of what a layer has.
std::string plan_with(const std::string &member, const json &value) {
    if (member == "loss") return plan_with_layer({{"type", "flatten"}}, value);
    return plan_with_layer({{"type", "conv2d"}, {"filters", 32}, {"kernel_size", 1}, {member, value}});
}

}  // namespace

TEST_CASE("models.md and the schema have the keys of a model file that the reader has") {
    const json &schema = model_schema();
    const std::vector<std::string> examples = json_blocks(read_file(HALCYON_SOURCE_DIR "/docs/models.md"));
    REQUIRE(examples.size() == 1);
    const Keys keys = section("A model file").keys;
    check_reader(keys, json::parse(examples[0]), plan_of);
    check_schema(keys, schema, schema);
}

TEST_CASE("models.md and the schema have the layers, keys and defaults that the reader has") {
    const json &schema = model_schema(), &any = schema["$defs"]["layer"];
    const PageSection layers = section("Layers");
    const Read read = [](const json &layer) { return plan_with_layer(layer); };
    CHECK(layers.names() == listed(refusal(read, {{"type", "?"}})));
    CHECK(layers.things.size() == any["oneOf"].size());
    for (const Thing &thing : layers.things) {
        CAPTURE(thing.name);
        check_reader(layers.keys_of(thing), thing.example, read);
        json layer = alternative(any["oneOf"], "type", thing.name, schema), properties = any["properties"];
        properties.update(layer["properties"]);
        layer["properties"] = properties;
        layer["required"].push_back("type");
        check_schema(layers.keys_of(thing), layer, schema);
    }
}

TEST_CASE("models.md and the schema have the activations, initializers, regularizers, constraints and losses that the reader has") {
    const json &schema = model_schema();
    struct Case {
        std::string heading, member, schema;
    };
    const std::vector<Case> cases = {{"Activations", "activation", "/$defs/activation"},
                                     {"Initializers", "kernel_initializer", "/$defs/initializer"},
                                     {"Regularizers", "kernel_regularizer", "/$defs/regularizer"},
                                     {"Constraints", "kernel_constraint", "/$defs/constraint"},
                                     {"Losses", "loss", "/properties/loss"}};
    for (const Case &of : cases) {
        CAPTURE(of.heading);
        PageSection named = section(of.heading);
        named.keys["type"].is_required = true;
        const json &alternatives = schema.at(json::json_pointer(of.schema))["oneOf"];
        CHECK(named.names() == listed(refusal([&](const json &value) { return plan_with(of.member, value); }, {{"type", "?"}})));
        CHECK(named.names() == resolved(alternatives[0], schema)["enum"].get<std::set<std::string>>());
        for (const Thing &thing : named.things) {
            CAPTURE(thing.name);
            const Read read = [&](const json &value) { return plan_with(thing.member, value); };
            CHECK(refusal(read, thing.name) == "");
            json example = thing.example.is_object() ? thing.example : json::object();
            example["type"] = thing.name;
            check_reader(named.keys_of(thing), example, read);
            check_schema(named.keys_of(thing), alternative(alternatives, "type", thing.name, schema), schema);
        }
    }
}

TEST_CASE("the schema allows the models") {
    for (const auto &file : std::filesystem::directory_iterator(HALCYON_SOURCE_DIR "/models")) {
        CAPTURE(file.path());
        if (file.path().extension() == ".json" && file.path().stem() != "model.schema")
            CHECK(allows(model_schema(), json::parse(read_file(file.path())), model_schema()));
    }
}
