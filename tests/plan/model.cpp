// Model files: shapes, parameter counts, names, and one line for everything that can be wrong.
#include "plan/files.h"
#include "tests/catch.h"
#include "tests/plan/support.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <map>
#include <regex>
#include <set>
#include <string>

using namespace halcyon;

namespace {

const std::string conv = R"({"type": "conv2d", "filters": 4, "kernel_size": 3})";
const std::string pool = R"({"type": "max_pooling2d"})";
const std::string flatten = R"({"type": "flatten"})";
const std::string softmax = R"({"type": "dense", "units": 10, "activation": "softmax"})";

/// What parse_model() says of a model with these layers before a flatten and the last layer.
std::string message(const std::string &layers) {
    return failure_of([&] { parse_model(model_text(layers + ", " + flatten + ", " + softmax), "t.json"); });
}

std::string message_of_text(const std::string &text) {
    return failure_of([&] { parse_model(text, "t.json"); });
}

std::string message_of_name(const std::string &name) {
    return message_of_text(fmt::format(R"({{"name": "{}", "input": {{"shape": [8, 8, 3]}}, "layers": [{}, {}],
        "loss": "sparse_categorical_crossentropy"}})",
                                       name, flatten, softmax));
}

}  // namespace

TEST_CASE("cifar10 has Keras's names, shapes and parameter counts") {
    const Plan plan = make_plan(cifar10(), {.sets = {}});
    struct Row {
        std::string name;
        std::vector<int> shape;
        std::int64_t parameters;
    };
    const std::vector<Row> expected = {
        {"conv2d", {30, 30, 32}, 896},
        {"batch_normalization", {30, 30, 32}, 128},
        {"max_pooling2d", {15, 15, 32}, 0},
        {"dropout", {15, 15, 32}, 0},
        {"conv2d_1", {13, 13, 64}, 18496},
        {"batch_normalization_1", {13, 13, 64}, 256},
        {"conv2d_2", {11, 11, 64}, 36928},
        {"batch_normalization_2", {11, 11, 64}, 256},
        {"max_pooling2d_1", {6, 6, 64}, 0},
        {"dropout_1", {6, 6, 64}, 0},
        {"conv2d_3", {4, 4, 128}, 73856},
        {"batch_normalization_3", {4, 4, 128}, 512},
        {"conv2d_4", {2, 2, 128}, 147584},
        {"batch_normalization_4", {2, 2, 128}, 512},
        {"max_pooling2d_2", {1, 1, 128}, 0},
        {"dropout_2", {1, 1, 128}, 0},
        {"flatten", {128}, 0},
        {"dense", {128}, 16512},
        {"dropout_3", {128}, 0},
        {"dense_1", {10}, 1290},
    };
    REQUIRE(plan.layers.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        CAPTURE(i);
        CHECK(plan.layers[i].name == expected[i].name);
        CHECK(plan.layers[i].output_shape == expected[i].shape);
        CHECK(plan.layers[i].parameters == expected[i].parameters);
    }
    CHECK(plan.trainable + plan.non_trainable == 297226);
    CHECK(plan.trainable == 296394);
    CHECK(plan.non_trainable == 832);
    CHECK(plan.classes == 10);
    CHECK(plan.dropout_layers == 4);
    CHECK(plan.dropout_rates == std::vector<double>{0.05, 0.05, 0.1, 0.1});
}

TEST_CASE("dropout layers may have rates of their own") {
    const auto plan = [](const std::string &layers) {
        return make_plan(make_model(layers + ", " + flatten + ", " + softmax), {.sets = {}});
    };
    const Plan own = plan(R"({"type": "dropout", "rate": 0.3}, {"type": "dropout"})"), none = plan(R"({"type": "dropout", "rate": 0})");
    CHECK(own.dropout_layers == 2);
    CHECK(own.dropout_rates == std::vector<double>{0.3, 0});
    CHECK(none.dropout_layers == 1);
    CHECK(none.dropout_rates.empty());
}

TEST_CASE("weights have Keras's shapes, initializers and fans, and are aligned") {
    const Slabs slabs = lay_out_slabs(make_model(conv + R"(, {"type": "batch_normalization"}, {"type": "flatten"},
        {"type": "dense", "units": 10, "activation": "softmax"})"));
    std::map<std::string, Parameter> weights;
    for (const Parameter &parameter : slabs.parameters) weights[parameter.name] = parameter;
    REQUIRE(weights.size() == 8);
    CHECK(weights["conv2d/kernel"].shape == std::vector<int>{3, 3, 3, 4});
    CHECK(weights["conv2d/kernel"].fan_in == 27);
    CHECK(weights["conv2d/kernel"].fan_out == 36);
    CHECK(weights["conv2d/kernel"].initializer == "glorot_uniform");
    CHECK(weights["conv2d/bias"].initializer == "zeros");
    CHECK(weights["batch_normalization/gamma"].initializer == "ones");
    CHECK(weights["batch_normalization/moving_variance"].initializer == "ones");
    CHECK(weights["batch_normalization/moving_variance"].home == Home::moving);
    CHECK(weights["dense/kernel"].shape == std::vector<int>{6 * 6 * 4, 10});
    CHECK(weights["dense/kernel"].fan_in == 144);
    CHECK(weights["dense/kernel"].fan_out == 10);
    for (const auto &[name, weight] : weights) CHECK(weight.offset % buffer_alignment == 0);
    // 108, 4, 4, 4, 1440, 10 floats, each rounded up to 512 bytes.
    CHECK(slabs.parameter_bytes == 512 + 512 + 512 + 512 + 6144 + 512);
    CHECK(slabs.moving_bytes == 512 + 512);
    // A dense kernel is a convolution's that covers the whole input: (units, c, x, y) innermost first.
    CHECK(slabs.extents[slabs.find("dense/kernel")] == std::vector<int>{10, 4, 6, 6});
}

TEST_CASE("the weights of frozen layers lie with the moving statistics, in Keras's order and counts") {
    const std::string norm = R"({"type": "batch_normalization", "trainable": false})";
    const std::string frozen = R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "trainable": false})";
    const Plan plan = make_plan(make_model(conv + ", " + frozen + ", " + norm + ", " + flatten + ", " + softmax), {.sets = {}});
    std::vector<std::string> trained, kept;
    for (const Parameter &parameter : plan.parameters) (parameter.home == Home::parameters ? trained : kept).push_back(parameter.name);
    CHECK(trained == std::vector<std::string>{"conv2d/kernel", "conv2d/bias", "dense/kernel", "dense/bias"});
    CHECK(kept == std::vector<std::string>{"conv2d_1/kernel", "conv2d_1/bias", "batch_normalization/gamma", "batch_normalization/beta",
                                           "batch_normalization/moving_mean", "batch_normalization/moving_variance"});
    CHECK(plan.trainable == 27 * 4 + 4 + 64 * 10 + 10);
    CHECK(plan.non_trainable == 36 * 4 + 4 + 4 * 4);
    CHECK(plan.parameter_bytes == 512 + 512 + 4 * 640 + 512);
    CHECK(plan.parameters[2].initializer == "glorot_uniform");

    CHECK(message(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "trainable": 0})") ==
          "t.json: layers[0] \"conv2d\": \"trainable\" must be true or false, not 0");
    CHECK(failure_of([&] {
              parse_model(model_text(R"({"type": "flatten", "trainable": false}, {"type": "dense", "units": 2, "trainable": false})"),
                          "t.json");
          }) == "t.json: no layer has weights to train; add a dense layer or a conv2d, or one without \"trainable\": false");
}

TEST_CASE("global pools leave one pixel, flat unless keepdims") {
    const auto output = [](const std::string &options) {
        const Model model = make_model(R"({"type": "global_average_pooling2d")" + options + "}, " + flatten + ", " + softmax);
        const Graph graph = lower_inference(model, lay_out_slabs(model));
        CHECK(name_of(graph.operations[0]) == "average_pool2d_fwd");
        CHECK(graph.operations[0].shape.kernel_h == 8);
        return to_string(model.layers[0]->out);
    };
    CHECK(output("") == "3");
    CHECK(output(R"(, "keepdims": true)") == "1x1x3");
}

