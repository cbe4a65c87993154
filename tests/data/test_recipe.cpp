#include "runtime/training/recipe.h"

#include "tests/catch.h"
#include "tests/data/files.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

using namespace halcyon;

namespace {

const LearningRate one_cycle = {.schedule = "one_cycle", .peak = 5e-3, .settings = {0.2, 0.1}};

/// A dozen roundings of numbers up to `magnitude`.
bool close(double a, double b, double magnitude) { return std::abs(a - b) <= 12 * std::numeric_limits<double>::epsilon() * magnitude; }

std::string refusal_of_recipe(const std::string &text) {
    return message_of([&] { parse_recipe(text, "my.json"); });
}

/// A plan with so many dropout layers, and what they have of their own.
Plan with_dropouts(int layers, const std::vector<double> &own = {}) {
    Plan plan;
    plan.dropout_layers = layers;
    plan.dropout_rates = own;
    return plan;
}

/// "adam or sgd"
std::string optimizer_names() {
    std::string names;
    for (const Optimizer &optimizer : all_optimizers())
        if (optimizer.flag.empty()) names += (names.empty() ? "" : " or ") + optimizer.name;
    return names;
}

}  // namespace

TEST_CASE("The built-in recipes are the files in models/recipes") {
    CHECK(recipe_names() == std::vector<std::string>{"keras", "onecycle"});
    for (const std::string &name : recipe_names()) {
        const Recipe builtin = load_recipe(name);
        CHECK(builtin.name == name);
        CHECK(to_json(builtin) == to_json(load_recipe(RECIPES "/" + name + ".json")));
    }
}

TEST_CASE("keras is Keras's fit") {
    const Recipe recipe = load_recipe("keras");
    CHECK(recipe.optimizer.name == "adam");
    CHECK(recipe.optimizer.settings == std::vector<double>{0.9, 0.999, 1e-7});
    CHECK((recipe.epochs == 10 && recipe.batch == 64 && recipe.flip == 0));
    CHECK(dropout_rates(recipe, with_dropouts(4)) == std::vector<double>{0.25, 0.25, 0.25, 0.25});
    for (int step : {0, 1, 7819}) CHECK(learning_rate(recipe.learning_rate, {step, 7820, 7820}) == 1e-3);
}

TEST_CASE("Schedules are Keras's and PyTorch's") {
    for (const auto &row : nlohmann::json::parse(read_bytes(SCHEDULES))) {
        const auto given = row["learning_rate"];
        CAPTURE(given.dump());
        const Recipe recipe = parse_recipe(nlohmann::json{{"learning_rate", given}}.dump(), "my.json");
        CHECK(to_json(parse_recipe(to_json(recipe), "my.json")) == to_json(recipe));
        const auto rates = row["rates"].get<std::vector<double>>();
        const double peak = given["peak"];  // Keras's schedules compute in float32
        const std::int64_t steps_per_epoch = 10, total = std::int64_t(rates.size());
        for (std::int64_t step = 0; step < total; ++step) {
            CAPTURE(step);
            CHECK(std::abs(learning_rate(recipe.learning_rate, {step, steps_per_epoch, total}) - rates[std::size_t(step)]) <= 1e-6 * peak);
        }
    }
}

TEST_CASE("onecycle is linear up and a cosine down") {
    const Recipe recipe = load_recipe("onecycle");
    CHECK((recipe.epochs == 10 && recipe.batch == 64 && recipe.flip == 0.5));
    CHECK_FALSE(recipe.dropout);  // so that it trains any network
    const LearningRate &rate = recipe.learning_rate;
    CHECK(close(learning_rate(rate, {0, 1000, 1000}), 5e-4, 5e-3));
    CHECK(close(learning_rate(rate, {100, 1000, 1000}), 2.75e-3, 5e-3));
    CHECK(close(learning_rate(rate, {200, 1000, 1000}), 5e-3, 5e-3));
    CHECK(close(learning_rate(rate, {600, 1000, 1000}), 2.5e-3, 5e-3));
    CHECK(close(learning_rate(rate, {1000, 1000, 1000}), 0, 5e-3));
}

TEST_CASE("One cycle rises, then falls, and is never zero or over its peak, however short") {
    const int total = GENERATE(1, 2, 3, 5, 17, 1000);
    CAPTURE(total);
    int turns = 0;
    for (int step = 0; step < total; step++) {
        const double rate = learning_rate(one_cycle, {step, total, total});
        CHECK((rate > 0 && rate <= one_cycle.peak));
        if (step > 1) {
            const double before = learning_rate(one_cycle, {step - 1, total, total});
            turns += (rate > before) != (before > learning_rate(one_cycle, {step - 2, total, total}));
        }
    }
    CHECK(turns <= 1);
    CHECK(learning_rate({.schedule = "one_cycle", .peak = 1, .settings = {0, 0.1}}, {0, total, total}) == 1);
}

