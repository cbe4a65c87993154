// docs/recipes.md and the schema of recipes, held to their reader.
#include "runtime/training/recipe.h"

#include "tests/catch.h"
#include "tests/data/files.h"
#include "tests/pages.h"
#include "tests/schema.h"

#include <nlohmann/json.hpp>

#include <set>
#include <string>
#include <vector>

using namespace halcyon;
using nlohmann::json;

namespace {

const json &recipe_schema() {
    static const json schema = json::parse(read_bytes(RECIPES "/recipe.schema.json"));
    return schema;
}

PageSection section(const std::string &heading) { return read_section(read_bytes(RECIPES_PAGE), heading); }

/// The recipe with all its defaults. What the reader takes here is what the schema allows.
std::string read_recipe(const json &recipe) {
    const std::string refusal = message_of([&] { parse_recipe(recipe.dump(), "my.json"); });
    CAPTURE(recipe.dump(), refusal);
    CHECK(allows(recipe_schema(), recipe, recipe_schema()) == refusal.empty());
    return to_json(parse_recipe(recipe.dump(), "my.json"));
}

/// Reads a recipe of one member.
Read reader_of(const std::string &member) {
    return [member](const json &value) { return read_recipe({{member, value}}); };
}

}  // namespace

TEST_CASE("recipes.md and the schema have the keys and defaults of a recipe that the reader has") {
    const json &schema = recipe_schema();
    const std::vector<std::string> examples = json_blocks(read_bytes(RECIPES_PAGE));
    const Keys keys = section("A recipe").keys;
    REQUIRE(!examples.empty());
    check_reader(keys, json::parse(examples[0]), read_recipe);
    check_schema(keys, schema, schema);
    for (const std::string &example : examples) CHECK(refusal(read_recipe, json::parse(example)) == "");
    for (const std::string &name : recipe_names()) CHECK(refusal(read_recipe, json::parse(read_bytes(RECIPES "/" + name + ".json"))) == "");
}

TEST_CASE("recipes.md and the schema have the optimizers and their keys and defaults that the reader has") {
    const json &schema = recipe_schema(), &any = schema["properties"]["optimizer"];
    const PageSection optimizers = section("Optimizers");
    CHECK(optimizers.names() == listed(refusal(reader_of("optimizer"), {{"name", "?"}})));
    CHECK(optimizers.things.size() == any["oneOf"].size());
    for (const Thing &thing : optimizers.things) {
        CAPTURE(thing.name);
        const Keys keys = optimizers.keys_of(thing);
        check_reader(keys, thing.example, reader_of(thing.member), {{"use_ema", true}});
        json optimizer = alternative(any["oneOf"], "name", thing.name, schema);
        optimizer["properties"].update(any["properties"]);
        check_schema(keys, optimizer, schema);
    }
}

TEST_CASE("recipes.md and the schema have the learning rates' schedules and their keys and defaults that the reader has") {
    const json &schema = recipe_schema(), &alternatives = schema["properties"]["learning_rate"]["oneOf"];
    const PageSection rates = section("Learning rates");
    CHECK(rates.names() == listed(refusal(reader_of("learning_rate"), {{"schedule", "?"}})));
    CHECK(rates.things.size() == alternatives.size());
    for (const Thing &thing : rates.things) {
        CAPTURE(thing.name);
        check_reader(rates.keys_of(thing), thing.example, reader_of(thing.member));
        check_schema(rates.keys_of(thing), alternative(alternatives, "schedule", thing.name, schema), schema);
    }
}

TEST_CASE("recipes.md and the schema have the keys and defaults of what watches a run that the reader has") {
    const json &schema = recipe_schema();
    struct Case {
        std::string heading, member;
    };
    const std::vector<Case> cases = {{"Early stopping", "early_stopping"}, {"A rate that falls on a plateau", "reduce_on_plateau"}};
    for (const Case &of : cases) {
        CAPTURE(of.heading);
        check_reader(section(of.heading).keys, {{"monitor", "loss"}}, reader_of(of.member));
        check_schema(section(of.heading).keys, schema["properties"][of.member], schema);
    }
}

TEST_CASE("recipes.md and the schema have the augmentations and their keys and defaults that the reader has") {
    const json &schema = recipe_schema(), &augmentations = schema["properties"]["augment"]["properties"];
    const PageSection augment = section("Augmentation");
    CHECK(augment.names() == listed(refusal(reader_of("augment"), {{"?", 0}})));
    CHECK(augment.things.size() == augmentations.size());
    for (const Thing &thing : augment.things) {
        CAPTURE(thing.name);
        CHECK(refusal(reader_of(thing.member), thing.example) == "");
        if (thing.keys.empty()) continue;
        // A fill has its value where it is constant.
        const json also = thing.keys.contains("fill") ? json{{"fill", "constant"}} : json::object();
        const Read read = [&](const json &value) { return read_recipe({{"augment", {{thing.name, value}}}}); };
        check_reader(thing.keys, thing.example[thing.name], read, also);
        check_schema(thing.keys, augmentations[thing.name], schema);
    }
}