TEST_CASE("layers without a bias, a scale or a center have no such weights, and their kernels read zeros and ones") {
    const Model model = make_model(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "use_bias": false},
        {"type": "batch_normalization", "scale": false, "center": false}, {"type": "flatten"}, {"type": "dense", "units": 10, "use_bias": false})");
    const Slabs slabs = lay_out_slabs(model);
    std::vector<std::string> names;
    for (const Parameter &parameter : slabs.parameters) names.push_back(parameter.name);
    CHECK(names == std::vector<std::string>{"conv2d/kernel", "batch_normalization/moving_mean", "batch_normalization/moving_variance",
                                            "dense/kernel"});
    const auto home = [](const Graph &graph, int value) { return graph.values[std::size_t(value)].home; };

    const Graph training = lower_training(model, slabs);
    for (const char *layer : {"conv2d", "dense"}) {
        CHECK(home(training, find(training, "conv2d_fwd", layer).inputs["bias"]) == Home::zeros);
        CHECK(home(training, find(training, "conv2d_bwd_weights", layer).outputs["d_bias"]) == Home::arena_fixed);
    }
    const Operation &statistics = find(training, "batch_norm_stats"), &sums = find(training, "batch_norm_bwd_stats");
    CHECK(home(training, statistics.inputs["gamma"]) == Home::ones);
    CHECK(home(training, statistics.inputs["beta"]) == Home::zeros);
    for (const char *gradient : {"d_gamma", "d_beta"}) CHECK(home(training, sums.outputs[gradient]) == Home::arena_fixed);

    // What is folded of constants and weights is prepared once.
    Graph inference = lower_inference(model, slabs);
    CHECK(inference.move_preparations_first() == 1);
    CHECK(inference.operations[0].core == "batch_norm_fold");
    CHECK(message(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "use_bias": 0})") ==
          "t.json: layers[0] \"conv2d\": \"use_bias\" must be true or false, not 0");
    CHECK(message(R"({"type": "batch_normalization", "scale": "no"})") ==
          "t.json: layers[0] \"batch_normalization\": \"scale\" must be true or false, not \"no\"");
}

TEST_CASE("initializers have Keras's options and defaults, and a bias its own fans or its kernel's") {
    const auto parameters = [](const std::string &options) {
        return lay_out_slabs(
                   make_model(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, )" + options + "}, " + flatten + ", " + softmax))
            .parameters;
    };
    const std::vector<Parameter> pytorch = parameters(R"("kernel_initializer": "pytorch", "bias_initializer": "pytorch")");
    for (int i : {0, 1}) {
        CHECK(pytorch[std::size_t(i)].initializer == "pytorch");
        CHECK(pytorch[std::size_t(i)].fan_in == 27);
    }
    CHECK(parameters(R"("bias_initializer": "he_normal")")[1].fan_in == 4);
    CHECK(parameters(R"("bias_initializer": "ones")")[1].fan_in == 0);
    CHECK(parameters(R"("kernel_initializer": "random_uniform")")[0].values == std::vector<float>{-0.05f, 0.05f});
    CHECK(parameters(R"("kernel_initializer": {"type": "truncated_normal", "stddev": 2})")[0].values == std::vector<float>{0, 2});
    CHECK(parameters(R"("bias_initializer": {"type": "constant", "value": -1})")[1].values == std::vector<float>{-1});

    const auto refused = [](const std::string &initializer) {
        return message(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "kernel_initializer": )" + initializer + "}");
    };
    const std::string where = "t.json: layers[0] \"conv2d\": ";
    CHECK(refused(R"("uniform")").find(where + R"("kernel_initializer" must be "glorot_uniform" or )") == 0);
    CHECK(refused("{}") == where + "kernel_initializer needs \"type\"");
    CHECK(refused(R"({"type": "uniform"})").find(where + R"("type" must be "glorot_uniform" or )") == 0);
    CHECK(refused(R"({"type": "random_normal", "stddev": -1})") == where + "\"stddev\" must be a number from 0 to 1e+12, not -1");
    CHECK(refused(R"({"type": "zeros", "value": 1})") == where + "unknown key \"value\"; kernel_initializer has type");
}

TEST_CASE("windows follow Keras's valid and same formulas") {
    const auto output = [](const std::string &options) {
        const Model model = make_model(R"({"type": "conv2d", "filters": 2, )" + options + "}, " + flatten + ", " + softmax);
        return std::vector<int>{model.layers[0]->out.h, model.layers[0]->out.w};
    };
    CHECK(output(R"("kernel_size": 3)") == std::vector<int>{6, 6});
    CHECK(output(R"("kernel_size": [1, 8])") == std::vector<int>{8, 1});
    CHECK(output(R"("kernel_size": 3, "strides": 2)") == std::vector<int>{3, 3});
    CHECK(output(R"("kernel_size": 3, "strides": [3, 1], "padding": "same")") == std::vector<int>{3, 8});
    CHECK(output(R"("kernel_size": 9, "padding": "same")") == std::vector<int>{8, 8});

    // Max pooling 'same' of 11 rows: 6 windows of 2, one row of padding, below.
    const Model model =
        parse_model(model_text(R"({"type": "max_pooling2d", "padding": "same"}, )" + flatten + ", " + softmax, "11, 8, 3"), "t.json");
    const Graph graph = lower_inference(model, lay_out_slabs(model));
    REQUIRE(graph.operations[0].core == "max_pool2d_fwd");
    const Shape &shape = graph.operations[0].shape;
    CHECK(shape.out_h == 6);
    CHECK(shape.pad_top == 0);
    CHECK(shape.pad_bottom() == 1);
    CHECK(shape.out_w == 4);
    CHECK(shape.pad_right() == 0);
}

TEST_CASE("layers without a name are counted as Keras counts them") {
    const Model model = make_model(conv + R"(, {"type": "relu"}, {"type": "conv2d", "name": "mine", "filters": 4, "kernel_size": 1}, )" +
                                   conv + R"(, {"type": "relu"}, )" + flatten + ", " + softmax);
    std::vector<std::string> names;
    for (const auto &layer : model.layers) names.push_back(layer->name);
    CHECK(names == std::vector<std::string>{"conv2d", "re_lu", "mine", "conv2d_1", "re_lu_1", "flatten", "dense"});
}

TEST_CASE("a layer that does not fit is named with its reason") {
    CHECK(message(conv + R"(, {"type": "conv2d", "filters": 4, "kernel_size": 7})") ==
          "t.json: layers[1] \"conv2d_1\": kernel 7 does not fit in its 6x6 input");
    CHECK(message(R"({"type": "conv2d", "filters": 4, "kernel_size": [9, 3]})") ==
          "t.json: layers[0] \"conv2d\": kernel 9x3 does not fit in its 8x8 input");
    CHECK(message(R"({"type": "max_pooling2d", "pool_size": 9})") ==
          "t.json: layers[0] \"max_pooling2d\": pool 9 does not fit in its 8x8 input");
    CHECK(
        message_of_text(model_text(conv + ", " + softmax)).starts_with("t.json: layers[1] \"dense\": its output is 6x6x10, and the loss "));
    CHECK(message(flatten + ", " + conv) == "t.json: layers[1] \"conv2d\": needs rows, columns and channels, but its input is flat (192)");
    CHECK(message(flatten + ", " + pool) ==
          "t.json: layers[1] \"max_pooling2d\": needs rows, columns and channels, but its input is flat (192)");
    CHECK(message(flatten + R"(, {"type": "batch_normalization"})") ==
          "t.json: layers[1] \"batch_normalization\": cannot normalise what flatten made of rows and columns; put it before the flatten");
    CHECK(message(R"({"name": "a", "type": "relu"}, {"name": "b", "type": "max_pooling2d"}, {"type": "add", "inputs": ["a", "b"]})") ==
          "t.json: layers[2] \"add\": cannot add 8x8x3 and 4x4x3");
    CHECK(message(R"({"type": "conv2d", "filters": 1000000, "kernel_size": 1000000, "padding": "same"})") ==
          "t.json: layers[0] \"conv2d\": kernel 1000000 has 1000000000000 taps; the most is 536870911");
    CHECK(message(R"({"type": "conv2d", "filters": 10000000, "kernel_size": 1})") ==
          "t.json: layers[0] \"conv2d\": \"filters\" must be a whole number from 1 to 1000000, not 10000000");
}

TEST_CASE("what scales the image stands at the beginning, and is the input kernel's") {
    const std::string rescaling = R"({"type": "rescaling", "scale": 0.5, "offset": -1})", normalization = R"({"type": "normalization"})";
    const auto inputs = [](const std::string &layers, bool floats = false) {
        const Model model = make_model(layers + ", " + flatten + ", " + softmax);
        return lower_input(model, lay_out_slabs(model), floats).operations;
    };
    CHECK(inputs(conv).at(0).shape.image_scale == 0);
    CHECK(inputs(conv).at(0).shape.floats == 0);
    CHECK(inputs(conv, true).at(0).shape.floats == 1);

    const Shape twice = inputs(rescaling + ", " + rescaling + ", " + conv).at(0).shape;  // (x / 2 - 1) / 2 - 1
    CHECK(twice.image_scale == 0.25f);
    CHECK(twice.image_offset == -1.5f);

    const auto normalised = inputs(rescaling + ", " + normalization + ", " + rescaling + ", " + rescaling);
    REQUIRE(normalised.size() == 2);
    CHECK(name_of(normalised[0]) == "normalization_fold");
    CHECK(normalised[0].shape.image_scale == 0.5f);
    CHECK(normalised[0].shape.image_offset == -1);
    CHECK(name_of(normalised[1]) == "input_fwd pixel[normalise]");
    CHECK(normalised[1].shape.image_scale == 0.25f);
    CHECK(normalised[1].shape.image_offset == -1.5f);

    const Model model = make_model(normalization + ", " + conv + ", " + flatten + ", " + softmax);
    const Slabs slabs = lay_out_slabs(model);
    CHECK(lower_inference(model, slabs).operations.at(0).core == "conv2d_fwd");
    for (const std::string name : {"mean", "variance"}) {
        const Parameter &parameter = slabs.parameters[std::size_t(slabs.find("normalization/" + name))];
        CHECK(parameter.home == Home::moving);
        CHECK(parameter.shape == std::vector<int>{3});
        CHECK(parameter.initializer == "image_" + name);
    }
    const Slabs given =
        lay_out_slabs(make_model(R"({"type": "normalization", "mean": [1, 2, 3], "variance": [4, 0, 0.5]}, )" + flatten + ", " + softmax));
    CHECK(given.parameters[1].initializer == "given");
    CHECK(given.parameters[1].values == std::vector<float>{4, 0, 0.5});
    const Slabs one = lay_out_slabs(make_model(R"({"type": "normalization", "mean": 1, "variance": 2}, )" + flatten + ", " + softmax));
    CHECK(one.parameters[0].values == std::vector<float>{1, 1, 1});
}