TEST_CASE("A recipe survives its JSON") {
    const std::string text = GENERATE(
        R"({})", R"({"dropout":[0.1]})", R"({"dropout":[]})", R"({"dropout":0.1})",
        R"({"class_weights":"balanced","early_stopping":{"monitor":"loss"},"reduce_on_plateau":{"monitor":"val_accuracy"}})",
        R"({"class_weights":[1,0,2.5],"early_stopping":{"monitor":"val_loss","patience":3,"min_delta":0.01}})",
        R"({"class_weights":{"b":1,"a":2},"reduce_on_plateau":{"monitor":"accuracy","factor":0.5,"patience":1,"cooldown":2,"min":1e-5,"min_delta":0}})",
        R"({"optimizer":{"name":"sgd","nesterov":true,"clipvalue":0.1}})", R"({"optimizer":{"name":"adam","clipnorm":2}})",
        R"({"optimizer":{"name":"adamw","global_clipnorm":1e-3,"exclude_from_weight_decay":["bias","gamma"]}})",
        R"({"optimizer":{"name":"sgd","use_ema":true}})",
        R"({"optimizer":{"name":"nadam","use_ema":true,"ema_momentum":0,"ema_overwrite_frequency":100}})",
        R"({"name":"a","optimizer":{"name":"sgd","momentum":0.9},"epochs":3,"batch":7,"dropout":[0.1,0.2],"flip":1})",
        R"({"optimizer":{"name":"adam","beta_1":0,"beta_2":0.99,"epsilon":1e-3},"learning_rate":{"schedule":"one_cycle","peak":0.1,"start":1}})");
    const Recipe recipe = parse_recipe(text, "it");
    const std::string written = to_json(recipe);
    CHECK(to_json(parse_recipe(written, "it")) == written);

    // Everything that was given is in what was written, beside the defaults of the rest.
    const auto given = nlohmann::json::parse(text);
    auto merged = nlohmann::json::parse(written);
    merged.merge_patch(given);
    CHECK(merged == nlohmann::json::parse(written));
}

TEST_CASE("Numbers that float32 or the random bits would round to 0, 1 or infinity are refused") {
    const std::string key = GENERATE("optimizer.beta_1", "optimizer.beta_2", "optimizer.epsilon", "optimizer.momentum",
                                     "learning_rate.peak", "learning_rate.warmup", "learning_rate.start", "dropout", "flip");
    const std::string section = key.substr(0, std::min(key.size(), key.find('.'))), name = key.substr(key.find('.') + 1);
    const auto parse = [&](double value) {
        nlohmann::json recipe = {{"optimizer", {{"name", name == "momentum" ? "sgd" : "adam"}}},
                                 {"learning_rate", {{"schedule", "one_cycle"}}}};
        (section == key ? recipe : recipe[section])[name] = value;
        return parse_recipe(recipe.dump(), "my.json");
    };
    CAPTURE(key);
    for (const double value : {1e-300, 1e-45, 1e-39, 1e300, 3.5e38, -1e-300, -1.0, 0.99999999999}) {
        const bool harmless = value > 0.9 && value < 1 && (name == "epsilon" || name == "peak" || name == "start");
        CAPTURE(value);
        CHECK((message_of([&] { parse(value); }).find("my.json: " + key + " must be") == 0) != harmless);
    }
    for (const double value : {0.001, 0.5, 0.99}) CHECK(message_of([&] { parse(value); }) == "");
}

TEST_CASE("A chance is at least one in the 65536 that are told apart") {
    const auto of = [](const std::string &key, double value) { return refusal_of_recipe(nlohmann::json{{key, value}}.dump()); };
    for (const std::string key : {"dropout", "flip"}) {
        for (const double value : {0.0, 1.0 / 65536, 65535.0 / 65536}) CHECK(of(key, value) == "");
        for (const double value : {0.9 / 65536, 65535.1 / 65536}) CHECK(one_line_with(of(key, value), {key, "1/65536"}));
    }
    CHECK(of("flip", 1) == "");
    CHECK(of("dropout", 1) != "");
}

