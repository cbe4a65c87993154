// A recipe's `augment`, as it is read and written. What it does is held to Keras's and torchvision's in tests/kernels/augment.cpp.
#include "runtime/training/recipe.h"

#include "tests/catch.h"
#include "tests/data/files.h"

#include <nlohmann/json.hpp>

using namespace halcyon;

namespace {

Recipe with(const std::string &augment) { return parse_recipe(R"({"augment": )" + augment + "}", "my.json"); }

std::string refusal_of_augment(const std::string &augment) {
    return message_of([&] { with(augment); });
}

}  // namespace

TEST_CASE("A recipe without augmentation asks for none and writes none") {
    CHECK(parse_recipe("{}", "it").augment == Augmentation());
    CHECK(to_json(parse_recipe("{}", "it")).find("augment") == std::string::npos);
    CHECK(with("{}").augment == Augmentation());
}

TEST_CASE("Augmentation is read with its definers' defaults") {
    CHECK(with(R"({"crop": {"pad": 4}})").augment.crop == CropSettings{4, {augment_fill_constant, 0}});
    CHECK(with(R"({"affine": {}})").augment.affine == AffineSettings());
    CHECK(with(R"({"affine": {"shift": 0.1}})").augment.affine->shift == std::array{0.1, 0.1});
    CHECK(with(R"({"affine": {"shift": [0.1, 0.2], "fill": "reflect"}})").augment.affine ==
          AffineSettings{.shift = {0.1, 0.2}, .filling = {augment_fill_reflect, 0}});
    CHECK(with(R"({"erase": {}})").augment.erase == EraseSettings{0.5, {0.02, 0.33}, {0.3, 3.3}, 0});
}

TEST_CASE("A horizontal flip is the recipe's flip, in either spelling") {
    CHECK(with(R"({"flip": {"horizontal": 0.5}})").flip == 0.5);
    CHECK(with(R"({"flip": {"horizontal": 0.5}})").augment == Augmentation());
    CHECK(with(R"({"flip": {"vertical": 0.25}})").augment.vertical_flip == 0.25);
    const std::string twice = R"({"flip": 0.5, "augment": {"flip": {"horizontal": 0.25}}})";
    CHECK(
        one_line_with(message_of([&] { parse_recipe(twice, "my.json"); }), {"my.json: augment.flip.horizontal is 0.25, and flip", "0.5"}));
    CHECK(parse_recipe(R"({"flip": 0.5, "augment": {"flip": {"vertical": 1}}})", "it").flip == 0.5);
}

TEST_CASE("Augmentation is written as it is read") {
    const Recipe recipe = with(R"({
        "flip": {"horizontal": 0.5, "vertical": 0.25},
        "crop": {"pad": 4, "fill": "constant", "value": 7},
        "affine": {"rotation": 10, "shift": [0.1, 0.2], "zoom": 0.3, "shear": 5, "fill": "constant", "value": 7},
        "brightness": 0.2,
        "contrast": 0.1,
        "erase": {"probability": 0.75, "area": [0.1, 0.2], "aspect": [0.5, 2], "value": 128}
    })");
    const Recipe again = parse_recipe(to_json(recipe), "it");
    CHECK(again.flip == 0.5);
    CHECK(again.augment == recipe.augment);
    CHECK(to_json(again) == to_json(recipe));
}

TEST_CASE("What is wrong with an augmentation is said in one line, with its key") {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"3", "augment must be an object"},
        {R"({"mixup": 0.2})", "augment.mixup is no key here"},
        {R"({"flip": 0.5})", "augment.flip must be an object"},
        {R"({"flip": {"horizontal": 2}})", "augment.flip.horizontal must be 0, 1 or a number from 1/65536 to 65535/65536, not 2"},
        {R"({"crop": {}})", "augment.crop.pad is missing"},
        {R"({"crop": {"pad": 0}})", "augment.crop.pad must be a whole number from 1 to 4096, not 0"},
        {R"({"crop": {"pad": 4, "fill": "wrap"}})", "augment.crop.fill must be nearest or reflect or constant, not \"wrap\""},
        {R"({"crop": {"pad": 4, "value": 256}})", "augment.crop.value must be a whole number from 0 to 255, not 256"},
        {R"({"affine": {"value": 0}})", "augment.affine.value is no key here"},
        {R"({"affine": {"rotation": 181}})", "augment.affine.rotation must be a number from 0 to 180, in degrees, not 181"},
        {R"({"affine": {"shift": [0.1]}})", "augment.affine.shift must be a number from 0 to 0.99, a fraction"},
        {R"({"affine": {"shift": [0.1, 1]}})", "augment.affine.shift must be a number from 0 to 0.99, a fraction"},
        {R"({"affine": {"zoom": 1}})", "augment.affine.zoom must be a number from 0 to 0.99, not 1"},
        {R"({"affine": {"shear": 90}})", "augment.affine.shear must be a number from 0 to 89, in degrees, not 90"},
        {R"({"brightness": 1.1})", "augment.brightness must be a number from 0 to 1, not 1.1"},
        {R"({"contrast": "high"})", "augment.contrast must be a number from 0 to 1, not \"high\""},
        {R"({"erase": {"area": 0.2}})", "augment.erase.area must be a list of two"},
        {R"({"erase": {"area": [0.3, 0.2]}})", "augment.erase.area must name the lowest first, not 0.3 before 0.2"},
        {R"({"erase": {"area": [0.3]}})", "augment.erase.area must be a list of two"},
        {R"({"erase": {"area": [0, 0.2]}})", "augment.erase.area must be a number above 0 and up to 1, not 0"},
        {R"({"erase": {"aspect": [1, 1e9]}})", "augment.erase.aspect must be a number from 0.001 to 1000"},
        {R"({"erase": {"value": 0.5}})", "augment.erase.value must be a whole number from 0 to 255, not 0.5"},
        {R"({"crop": {"pad": 4}, "affine": {}})", "augment.crop and augment.affine are done in one step and must name one fill"},
    };
    for (const auto &[text, reason] : cases) {
        const std::string message = refusal_of_augment(text);
        CAPTURE(text, message);
        CHECK(one_line_with(message, {"my.json: ", reason}));
    }
}