TEST_CASE("what scales the image elsewhere, twice or by no numbers is refused in a line") {
    const std::string rescaling = R"({"type": "rescaling", "scale": 0.5})", normalization = R"({"type": "normalization"})";
    CHECK(message(conv + ", " + rescaling) ==
          "t.json: layers[1] \"rescaling\": rescaling stands at the beginning of a model alone, before layers of other types");
    CHECK(message(rescaling + ", " + conv + ", " + normalization) ==
          "t.json: layers[2] \"normalization\": normalization stands at the beginning of a model alone, before layers of other types");
    CHECK(message(rescaling + R"(, {"type": "rescaling", "scale": 2, "inputs": ["input"]})") ==
          "t.json: layers[1] \"rescaling_1\": rescaling stands at the beginning of a model alone, before layers of other types");
    CHECK(message(rescaling + R"(, {"type": "relu"}, {"type": "add", "inputs": ["re_lu", "input"]})") ==
          "t.json: layers[2] \"add\": reads what \"rescaling\" scales on; only \"rescaling\" and layers after it can be read");
    CHECK(message(rescaling + ", " + normalization + R"(, {"type": "add", "inputs": ["rescaling", "normalization"]})") ==
          "t.json: layers[2] \"add\": reads what \"normalization\" scales on; only \"normalization\" and layers after it can be read");
    CHECK(message(normalization + ", " + normalization) ==
          "t.json: layers[1] \"normalization_1\": the image is normalised already, by \"normalization\"");

    const auto of_rescaling = [](const std::string &options) { return message(R"({"type": "rescaling", )" + options + "}"); };
    const std::string where = "t.json: layers[0] \"rescaling\": ";
    CHECK(message(R"({"type": "rescaling"})") == where + "the layer needs \"scale\"");
    CHECK(of_rescaling(R"("scale": "x")") == where + "\"scale\" must be a number from -1e+12 to 1e+12, not \"x\"");
    CHECK(of_rescaling(R"("scale": 1e13)") == where + "\"scale\" must be a number from -1e+12 to 1e+12, not 10000000000000.0");
    CHECK(of_rescaling(R"("scale": [1, 2])") == where + "\"scale\" must be a number from -1e+12 to 1e+12, not [1,2]");
    CHECK(of_rescaling(R"("scale": 0)") ==
          where + "with those before it the scale is 0, the offset 0; a magnitude of either is 1e+12 at most, of a scale 1e-12 at least");
    CHECK(message(R"({"type": "rescaling", "scale": 1e10}, {"type": "rescaling", "scale": 1e10})").find("the scale is 1e+20") !=
          std::string::npos);

    const auto of_normalization = [](const std::string &options) { return message(R"({"type": "normalization", )" + options + "}"); };
    const std::string there = "t.json: layers[0] \"normalization\": ";
    CHECK(of_normalization(R"("mean": 1)") ==
          there + "\"mean\" and \"variance\" go together: give both, or none to take them from the images");
    CHECK(of_normalization(R"("mean": [1, 2], "variance": [1, 2])") == there + "\"mean\" has 2 values, the image 3 channels");
    CHECK(of_normalization(R"("mean": [1, 2, 3], "variance": 1)") == there + "\"mean\" has 3 values, \"variance\" 1");
    CHECK(of_normalization(R"("mean": [], "variance": [])") ==
          there + "\"mean\" must be a number from -1e+12 to 1e+12, or a list of such, not []");
    CHECK(of_normalization(R"("mean": 0, "variance": -1)") ==
          there + "\"variance\" must be a number from 0 to 1e+12, or a list of such, not -1");
}

TEST_CASE("a model ends in any layer that makes one pixel") {
    const auto classes = [](const std::string &layers) { return make_model(layers).classes(); };
    const std::string logits = R"({"type": "dense", "units": 10})", whole = R"({"type": "conv2d", "filters": 7, "kernel_size": 8})";
    CHECK(classes(flatten + ", " + softmax) == 10);
    CHECK(classes(flatten + ", " + logits) == 10);
    CHECK(classes(flatten + R"(, {"type": "dense", "units": 10, "activation": "relu"})") == 10);
    for (const char *type : {"relu", "dropout", "batch_normalization", "flatten"}) {
        CAPTURE(type);
        CHECK(classes(fmt::format(R"({}, {}, {{"type": "{}"}})", flatten, logits, type)) == 10);
        CHECK(classes(fmt::format(R"({}, {{"type": "{}"}})", whole, type)) == 7);
    }
    CHECK(classes(flatten + ", " + logits + R"(, {"type": "add", "inputs": ["dense", "dense"]})") == 10);
    CHECK(classes(whole) == 7);
    CHECK(classes(R"({"type": "conv2d", "filters": 7, "kernel_size": 8, "activation": "softmax"})") == 7);
    CHECK(classes(conv + R"(, {"type": "max_pooling2d", "pool_size": 6})") == 4);
    CHECK(classes(conv + R"(, {"type": "max_pooling2d", "pool_size": 6}, )" + flatten) == 4);
    CHECK(parse_model(model_text(R"({"type": "batch_normalization"})", "1, 1, 3"), "t.json").classes() == 3);
}

TEST_CASE("a softmax at the end is left to the loss") {
    const auto lowered = [](const std::string &layers) {
        const Model model = make_model(layers);
        return lower_training(model, lay_out_slabs(model)).operations;
    };
    const std::string whole = R"({"type": "conv2d", "filters": 10, "kernel_size": 8)";
    const std::vector<Operation> with = lowered(flatten + ", " + softmax);
    const std::vector<std::string> others = {flatten + R"(, {"type": "dense", "units": 10})", whole + "}",
                                             whole + R"(, "activation": "softmax"})", whole + R"(, "activation": "softmax"}, )" + flatten,
                                             whole + R"(, "activation": "softmax"}, )" + flatten + ", " + flatten};
    for (const std::string &layers : others) {
        CAPTURE(layers);
        const std::vector<Operation> without = lowered(layers);
        REQUIRE(without.size() == with.size());
        for (std::size_t i = 0; i < with.size(); ++i) {
            CHECK(without[i].kernel() == with[i].kernel());
            CHECK(without[i].arguments() == with[i].arguments());
        }
    }
}

TEST_CASE("a loss names what it has of the runtime, of which no layer may have the name") {
    const Model model = make_model(flatten + ", " + softmax);
    std::map<std::string, std::pair<std::string, std::vector<int>>> bound;
    for (const std::vector<Buffer> &buffers : {model.loss->targets(), model.loss->metrics()})
        for (const Buffer &buffer : buffers) {
            CAPTURE(buffer.name);
            CHECK(buffer.home == Home::external);
            const std::string named = fmt::format(R"({{"type": "relu", "name": "{}"}}, )", buffer.name);
            CHECK(message_of_text(model_text(named + flatten + ", " + softmax)) ==
                  fmt::format("t.json: layers[0] \"{}\": the name is reserved", buffer.name));
            bound[buffer.name] = {buffer.type, buffer.extents};
        }
    CHECK(bound == decltype(bound){{"labels", {"uint16", {records_extent}}},
                                   {"probabilities", {"float32", {10, 1, 1, batch_extent}}},
                                   {"loss", {"float32", {batch_extent}}},
                                   {"correct", {"float32", {batch_extent}}}});
}