TEST_CASE("A recipe's rates must fit the model") {
    const Recipe recipe = parse_recipe(R"({"name":"mine","dropout":[0.1,0.2,0.3]})", "it");
    CHECK(dropout_rates(recipe, with_dropouts(3)) == std::vector<double>{0.1, 0.2, 0.3});
    CHECK(
        one_line_with(message_of([&] { dropout_rates(recipe, with_dropouts(4)); }), {"recipe mine: 3 dropout rates", "4 dropout layers"}));
    CHECK(dropout_rates(Recipe(), with_dropouts(2)) == std::vector<double>{0, 0});
    const Recipe one = parse_recipe(R"({"name":"one","dropout":[0.1]})", "it"), all = parse_recipe(R"({"dropout":0.1})", "it");
    CHECK(one_line_with(message_of([&] { dropout_rates(one, with_dropouts(4)); }), {"recipe one: 1 dropout rates", "4 dropout layers"}));
    CHECK(dropout_rates(one, with_dropouts(1)) == std::vector<double>{0.1});
    CHECK(dropout_rates(all, with_dropouts(2)) == std::vector<double>{0.1, 0.1});
}

TEST_CASE("A recipe's rates are taken before the layers' own") {
    const Plan plan = with_dropouts(2, {0.5, 0});
    const auto rates = [&](const std::string &text) { return dropout_rates(parse_recipe(text, "it"), plan); };
    CHECK(rates(R"({})") == std::vector<double>{0.5, 0});
    CHECK(rates(R"({"dropout":0})") == std::vector<double>{0, 0});
    CHECK(rates(R"({"dropout":0.1})") == std::vector<double>{0.1, 0.1});
    CHECK(rates(R"({"dropout":[0.1,0.2]})") == std::vector<double>{0.1, 0.2});
}