TEST_CASE("softmax may stand anywhere, and the end is one pixel of classes") {
    for (const char *last : {R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "activation": "softmax"})", R"({"type": "softmax"})",
                             R"({"type": "activation", "activation": "softmax"})"}) {
        CAPTURE(last);
        const Model model = make_model(conv + ", " + last + ", " + flatten + ", " + softmax);
        const Graph graph = lower_training(model, lay_out_slabs(model));
        CHECK(count(graph, "softmax_fwd") == 1);
        CHECK(count(graph, "softmax_bwd") == 1);
    }
    // Two of them, of which the loss takes in the last one's, and a layer of its own.
    for (const char *last :
         {R"({"type": "dense", "units": 10, "activation": "softmax"})", R"({"type": "dense", "units": 10}, {"type": "softmax"})"}) {
        const Model model = make_model(flatten + ", " + softmax + ", " + last);
        CHECK(count(lower_training(model, lay_out_slabs(model)), "softmax_fwd") == 1);
    }
    CHECK(message(R"({"type": "softmax", "axis": 1})") == "t.json: layers[0] \"softmax\": \"axis\" must be -1, the channels");
    CHECK(message(flatten + R"(, {"type": "softmax"})") ==
          "t.json: layers[1] \"softmax\": cannot take the softmax of what flatten made of rows and columns; put it before the flatten");

    const std::string pixel =
        ", and the loss takes one pixel, whose channels are the classes: end in a flatten and a dense layer, or bring "
        "the rows and columns down to 1";
    CHECK(message_of_text(model_text(conv)) == "t.json: layers[0] \"conv2d\": its output is 6x6x4" + pixel);
    CHECK(message_of_text(model_text(conv + ", " + flatten)) == "t.json: layers[1] \"flatten\": its output is 6x6x4" + pixel);
    CHECK(message_of_text(model_text(R"({"type": "conv2d", "filters": 4, "kernel_size": [8, 7], "activation": "softmax"})")) ==
          "t.json: layers[0] \"conv2d\": its output is 1x2x4" + pixel);

    for (const int units : {1, 65537})
        CHECK(
            message_of_text(model_text(fmt::format(R"({}, {{"type": "dense", "units": {}, "activation": "softmax"}})", flatten, units))) ==
            fmt::format("t.json: layers[1] \"dense\": there can be 2 to 65536 classes, not {}", units));
    CHECK(message_of_text(model_text(flatten + R"(, {"type": "dense", "units": 65536})")) == "");

    const std::string nothing = "t.json: no layer has weights to train; add a dense layer or a conv2d";
    CHECK(message_of_text(model_text(flatten, "1, 1, 3")) == nothing);
    CHECK(message_of_text(model_text(R"({"type": "normalization"})", "1, 1, 3")) == nothing);
}

TEST_CASE("binary_crossentropy takes one unit, and the sigmoid behind it, for two classes") {
    const auto ending = [](const std::string &end) {
        std::string text = model_text(flatten + R"(, {"type": "dense", )" + end + "}");
        const std::string loss = "sparse_categorical_crossentropy";
        return text.replace(text.find(loss), loss.size(), "binary_crossentropy");
    };
    const auto lowered = [&](const std::string &end) {
        const Model model = parse_model(ending(end), "t.json");
        CHECK(model.classes() == 2);
        return lower_training(model, lay_out_slabs(model)).operations;
    };
    const std::vector<Operation> with = lowered(R"("units": 1, "activation": "sigmoid")"), without = lowered(R"("units": 1)");
    REQUIRE(with.size() == without.size());
    for (std::size_t i = 0; i < with.size(); ++i) CHECK(with[i].kernel() == without[i].kernel());

    const std::string dense = "t.json: layers[1] \"dense\": ";
    CHECK(message_of_text(ending(R"("units": 1, "activation": "softmax")")) == dense + "the loss takes in activation sigmoid, not softmax");
    CHECK(message_of_text(model_text(flatten + R"(, {"type": "dense", "units": 4, "activation": "sigmoid"})")) ==
          dense + "the loss takes in activation softmax, not sigmoid");
    CHECK_NOTHROW(parse_model(model_text(flatten + R"(, {"type": "dense", "units": 4, "activation": "sigmoid"}, )" + softmax), "t.json"));
}

TEST_CASE("categorical_crossentropy tells classes apart, and takes a target for each") {
    std::string text = model_text(flatten + R"(, {"type": "dense", "units": 7, "activation": "softmax"})");
    text.erase(text.find("sparse_"), std::string("sparse_").size());
    const Model model = parse_model(text, "t.json");
    REQUIRE(model.loss->targets().size() == 1);
    CHECK(model.loss->targets()[0].name == "targets");
    CHECK((model.loss->targets()[0].extents == std::vector{7, records_extent}));
    const Plan read = parse_plan(to_json(make_plan(model, {.sets = {}})));
    CHECK((read.classes == 7 && read.targets == 7 && read.predictions() == 7 && read.units() == 0));
    CHECK(read.metric == Metric::accuracy);
    CHECK((read.has_class_shares() && !read.has_unit_labels()));
    CHECK(!parse_plan(to_json(make_plan(make_model(flatten + ", " + softmax), {.sets = {}}))).has_class_shares());
}

TEST_CASE("losses of several units want a target for each, and no labels") {
    const auto ending = [](const std::string &end, const std::string &loss) {
        std::string text = model_text(flatten + R"(, {"type": "dense", )" + end + "}");
        const std::string labels = "\"sparse_categorical_crossentropy\"";
        return text.replace(text.find(labels), labels.size(), loss);
    };
    const auto parsed = [&](const std::string &end, const std::string &loss) { return parse_model(ending(end, loss), "t.json"); };
    const auto wants = [](const Model &model, int units, Metric metric) {
        CHECK(model.classes() == 0);
        CHECK(model.loss->units() == units);
        CHECK(model.loss->metric() == metric);
        REQUIRE(model.loss->targets().size() == 1);
        CHECK(model.loss->targets()[0].name == "targets");
        CHECK(model.loss->targets()[0].type == "float32");
        CHECK((model.loss->targets()[0].extents == std::vector{units, records_extent}));
        const Plan plan = make_plan(model, {.sets = {}}), read = parse_plan(to_json(plan));
        CHECK(read.targets == units);
        CHECK(read.metric == metric);
        CHECK(read.predictions() == units);
        CHECK(read.units() == units);
        CHECK(!read.has_class_shares());
        CHECK(read.has_unit_labels() == (metric == Metric::accuracy));
    };
    wants(parsed(R"("units": 7, "activation": "sigmoid")", R"("binary_crossentropy")"), 7, Metric::accuracy);
    wants(parsed(R"("units": 7)", R"({"type": "binary_crossentropy", "label_smoothing": 0.1})"), 7, Metric::accuracy);
    for (const char *end : {R"("units": 1)", R"("units": 1, "activation": "sigmoid")", R"("units": 1, "activation": "tanh")"})
        wants(parsed(end, R"("mean_squared_error")"), 1, Metric::mean_absolute_error);

    const auto refusal = [&](const std::string &end, const std::string &loss) { return message_of_text(ending(end, loss)); };
    const std::string dense = "t.json: layers[1] \"dense\": ";
    CHECK(refusal(R"("units": 7, "activation": "softmax")", R"("binary_crossentropy")") ==
          dense + "the loss takes in activation sigmoid, not softmax");
    CHECK(refusal(R"("units": 7, "activation": "softmax")", R"("mean_squared_error")") ==
          dense + "activation softmax goes with a cross-entropy, and with no other loss");
    CHECK(refusal(R"("units": 7, "name": "predicted")", R"("mean_squared_error")") ==
          "t.json: layers[1] \"predicted\": the name is reserved");
    CHECK(refusal(R"("units": 7)", R"({"type": "mean_squared_error", "label_smoothing": 0.1})") ==
          "t.json: unknown key \"label_smoothing\"; loss has type");
}

TEST_CASE("a loss smooths labels by its option, in training and in inference") {
    const auto ending = [](const std::string &dense, const std::string &loss) {
        std::string text = model_text(flatten + R"(, {"type": "dense", )" + dense + "}");
        const std::string plain = "\"sparse_categorical_crossentropy\"";
        return text.replace(text.find(plain), plain.size(), loss);
    };
    const auto works = [&](const std::string &dense, const std::string &loss, const char *set) {
        const Plan plan = make_plan(parse_model(ending(dense, loss), "t.json"), {.sets = select_sets({set})});
        std::set<std::string> names;
        for (const CompiledKernel &compiled : plan.sets[0].kernels)
            if (const std::string name = kernel_name(compiled.kernel);
                name.find("cross_entropy") != name.npos || name.find("gradient") != name.npos)
                names.insert(name);
        return names;
    };
    using Names = std::set<std::string>;
    const std::string four = R"("units": 4)", one = R"("units": 1)";
    const std::string smoothed = R"({"type": "sparse_categorical_crossentropy", "label_smoothing": 0.1})";
    CHECK(works(four, smoothed, "reference") ==
          Names{"softmax_cross_entropy_fwd__h1w1c4_s0p1", "pointwise__smoothedonehotgradientv0p1__h1w1c4"});
    CHECK(works(four, smoothed, "cuda") ==
          Names{"softmax_cross_entropy_fwd__h1w1c4_s0p1", "conv2d_softmax_cross_entropy__h8w8c3_k4r8s8_s0p1"});
    CHECK(works(one, R"({"type": "binary_crossentropy", "label_smoothing": 0.25})", "reference") ==
          Names{"sigmoid_cross_entropy_fwd__h1w1c1_s0p25", "pointwise__smoothedbinarygradientv0p25__h1w1c1"});

    CHECK(works(four, R"({"type": "categorical_crossentropy", "label_smoothing": 0.25})", "reference") ==
          Names{"categorical_cross_entropy_fwd__h1w1c4_s0p25", "categorical_cross_entropy_bwd__h1w1c4_s0p25"});

    // None is none.
    for (const std::string loss : {"sparse_categorical_crossentropy", "categorical_crossentropy"})
        for (const char *set : {"reference", "cuda"}) {
            const auto plain = works(four, "\"" + loss + "\"", set);
            CHECK(works(four, R"({"type": ")" + loss + "\"}", set) == plain);
            CHECK(works(four, R"({"type": ")" + loss + R"(", "label_smoothing": 0})", set) == plain);
        }

    const auto refusal = [&](const std::string &loss) { return message_of_text(ending(four, loss)); };
    CHECK(refusal(R"({"type": "sparse_categorical_crossentropy", "label_smoothing": 1.5})") ==
          "t.json: \"label_smoothing\" must be a number from 0 to 1, not 1.5");
    CHECK(refusal(R"({"type": "sparse_categorical_crossentropy", "label_smoothing": "0.1"})") ==
          "t.json: \"label_smoothing\" must be a number from 0 to 1, not \"0.1\"");
    CHECK(refusal(R"({"label_smoothing": 0.1})") == "t.json: loss needs \"type\"");
    CHECK(refusal(R"({"type": "categorical_crossentropy", "smoothing": 0.1})") ==
          "t.json: unknown key \"smoothing\"; loss has type, label_smoothing");
    CHECK(refusal(R"({"type": "mse"})") == "t.json: \"type\" must be \"binary_crossentropy\" or \"categorical_crossentropy\" or "
                                           "\"mean_squared_error\" or \"sparse_categorical_crossentropy\", not \"mse\"");
}

TEST_CASE("names and inputs are checked") {
    CHECK(message(R"({"name": "a", "type": "relu"}, {"name": "a", "type": "relu"})") ==
          "t.json: layers[1] \"a\": the name is taken by layers[0]");
    CHECK(message(R"({"name": "a/b", "type": "relu"})") == "t.json: layers[0] \"a/b\": a name is made of letters, digits, _, - and .");
    CHECK(message(R"({"name": "loss", "type": "relu"})") == "t.json: layers[0] \"loss\": the name is reserved");
    CHECK(message(R"({"type": "relu", "inputs": ["later"]})") == "t.json: layers[0] \"re_lu\": there is no layer \"later\" before it");
    CHECK(message(R"({"type": "relu", "inputs": ["input", "input"]})") == "t.json: layers[0] \"re_lu\": takes one input, has 2");
    CHECK(message(R"({"type": "add"})") == "t.json: layers[0] \"add\": takes two or more inputs, has 1");
    CHECK(message(R"({"type": "relu", "inputs": "input"})") ==
          "t.json: layers[0] \"re_lu\": \"inputs\" must be a list of strings, not \"input\"");
    CHECK(message(R"({"name": "a", "type": "relu"}, {"type": "relu", "inputs": ["input"]})") ==
          "t.json: layers[0] \"a\": no layer reads its output");
}

TEST_CASE("a dense layer takes the channels of every pixel, or all values of a flat input") {
    const Model model = make_model(conv + R"(, {"type": "dense", "units": 5}, )" + flatten + R"(, {"type": "dense", "units": 10})");
    const Slabs slabs = lay_out_slabs(model);
    CHECK(to_string(model.layers[1]->out) == "6x6x5");
    CHECK(slabs.parameters[std::size_t(slabs.find("dense/kernel"))].shape == std::vector<int>{4, 5});
    CHECK(slabs.extents[std::size_t(slabs.find("dense/kernel"))] == std::vector<int>{5, 4, 1, 1});
    CHECK(slabs.parameters[std::size_t(slabs.find("dense_1/kernel"))].shape == std::vector<int>{6 * 6 * 5, 10});
    const Model of_pixel = make_model(R"({"type": "max_pooling2d", "pool_size": 8}, {"type": "dense", "units": 10})");
    CHECK(to_string(of_pixel.layers[1]->out) == "1x1x10");
}

TEST_CASE("a pool counts its windows as Keras does, or in ceil_mode as PyTorch does") {
    const auto output = [](const char *options) {
        return to_string(make_model(fmt::format(R"({{"type": "max_pooling2d", {}}}, {}, {})", options, flatten, softmax)).layers[0]->out);
    };
    CHECK(output(R"("pool_size": 3)") == "2x2x3");
    CHECK(output(R"("pool_size": 3, "ceil_mode": true)") == "3x3x3");
    CHECK(output(R"("pool_size": 4, "ceil_mode": true)") == "2x2x3");
    CHECK(output(R"("pool_size": 2, "strides": 3, "padding": [1, 1, 0, 0])") == "3x3x3");
    CHECK(output(R"("pool_size": [3, 2], "strides": 5, "ceil_mode": true, "padding": [0, 0, 1, 1])") == "2x2x3");
    // The window that would begin behind the input is none.
    CHECK(output(R"("pool_size": 2, "strides": 3, "padding": [1, 1, 1, 1], "ceil_mode": true)") == "3x3x3");
    CHECK(output(R"("pool_size": 2, "strides": 4, "padding": [0, 1, 0, 1], "ceil_mode": true)") == "2x2x3");
    CHECK(
        message(R"({"type": "max_pooling2d", "padding": "same", "ceil_mode": true})") ==
        "t.json: layers[0] \"max_pooling2d\": \"ceil_mode\" is for \"padding\" valid or [top, bottom, left, right]: with same no value is "
        "left out");
}

TEST_CASE("layer normalisation is over the channels, or all that an image has") {
    struct Case {
        std::string layers;
        std::vector<int> shape;
        std::string normalises;
    };
    const auto layer = [](const std::string &axis) { return fmt::format(R"({{"type": "layer_normalization"{}}})", axis); };
    const std::string of_channels = "group_norm_fwd", of_units = "group_norm_fwd output[unitaffine]";
    for (const auto &[layers, shape, normalises] :
         {Case{layer("") + ", " + flatten, {3}, of_channels},
          {layer(R"(, "axis": 3)") + ", " + flatten, {3}, of_channels},
          {layer(R"(, "axis": [1, 2, 3])") + ", " + flatten, {8, 8, 3}, of_units},
          {layer(R"(, "axis": [-1, -3, -2])") + ", " + flatten, {8, 8, 3}, of_units},
          {R"({"type": "max_pooling2d", "pool_size": 8}, )" + layer(R"(, "axis": [1, 2, 3])") + ", " + flatten, {1, 1, 3}, of_channels},
          {flatten + ", " + layer(""), {8 * 8 * 3}, of_units},
          {flatten + R"(, {"type": "dense", "units": 9}, )" + layer(R"(, "axis": [1])"), {9}, of_channels}}) {
        CAPTURE(layers);
        const Model model = make_model(R"({"type": "conv2d", "filters": 3, "kernel_size": 1}, )" + layers + ", " + softmax);
        const Slabs slabs = lay_out_slabs(model);
        for (const char *weight : {"layer_normalization/gamma", "layer_normalization/beta"})
            CHECK(slabs.parameters[std::size_t(slabs.find(weight))].shape == shape);
        std::set<std::string> names;  // plans know values by them
        for (const Buffer &value : lower_training(model, slabs).values) CHECK(names.insert(value.name).second);
        Graph inference = lower_inference(model, slabs);
        fuse(inference, x86_avx2());
        CHECK(std::ranges::count(calls_of(inference), "layer_normalization: " + normalises) == 1);
    }

    const std::string where = "t.json: layers[0] \"layer_normalization\": ";
    for (const char *axis : {"1", "0", "[2, 3]", "[2, -1]"})
        CHECK(message(layer(fmt::format(R"(, "axis": {})", axis))) ==
              where + "\"axis\" must be -1, the channels, or [1, 2, 3], rows, columns and channels");
    CHECK(message(layer(R"(, "axis": 4)")) == where + "\"axis\" must be an axis from -3 to 3, or a list of such, each once, not 4");
    CHECK(message(flatten + ", " + layer(R"(, "axis": [1, 2, 3])")) ==
          "t.json: layers[1] \"layer_normalization\": has a flat input: \"axis\" must be -1, all of it");
}

TEST_CASE("group normalisation is over the channels, in groups that divide them") {
    for (const char *fits :
         {R"({"type": "group_normalization", "groups": 3, "axis": [-1]})", R"({"type": "group_normalization", "groups": -1})"})
        CHECK_NOTHROW(make_model(fmt::format("{}, {}, {}", fits, flatten, softmax)));
    CHECK(message(R"({"type": "group_normalization", "groups": 3, "axis": [1, 2, 3]})") ==
          "t.json: layers[0] \"group_normalization\": \"axis\" must be -1, the channels");
    CHECK(message(flatten + R"(, {"type": "group_normalization"})") ==
          "t.json: layers[1] \"group_normalization\": cannot normalise what flatten made of rows and columns; put it before the flatten");
    const auto groups = [](const char *groups) { return message(fmt::format(R"({{"type": "group_normalization"{}}})", groups)); };
    const std::string refusal =
        "t.json: layers[0] \"group_normalization\": \"groups\" must divide the 3 channels, or be -1 for as many; it is ";
    CHECK(groups("") == refusal + "32");
    CHECK(groups(R"(, "groups": 2)") == refusal + "2");
    CHECK(groups(R"(, "groups": 0)") == refusal + "0");
    CHECK(groups(R"(, "groups": 1.5)") == refusal + "1.5");
}