TEST_CASE("What is wrong with a recipe is said in one line, with its key") {
    struct Case {
        std::string text, reason;
    };
    const std::vector<Case> cases = {
        {R"({"epochs": 1, "epochs": 2})", "\"epochs\" stands twice"},
        {"", "1: syntax error"},
        {"{\"epochs\": 3", "1: syntax error"},
        {"[]", "must be an object"},
        {R"({"epoch": 3})", "epoch is no key here"},
        {R"({"epochs": 0})", "epochs must be a whole number from 1"},
        {R"({"epochs": 2.5})", "epochs must be a whole number from 1"},
        {R"({"epochs": "3"})", "epochs must be a whole number from 1"},
        {R"({"epochs": null})", "epochs must be a whole number from 1"},
        {R"({"batch": -1})", "batch must be a whole number from 1"},
        {R"({"batch": 99999999999})", "batch must be a whole number from 1"},
        {R"({"name": 3})", "name must be a text"},
        {R"({"flip": 1.5})", "flip must be 0, 1 or a number from 1/65536 to 65535/65536, not 1.5"},
        {R"({"flip": "often"})", "flip must be 0, 1 or a number from 1/65536 to 65535/65536, not \"often\""},
        {R"({"dropout": 1})", "dropout must be 0 or a number from 1/65536 to 65535/65536, not 1"},
        {R"({"dropout": [0.1, -0.1]})", "dropout must be 0 or a number from 1/65536 to 65535/65536, not -0.1"},
        {R"({"optimizer": "adam"})", "optimizer must be an object"},
        {R"({"optimizer": {}})", "optimizer.name must be " + optimizer_names() + ", and is missing"},
        {R"({"optimizer": {"name": "adamax"}})", "optimizer.name must be " + optimizer_names() + ", not \"adamax\""},
        {R"({"optimizer": {"name": "adam", "momentum": 0.9}})", "optimizer.momentum is no key here"},
        {R"({"optimizer": {"name": "adam", "beta_1": 1}})", "optimizer.beta_1 must be"},
        {R"({"optimizer": {"name": "adam", "epsilon": 0}})", "optimizer.epsilon must be a number from 1e-30 to 1e30, not 0"},
        {R"({"optimizer": {"name": "sgd", "clipnorm": 0}})", "optimizer.clipnorm must be a number from 1e-30 to 1e30, not 0"},
        {R"({"optimizer": {"name": "sgd", "global_clipnorm": "1"}})", "optimizer.global_clipnorm must be a number from 1e-30"},
        {R"({"optimizer": {"name": "sgd", "clipnorm": 1, "clipvalue": 1}})",
         "optimizer.clipnorm cannot stand beside clipvalue: give one of them"},
        {R"({"optimizer": {"name": "adam", "exclude_from_weight_decay": ["bias"]}})",
         "optimizer.exclude_from_weight_decay goes with weight_decay, which adam has not"},
        {R"({"optimizer": {"name": "sgd", "exclude_from_weight_decay": "bias"}})",
         "optimizer.exclude_from_weight_decay must be a list of texts that are in the names of weights, not \"bias\""},
        {R"({"optimizer": {"name": "sgd", "exclude_from_weight_decay": []}})", "optimizer.exclude_from_weight_decay must be a list"},
        {R"({"optimizer": {"name": "sgd", "exclude_from_weight_decay": [""]}})", "optimizer.exclude_from_weight_decay must be a list"},
        {R"({"optimizer": {"name": "sgd", "use_ema": 1}})", "optimizer.use_ema must be true or false, not 1"},
        {R"({"optimizer": {"name": "sgd", "use_ema": true, "ema_momentum": 1}})",
         "optimizer.ema_momentum must be 0 or a number from 1e-30 to 0.9999999, not 1"},
        {R"({"optimizer": {"name": "sgd", "use_ema": true, "ema_overwrite_frequency": 0}})",
         "optimizer.ema_overwrite_frequency must be a whole number from 1"},
        {R"({"optimizer": {"name": "sgd", "ema_momentum": 0.9}})", "optimizer.ema_momentum goes with use_ema: true"},
        {R"({"optimizer": {"name": "sgd", "use_ema": false, "ema_overwrite_frequency": 3}})",
         "optimizer.ema_overwrite_frequency goes with use_ema: true"},
        {R"({"learning_rate": 1e-3})", "learning_rate must be an object"},
        {R"({"learning_rate": {"schedule": "stairs"}})", "learning_rate.schedule must be constant or one_cycle or step or multi_step or"},
        {R"({"learning_rate": {"schedule": "step"}})", "learning_rate.step_size must be there: a number from 1 to 1000000000000"},
        {R"({"learning_rate": {"schedule": "multi_step", "milestones": [3, 2]}})",
         "learning_rate.milestones must be a list of epochs, each later than the one before"},
        {R"({"learning_rate": {"schedule": "multi_step", "milestones": []}})", "learning_rate.milestones must be a list of epochs"},
        {R"({"learning_rate": {"schedule": "cosine", "per": "batch"}})", "learning_rate.per must be step or epoch"},
        {R"({"learning_rate": {"schedule": "constant", "peak": 0}})", "learning_rate.peak must be a number from 1e-30 to 1e30, not 0"},
        {R"({"learning_rate": {"schedule": "constant", "warmup": 0.1}})", "learning_rate.warmup is no key"},
        {R"({"learning_rate": {"schedule": "one_cycle", "warmup": 1}})", "learning_rate.warmup must be"},
        {R"({"class_weights": "equal"})", "class_weights must be \"balanced\", a list or an object, not \"equal\""},
        {R"({"class_weights": 2})", "class_weights must be \"balanced\", a list or an object, not 2"},
        {R"({"class_weights": [1, -1]})", "class_weights must be 0 or a number from 1e-30 to 1e30, not -1"},
        {R"({"class_weights": {"cat": "2"}})", "class_weights must be 0 or a number from 1e-30 to 1e30, not \"2\""},
        {R"({"early_stopping": 3})", "early_stopping must be an object"},
        {R"({"early_stopping": {"patience": 3}})", "early_stopping.monitor must be loss or accuracy or mean_absolute_error or val_loss or "
                                                   "val_accuracy or val_mean_absolute_error, and is missing"},
        {R"({"early_stopping": {"monitor": "f1"}})", "early_stopping.monitor must be loss or accuracy or mean_absolute_error or val_loss "
                                                     "or val_accuracy or val_mean_absolute_error, not \"f1\""},
        {R"({"early_stopping": {"monitor": "loss", "patience": -1}})", "early_stopping.patience must be a whole number from 0"},
        {R"({"early_stopping": {"monitor": "loss", "min_delta": -0.1}})", "early_stopping.min_delta must be 0 or a number from 1e-30"},
        {R"({"early_stopping": {"monitor": "loss", "factor": 0.1}})", "early_stopping.factor is no key"},
        {R"({"reduce_on_plateau": {}})", "reduce_on_plateau.monitor must be"},
        {R"({"reduce_on_plateau": {"monitor": "loss", "factor": 1}})",
         "reduce_on_plateau.factor must be a number from 1e-30 to 0.9999999, not 1"},
        {R"({"reduce_on_plateau": {"monitor": "loss", "factor": 0}})", "reduce_on_plateau.factor must be"},
        {R"({"reduce_on_plateau": {"monitor": "loss", "patience": 1.5}})", "reduce_on_plateau.patience must be"},
        {R"({"reduce_on_plateau": {"monitor": "loss", "cooldown": -1}})", "reduce_on_plateau.cooldown must be"},
        {R"({"reduce_on_plateau": {"monitor": "loss", "min": -1}})", "reduce_on_plateau.min must be"},
        {R"({"reduce_on_plateau": {"monitor": "loss"}, "learning_rate": {"schedule": "one_cycle"}})",
         "reduce_on_plateau goes with the learning_rate.schedule \"constant\", not \"one_cycle\""},
    };
    for (const Case &c : cases) {
        const std::string message = refusal_of_recipe(c.text);
        INFO(c.text);
        INFO(message);
        CHECK(one_line_with(message, {"my.json:", c.reason}));
    }
    const TemporaryFolder folder;
    const std::string message = message_of([&] { load_recipe(folder / "kears"); });
    CHECK(one_line_with(message, {"kears: neither", "(keras, onecycle)"}));
    CHECK(one_line_with(message_of([&] { load_recipe(folder.path()); }), {"folder"}));
    write_bytes(folder / "a.json", R"({"flips": 1})");
    CHECK(one_line_with(message_of([&] { load_recipe(folder / "a.json"); }), {"a.json: flips is no key"}));
}

TEST_CASE("The schema has the rows of the optimizers") {
    const auto schema = nlohmann::json::parse(read_bytes(RECIPES "/recipe.schema.json"));
    const nlohmann::json &kinds = schema["properties"]["optimizer"]["oneOf"];
    std::size_t known = 0;
    for (const Optimizer &optimizer : all_optimizers()) {
        CAPTURE(optimizer.name);
        const std::string name = optimizer.flag.empty() ? optimizer.name : optimizer.variant_of;
        const auto kind = std::ranges::find_if(kinds, [&](const nlohmann::json &k) { return k["properties"]["name"]["const"] == name; });
        REQUIRE(kind != kinds.end());
        const nlohmann::json &properties = (*kind)["properties"];
        known += optimizer.flag.empty() ? 1 : 0;
        std::size_t flags = 0;
        for (const Optimizer &variant : all_optimizers()) flags += variant.variant_of == name ? 1 : 0;
        CHECK(properties.size() == 1 + flags + optimizer.settings.size());
        if (!optimizer.flag.empty()) CHECK(properties[optimizer.flag]["default"] == false);
        for (const OptimizerSetting &setting : optimizer.settings) {
            CAPTURE(setting.key);
            REQUIRE(properties.contains(setting.key));
            CHECK(properties[setting.key]["default"] == setting.standard);
            const std::string definition = properties[setting.key]["$ref"];
            const nlohmann::json &range = schema.at(nlohmann::json::json_pointer(definition.substr(1)));
            const auto limits = [&](const nlohmann::json &numbers) {
                return numbers["minimum"] == setting.range.least && numbers["maximum"] == setting.range.most;
            };
            if (setting.range.or_zero)
                CHECK((range["anyOf"][0]["const"] == 0 &&
                       limits(range["anyOf"][1].contains("$ref") ? schema["$defs"]["scale"] : range["anyOf"][1])));
            else
                CHECK(limits(range));
        }
    }
    CHECK(kinds.size() == known);
}

TEST_CASE("A flag makes a variant of an optimizer") {
    for (const std::string flag : {R"("name": "sgd", "nesterov")", R"("name": "rmsprop", "centered")"}) {
        const auto named = [&](const std::string &value) {
            return parse_recipe(R"({"optimizer": {)" + flag + ": " + value + "}}", "r.json");
        };
        const Recipe with = named("true"), without = named("false");
        CHECK(find_optimizer(with.optimizer.name).variant_of == without.optimizer.name);
        CHECK(parse_recipe(to_json(with), "r.json").optimizer.name == with.optimizer.name);
        CHECK(with.optimizer.settings == without.optimizer.settings);
    }
    CHECK(one_line_with(refusal_of_recipe(R"({"optimizer": {"name": "adam", "nesterov": true}})"),
                        {"my.json: optimizer.nesterov is no key"}));
    CHECK(one_line_with(refusal_of_recipe(R"({"optimizer": {"name": "sgd_nesterov"}})"),
                        {"my.json: optimizer.name must be adam or adamw or sgd or rmsprop"}));
}