TEST_CASE("a PReLU has an alpha for each value of an image, but for the axes that share one") {
    const auto graph = [](const std::string &layers) {
        const Model model =
            make_model(fmt::format(R"({{"type": "conv2d", "filters": 5, "kernel_size": [2, 3]}}, {}, {})", layers, softmax));
        const Slabs slabs = lay_out_slabs(model);
        return std::pair(slabs.parameters[std::size_t(slabs.find("p_re_lu/alpha"))], lower_training(model, slabs));
    };
    struct Case {
        const char *axes;
        std::vector<int> shape;
        bool is_of_channels;
    };
    for (const auto &[axes, shape, is_of_channels] : {Case{"", {7, 6, 5}, false},
                                                      {R"(, "shared_axes": [2, 1])", {1, 1, 5}, true},
                                                      {R"(, "shared_axes": 1)", {1, 6, 5}, false},
                                                      {R"(, "shared_axes": [2])", {7, 1, 5}, false},
                                                      {R"(, "shared_axes": [3, 1])", {1, 6, 1}, false},
                                                      {R"(, "shared_axes": [1, 2, 3])", {1, 1, 1}, false}}) {
        CAPTURE(axes);
        const auto [alpha, training] = graph(fmt::format(R"({{"type": "prelu"{}}}, {})", axes, flatten));
        CHECK(alpha.shape == shape);
        CHECK(alpha.initializer == "zeros");
        CHECK(count(training, is_of_channels ? "prelu" : "unitprelu") == 1);
        CHECK(count(training, is_of_channels ? "prelu_bwd_alpha" : "prelu_bwd_unit_alpha") == 1);
        const bool is_shared = !is_of_channels && shape != std::vector{7, 6, 5};
        CHECK(count(training, "shared_weights") == is_shared);
        CHECK(count(training, "shared_weights_bwd") == is_shared);
    }
    const auto shape_of = [&](const std::string &layers) { return graph(layers).first.shape; };
    CHECK(shape_of(R"({"type": "max_pooling2d", "pool_size": [7, 6]}, {"type": "prelu"}, )" + flatten) == std::vector{1, 1, 5});
    CHECK(shape_of(flatten + R"(, {"type": "prelu"})") == std::vector{7 * 6 * 5});
    CHECK(shape_of(flatten + R"(, {"type": "dense", "units": 9}, {"type": "prelu"})") == std::vector{9});
    CHECK(shape_of(flatten + R"(, {"type": "prelu", "shared_axes": 1})") == std::vector{1});

    const std::string where = "t.json: layers[0] \"p_re_lu\": ";
    CHECK(message(R"({"type": "prelu", "shared_axes": [0]})") ==
          where + "\"shared_axes\" must be an axis from 1 to 3, or a list of such, each once, not [0]");
    CHECK(message(R"({"type": "prelu", "alpha_initializer": "he_normal"})") ==
          where + "\"alpha_initializer\" cannot be he_normal, which is for kernels");
    CHECK(message(flatten + R"(, {"type": "prelu", "shared_axes": [1, 2]})") ==
          "t.json: layers[1] \"p_re_lu\": has a flat input: \"shared_axes\" must be [1] or none");
}

TEST_CASE("a kernel's regularizer adds to its gradient when the backward pass is over, and to no other's") {
    const auto of_kernel = [](const std::string &regularizer) {
        const Model model =
            make_model(fmt::format(R"({{"type": "conv2d", "filters": 4, "kernel_size": 3, "kernel_regularizer": {}}}, )", regularizer) +
                       flatten + ", " + softmax);
        return lower_training(model, lay_out_slabs(model));
    };
    const auto constants = [&](const std::string &regularizer) {
        return find(of_kernel(regularizer), "pointwise_weights output[penalised]").chain("output").front().constants;
    };
    CHECK(constants(R"("l1")") == std::vector<float>{0.01f, 0});
    CHECK(constants(R"("l2")") == std::vector<float>{0, 0.01f});
    CHECK(constants(R"({"type": "l2"})") == std::vector<float>{0, 0.01f});
    CHECK(constants(R"({"type": "l1", "l1": 0.5})") == std::vector<float>{0.5f, 0});
    CHECK(constants(R"({"type": "l1_l2", "l1": 0.5, "l2": 2})") == std::vector<float>{0.5f, 2});
    const Graph graph = of_kernel(R"("l2")");
    const Operation &penalty = graph.operations.back();
    REQUIRE(name_of(penalty) == "pointwise_weights output[penalised]");
    CHECK(penalty.inputs["input"] == find(graph, "conv2d_bwd_weights", "conv2d").outputs["d_weights"]);
    CHECK(graph.values[std::size_t(penalty.inputs["input"])].home == Home::arena_fixed);
    CHECK(graph.values[std::size_t(penalty.outputs["output"])].home == Home::gradients);
    CHECK(graph.values[std::size_t(penalty.outputs["output"])].name == "d conv2d/kernel");
    CHECK(count(of_kernel(R"({"type": "l1_l2"})"), "pointwise_weights output[penalised]") == 0);

    const auto refusal = [](const std::string &regularizer) {
        return message(fmt::format(R"({{"type": "conv2d", "filters": 4, "kernel_size": 3, "kernel_regularizer": {}}})", regularizer));
    };
    const std::string where = "t.json: layers[0] \"conv2d\": ";
    CHECK(refusal(R"("l3")") == where + R"("kernel_regularizer" must be "l1" or "l2" or "l1_l2", not "l3")");
    CHECK(refusal(R"({"l2": 1})") == where + R"(kernel_regularizer needs "type")");
    CHECK(refusal(R"({"type": "l2", "l2": -1})") == where + R"("l2" must be a number from 0 to 1e+12, not -1)");
    CHECK(refusal(R"({"type": "l2", "l1": 1})") == where + R"(unknown key "l1"; kernel_regularizer has type, l2)");
}

TEST_CASE("a kernel's constraint is the parameter's, and survives the plan's JSON") {
    const auto plan_of = [](const std::string &of_conv2d, const std::string &of_dense) {
        return make_plan(make_model(fmt::format(R"({{"type": "conv2d", "filters": 4, "kernel_size": 3{}}}, )", of_conv2d) + flatten +
                                    fmt::format(R"(, {{"type": "dense", "units": 3, "activation": "softmax"{}}})", of_dense)),
                         {.sets = {x86_avx2()}});
    };
    const auto constraint_of = [](const Plan &plan, const std::string &name) {
        return std::ranges::find(plan.parameters, name, &Parameter::name)->constraint;
    };
    using enum Constraint::Type;
    const auto of_conv2d = [&](const std::string &constraint) {
        const Plan plan = plan_of(R"(, "kernel_constraint": )" + constraint, "");
        CHECK(!constraint_of(plan, "conv2d/bias"));
        CHECK(!constraint_of(plan, "dense/kernel"));
        CHECK(to_json(parse_plan(to_json(plan))) == to_json(plan));
        CHECK(constraint_of(parse_plan(to_json(plan)), "conv2d/kernel") == constraint_of(plan, "conv2d/kernel"));
        return *constraint_of(plan, "conv2d/kernel");
    };
    CHECK(of_conv2d(R"("max_norm")") == Constraint{max_norm, 2, {0}});
    CHECK(of_conv2d(R"({"type": "max_norm", "max_value": 0.1, "axis": 3})") == Constraint{max_norm, 0.1F, {3}});
    CHECK(of_conv2d(R"({"type": "unit_norm", "axis": [2, 0, 1]})") == Constraint{unit_norm, 0, {0, 1, 2}});
    CHECK(of_conv2d(R"("unit_norm")") == Constraint{unit_norm, 0, {0}});
    CHECK(of_conv2d(R"({"type": "non_neg"})") == Constraint{non_neg});
    CHECK(*constraint_of(plan_of("", R"(, "kernel_constraint": {"type": "max_norm", "axis": [0, 1]})"), "dense/kernel") ==
          Constraint{max_norm, 2, {0, 1}});

    const auto refusal = [](const std::string &constraint) {
        return message(flatten + fmt::format(R"(, {{"type": "dense", "units": 4, "kernel_constraint": {}}})", constraint));
    };
    const std::string where = "t.json: layers[1] \"dense\": ";
    CHECK(refusal(R"("norm")") == where + R"("kernel_constraint" must be "max_norm" or "unit_norm" or "non_neg", not "norm")");
    CHECK(refusal(R"({"max_norm": 3})") == where + R"(kernel_constraint needs "type")");
    CHECK(refusal(R"({"type": "max_norm", "max_value": -1})") == where + R"("max_value" must be a number from 0 to 1e+12, not -1)");
    CHECK(refusal(R"({"type": "unit_norm", "max_value": 1})") == where + R"(unknown key "max_value"; kernel_constraint has type, axis)");
    CHECK(refusal(R"({"type": "non_neg", "axis": 0})") == where + R"(unknown key "axis"; kernel_constraint has type)");
    for (const std::string axis : {"2", "-1", "[0,2]", "[]", "[1,1]", "\"0\"", "0.5"})
        CHECK(refusal(fmt::format(R"({{"type": "max_norm", "axis": {}}})", axis)) ==
              where + fmt::format(R"("axis" must be an axis from 0 to 1, or a list of such, each once, not {})", axis));
}

TEST_CASE("unknown keys, missing keys and wrong types are named") {
    CHECK(message(R"({"type": "relu", "slope": 1})") == "t.json: layers[0] \"re_lu\": unknown key \"slope\"; the layer has type, name, "
                                                        "inputs, trainable, max_value, negative_slope, threshold");
    CHECK(message(flatten + R"(, {"type": "spatial_dropout2d"})").starts_with("t.json: layers[1] \"spatial_dropout2d\": "));
    for (const char *rate : {"1", "1e-5", "-0.1", "\"0.5\""})
        CHECK(message(fmt::format(R"({{"type": "dropout", "rate": {}}})", rate)) ==
              fmt::format("t.json: layers[0] \"dropout\": \"rate\" must be 0 or a number from 1/65536 to 65535/65536, not {}",
                          nlohmann::json::parse(rate).dump()));
    CHECK(message(R"({"type": "gaussian_noise"})") == "t.json: layers[0] \"gaussian_noise\": the layer needs \"stddev\"");
    CHECK(message(R"({"type": "gaussian_noise", "stddev": 1.5})") ==
          "t.json: layers[0] \"gaussian_noise\": \"stddev\" must be a number from 0 to 1, not 1.5");
    CHECK(
        message(R"({"type": "conv3d"})") ==
        "t.json: layers[0]: unknown type \"conv3d\"; there are activation, add, average, "
        "average_pooling2d, batch_normalization, concatenate, conv2d, dense, depthwise_conv2d, dropout, elu, flatten, gaussian_noise, "
        "global_average_pooling2d, global_max_pooling2d, group_normalization, layer_normalization, leaky_relu, max_pooling2d, maximum, "
        "multiply, normalization, prelu, relu, rescaling, reshape, separable_conv2d, softmax, spatial_dropout2d, subtract, up_sampling2d, "
        "zero_padding2d");
    CHECK(message(R"({"type": "global_average_pooling2d", "keepdims": 1})") ==
          "t.json: layers[0] \"global_average_pooling2d\": \"keepdims\" must be true or false, not 1");
    CHECK(message(R"({"filters": 4})") == "t.json: layers[0]: the layer needs \"type\"");
    CHECK(message(R"(3)") == "t.json: layers[0]: the layer must be an object");
    CHECK(message(R"({"type": "conv2d", "kernel_size": 3})") == "t.json: layers[0] \"conv2d\": the layer needs \"filters\"");
    CHECK(message(R"({"type": "conv2d", "filters": "4", "kernel_size": 3})") ==
          "t.json: layers[0] \"conv2d\": \"filters\" must be a whole number from 1 to 1000000, not \"4\"");
    CHECK(message(R"({"type": "conv2d", "filters": 4, "kernel_size": [3, 0]})") ==
          "t.json: layers[0] \"conv2d\": \"kernel_size\" must be a whole number from 1 to 1000000, or [rows, columns], not [3,0]");
    CHECK(message(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "padding": "full"})") ==
          "t.json: layers[0] \"conv2d\": \"padding\" must be \"valid\" or \"same\", not \"full\"");
    CHECK(message(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "padding": [1, 1]})") ==
          "t.json: layers[0] \"conv2d\": \"padding\" must be [top, bottom, left, right], each a whole number from 0 to 1000000, not [1,1]");
    CHECK(message(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "padding": [1, 3, 1, 1]})") ==
          "t.json: layers[0] \"conv2d\": \"padding\" must be smaller than kernel 3");
    CHECK(message(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "dilation_rate": 2, "padding": [1, 5, 1, 1]})") ==
          "t.json: layers[0] \"conv2d\": \"padding\" must be smaller than kernel 3 dilated by 2");
    CHECK(message(R"({"type": "depthwise_conv2d", "kernel_size": [3, 2], "dilation_rate": [4, 1]})") ==
          "t.json: layers[0] \"depthwise_conv2d\": kernel 3x2 dilated by 4x1 does not fit in its 8x8 input");
    CHECK(message(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "dilation_rate": 600000, "padding": "same"})") ==
          "t.json: layers[0] \"conv2d\": kernel 3 dilated by 600000 spans 1200001 pixels; the most is 1000000");
    CHECK(message(conv + R"(, {"type": "conv2d", "filters": 6, "kernel_size": 3, "groups": 4})") ==
          "t.json: layers[1] \"conv2d_1\": \"groups\" must divide its 4 input channels and 6 filters, not 4");
    CHECK(message(R"({"type": "separable_conv2d", "filters": 4, "kernel_size": 3, "depth_multiplier": 0})") ==
          "t.json: layers[0] \"separable_conv2d\": \"depth_multiplier\" must be a whole number from 1 to 1000000, not 0");
    CHECK(message(conv + R"(, {"type": "depthwise_conv2d", "kernel_size": 3, "depth_multiplier": 500000})") ==
          "t.json: layers[1] \"depthwise_conv2d\": makes 2000000 channels; the most is 1000000");
    CHECK(message(R"({"type": "max_pooling2d", "pool_size": [3, 2], "padding": [0, 0, 2, 0]})") ==
          "t.json: layers[0] \"max_pooling2d\": \"padding\" must be smaller than pool 3x2");
    CHECK(message(R"({"type": "max_pooling2d", "pool_size": 20, "padding": [1, 2, 0, 3]})") ==
          "t.json: layers[0] \"max_pooling2d\": pool 20 does not fit in its 11x11 input");
    CHECK(message(R"({"type": "zero_padding2d", "padding": [1, -1]})") ==
          "t.json: layers[0] \"zero_padding2d\": \"padding\" must be a whole number from 0 to 1000000, [rows, columns] or "
          "[[top, bottom], [left, right]], not [1,-1]");
    CHECK(message(R"({"type": "up_sampling2d", "size": [2, 200000]})") ==
          "t.json: layers[0] \"up_sampling2d\": makes 16x1600000 pixels; the most is 1000000 of each");
    CHECK(message(R"({"type": "up_sampling2d", "interpolation": "bilinear"})") ==
          "t.json: layers[0] \"up_sampling2d\": \"interpolation\" must be \"nearest\", not \"bilinear\"");
    CHECK(message(R"({"type": "conv2d", "filters": 4, "kernel_size": 3, "activation": "tanhh"})")
              .starts_with("t.json: layers[0] \"conv2d\": \"activation\" must be \"linear\" or \"elu\" or \"exponential\" or "));
    CHECK(message(R"({"type": "activation", "activation": {"type": "gelu", "approximate": 1}})") ==
          "t.json: layers[0] \"activation\": \"approximate\" must be true or false, not 1");
    CHECK(message(R"({"type": "activation", "activation": {"type": "relu", "approximate": true}})") ==
          "t.json: layers[0] \"activation\": unknown key \"approximate\"; activation has type");
    CHECK(message(R"({"type": "activation", "activation": {"approximate": true}})") ==
          "t.json: layers[0] \"activation\": activation needs \"type\"");
    CHECK(message(R"({"type": "activation"})") == "t.json: layers[0] \"activation\": the layer needs \"activation\"");
    CHECK(message(R"({"type": "leaky_relu", "negative_slope": -1})") ==
          "t.json: layers[0] \"leaky_re_lu\": \"negative_slope\" must be a number from 0 to 1e+12, not -1");
    CHECK(message(R"({"type": "relu", "max_value": "6"})") ==
          "t.json: layers[0] \"re_lu\": \"max_value\" must be a number from 0 to 1e+12, not \"6\"");
    CHECK(message(R"({"type": "elu", "negative_slope": 1})") ==
          "t.json: layers[0] \"elu\": unknown key \"negative_slope\"; the layer has type, name, inputs, trainable, alpha");
    CHECK(message(R"({"type": "batch_normalization", "momentum": 1.5})") ==
          "t.json: layers[0] \"batch_normalization\": \"momentum\" must be a number from 0 to 1, not 1.5");
    CHECK(message(R"({"type": "batch_normalization", "epsilon": 0})") ==
          "t.json: layers[0] \"batch_normalization\": \"epsilon\" must be a number from 1e-12 to 1, not 0");
}

TEST_CASE("what layers of several inputs and reshape cannot take is named") {
    const std::string gate = R"({"type": "global_average_pooling2d", "name": "gate"}, )";
    const auto of = [](const std::string &type, const std::string &inputs) {
        return R"({"type": ")" + type + R"(", "inputs": [)" + inputs + "]}";
    };
    CHECK(message(gate + of("concatenate", R"("input", "gate")")) == "t.json: layers[1] \"concatenate\": cannot concatenate 8x8x3 and 3");
    CHECK(message(gate + of("subtract", R"("input", "input", "input")")) == "t.json: layers[1] \"subtract\": takes two inputs, has 3");
    CHECK(message(gate + of("maximum", R"("input", "gate")")) == "t.json: layers[1] \"maximum\": cannot compare 8x8x3 and 3");
    CHECK(message(gate + of("average", R"("gate", "input")")) == "t.json: layers[1] \"average\": cannot average 3 and 8x8x3");
    CHECK(message(R"({"type": "conv2d", "filters": 2, "kernel_size": 8, "name": "two"}, )" + of("multiply", R"("two", "input")")) ==
          "t.json: layers[1] \"multiply\": cannot multiply 1x1x2 and 8x8x3");
    CHECK(message(R"({"type": "flatten", "name": "flat"}, )" + of("concatenate", R"("flat", "flat")")) ==
          "t.json: layers[1] \"concatenate\": cannot concatenate what flatten made of rows and columns; put it before the flatten");
    CHECK(message(R"({"type": "reshape", "target_shape": [4, 16, -1]})") ==
          "t.json: layers[0] \"reshape\": cannot reshape 8x8x3 to [4, 16, -1]: only to [192] or [8, 8, 3]");
    CHECK(message(R"({"type": "reshape", "target_shape": [-1, 8, -1]})") ==
          "t.json: layers[0] \"reshape\": \"target_shape\" must be [features] or [rows, columns, channels], of which one may be -1, not "
          "[-1,8,-1]");
}

TEST_CASE("what is wrong outside the layers is named") {
    const std::string rest = R"("layers": [)" + flatten + ", " + softmax + R"(], "loss": "sparse_categorical_crossentropy"})";
    CHECK(message_of_text(R"({"input": {"shape": [8, 8, 3]}, )" + rest) == "t.json: the model needs \"name\"");
    CHECK(message_of_text(R"({"name": "9lives", "input": {"shape": [8, 8, 3]}, )" + rest) ==
          "t.json: \"name\" must be made of letters, digits and single underscores between them, a letter first, not \"9lives\"");
    CHECK(message_of_text(R"({"name": "t", "input": {"shape": [8, 8]}, )" + rest) ==
          "t.json: \"shape\" must be [rows, columns, channels], each a whole number from 1 to 1000000, not [8,8]");
    CHECK(message_of_text(R"({"name": "t", "input": {"shape": [8, 8, 3], "dtype": 1}, )" + rest) ==
          "t.json: unknown key \"dtype\"; the input has shape");
    CHECK(message_of_text(R"({"name": "t", "optimizer": "adam", "input": {"shape": [8, 8, 3]}, )" + rest) ==
          "t.json: unknown key \"optimizer\"; the model has $schema, name, input, layers, loss");
    CHECK(message_of_text(R"({"name": "t", "input": {"shape": [8, 8, 3]}, "layers": [], "loss": "sparse_categorical_crossentropy"})") ==
          "t.json: \"layers\" must be a list with something in it, not []");
    CHECK(message_of_text(R"({"name": "t", "input": {"shape": [8, 8, 3]}, "layers": [1], "loss": "mse"})") ==
          "t.json: \"loss\" must be \"binary_crossentropy\" or \"categorical_crossentropy\" or \"mean_squared_error\" or "
          "\"sparse_categorical_crossentropy\", not \"mse\"");
}

TEST_CASE("a syntax error is found by its line") {
    CHECK(message_of_text("{\n  \"name\": \"t\",\n  \"input\" 3\n}").rfind("t.json:3: syntax error", 0) == 0);
    CHECK(message_of_text("{\n  \"name\": \"t\n").rfind("t.json:2: syntax error", 0) == 0);
    CHECK(message_of_text("").rfind("t.json:1: syntax error", 0) == 0);
    CHECK(message_of_text("{\"name\": \"a\",\n \"name\": \"b\"}") == "t.json: the key \"name\" stands twice in one object");
    CHECK(failure_of([] { load_model("no/such/model.json"); }) == "no/such/model.json: cannot be read: No such file or directory");
    CHECK(failure_of([] { load_model(HALCYON_SOURCE_DIR "/models"); }) == HALCYON_SOURCE_DIR "/models: is a folder, not a file");
}

TEST_CASE("no model's function is one that Halcyon declares itself") {
    std::string headers;
    for (const char *header : {"/runtime/halcyon.h", "/runtime/model.h"}) headers += read_file(std::string(HALCYON_SOURCE_DIR) + header);
    headers = std::regex_replace(headers, std::regex(R"(/\*[^*]*\*+([^/*][^*]*\*+)*/)"), "");  // a comment shows one for a model
    std::set<std::string> names;
    const std::regex ours("halcyon_([A-Za-z0-9_]+)");
    for (std::sregex_iterator match(headers.begin(), headers.end(), ours), end; match != end; ++match) names.insert((*match)[1]);
    CHECK(names.size() > 10);
    CHECK(names.contains("train_step"));
    for (const std::string &name : names) {
        CAPTURE(name);
        CHECK(message_of_name(name) == "t.json: the name \"" + name + "\" is taken: there is a halcyon_" + name + " in Halcyon itself");
    }
    // The header's guard.
    CHECK_FALSE(std::regex_search(headers, std::regex("HALCYON_MODEL_[A-Za-z0-9_]+_H")));
}

TEST_CASE("a model's name is an identifier that no language keeps for itself, of a length that files can have") {
    for (const char *name : {"a", "Z9", "a_1_b", "int", "class", "main", "linux", "halcyon", "models"}) CHECK(message_of_name(name) == "");
    CHECK(message_of_name(std::string(100, 'a')) == "");
    CHECK(message_of_name(std::string(101, 'a')) ==
          "t.json: \"name\" must have at most 100 characters, not \"" + std::string(100, 'a') + "...\"");
    for (const char *name :
         {"", "_", "_a", "a_", "a__b", "9", "a b", "a/b", "../a", "a;b", "$<1>", "a-b", "k\xc3\xa4se", "a\\n", "a\\u0000"}) {
        CAPTURE(name);
        CHECK(message_of_name(name).starts_with(
            "t.json: \"name\" must be made of letters, digits and single underscores between them, a letter first, not \""));
    }
    CHECK(message_of_text(R"({"name": 3})") == "t.json: \"name\" must be a string, not 3");
}

TEST_CASE("long texts of a file are cut in messages") {
    const std::string text(1'000'000, 'a');
    for (const std::string &layer :
         {R"({"name": ")" + text + R"(", "type": "relu"})", R"({"type": ")" + text + R"("})", R"({"type": "relu", ")" + text + R"(": 1})",
          R"({"type": "relu", "inputs": [")" + text + R"("]})", R"({"type": "conv2d", "kernel_size": 1, "filters": ")" + text + R"("})"}) {
        CHECK(message(layer).starts_with("t.json: layers[0]"));
        CHECK(message(layer).size() < 600);
    }
    CHECK(
        message(R"({"type": "relu", "name": ")" + std::string(101, 'a') + R"("})").ends_with("a...\": a name has at most 100 characters"));
}

TEST_CASE("a number that is no size, or none of a float's, is refused with the file") {
    const std::string size = "a whole number from 1 to 1000000, not ";
    for (const char *value : {"0", "-1", "1.5", "1e3", "1e300", "1000001", "4294967297", "9223372036854775808", "18446744073709551616",
                              "true", "null", "\"3\"", "[]", "{}"}) {
        CAPTURE(value);
        const std::string filters = message(fmt::format(R"({{"type": "conv2d", "kernel_size": 1, "filters": {}}})", value));
        CHECK(filters.starts_with("t.json: layers[0] \"conv2d\": \"filters\" must be " + size));
        const std::string window = message(fmt::format(R"({{"type": "max_pooling2d", "pool_size": [1, {}]}})", value));
        CHECK(window.starts_with("t.json: layers[0] \"max_pooling2d\": \"pool_size\" must be "));
        CHECK(failure_of([&] {
                  parse_model(model_text(softmax, fmt::format("8, {}, 3", value)), "t.json");
              }).starts_with("t.json: \"shape\" must be [rows, columns, channels], each "));
    }
    for (const char *value : {"-1e-9", "1.0000001", "1e300", "-1e300", "2", "true", "null", "\"0.9\""}) {
        CAPTURE(value);
        CHECK(message(fmt::format(R"({{"type": "batch_normalization", "momentum": {}}})", value))
                  .starts_with("t.json: layers[0] \"batch_normalization\": \"momentum\" must be a number from 0 to 1, not "));
    }
    for (const char *value : {"1e-13", "1e-45", "5e-324", "1e-400", "-1"})
        CHECK(message(fmt::format(R"({{"type": "batch_normalization", "epsilon": {}}})", value))
                  .find("must be a number from 1e-12 to 1, not") != std::string::npos);
    CHECK(message(R"({"type": "batch_normalization", "epsilon": 1e-12, "momentum": 1})") == "");
    CHECK(message(R"({"type": "conv2d", "kernel_size": 1, "filters": 1e999})") == "t.json: number overflow parsing '1e999'");
    for (const char *literal : {"NaN", "Infinity", "-Infinity", "0x10", "1.", ".5", "+1", "01"})
        CHECK(message(fmt::format(R"({{"type": "conv2d", "kernel_size": 1, "filters": {}}})", literal))
                  .starts_with("t.json:1: syntax error"));
}
