#include "runtime/weights/checkpoint.h"

#include "runtime/weights/safetensors.h"
#include "tests/catch.h"
#include "tests/training/tiny_run.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

using namespace halcyon;
using namespace halcyon::tests;

namespace {

const TrainingState some_state = {.step = 12,
                                  .epoch = 3,
                                  .position = 34,
                                  .loss = 0.1,
                                  .metric = 7,
                                  .seconds = 1.0 / 3,
                                  .best = {-0.7, 2},
                                  .plateau = {.best_score = -0.1, .wait = 5, .cooldown = 6, .reductions = 7}};
const Checkpoint some_checkpoint = {some_state,
                                    {{"cat", "dog \"2\"", "c", "d", "e", "f", "g", "h", "i", "j"}, PictureOptions{.fit = Fit::pad}, true},
                                    "{\n    \"seed\": 1\n}\n"};

std::vector<float> floats(std::span<const float> values) { return {values.begin(), values.end()}; }

/// Numbers that differ in every element of every slab, the padding left zero.
void fill(Network &network) {
    float next = 1;
    const auto count = [&next](std::span<float> values) {
        std::iota(values.begin(), values.end(), next);
        next += static_cast<float>(values.size());
    };
    for (const Parameter &parameter : network.plan().parameters) {
        count(network.weight(parameter));
        if (parameter.home != Home::parameters) continue;
        count(network.optimizer_state(parameter, 0));
        count(network.optimizer_state(parameter, 1));
    }
}

/// A file's tensors, owned, so that a test can change one.
struct Tensors {
    std::map<std::string, std::vector<float>> values;
    std::map<std::string, std::vector<std::int64_t>> shapes;

    void write(const std::filesystem::path &path) const {
        TensorViews views;
        for (const auto &[name, floats] : values) views[name] = view_floats(floats, shapes.at(name));
        write_safetensors(path, views, {});
    }
};

/// What someone else would write: every weight by Keras's name and shape, 0, 1, 2 ... in each.
Tensors foreign_weights(const Plan &plan) {
    Tensors tensors;
    for (const Parameter &parameter : plan.parameters) {
        tensors.shapes[parameter.name] = {parameter.shape.begin(), parameter.shape.end()};
        std::vector<float> values(std::accumulate(parameter.shape.begin(), parameter.shape.end(), std::size_t{1}, std::multiplies<>()));
        std::iota(values.begin(), values.end(), 0.0F);
        tensors.values[parameter.name] = values;
    }
    return tensors;
}

}  // namespace

TEST_CASE("a checkpoint brings back weights, optimizer and state to the bit") {
    const TemporaryFolder temporary;
    const Optimizer &optimizer = find_optimizer(GENERATE(as<std::string>(), "adam", "sgd"));
    const auto saved = make_network(), loaded = make_network();
    fill(*saved);
    save_checkpoint(temporary / "last.safetensors", *saved, optimizer, some_checkpoint);
    const Checkpoint checkpoint = load_checkpoint(temporary / "last.safetensors", *loaded, optimizer);

    CHECK(checkpoint.state == some_state);
    CHECK(checkpoint.images == some_checkpoint.images);
    CHECK(checkpoint.config == some_checkpoint.config);
    CHECK(read_config(temporary / "last.safetensors") == some_checkpoint.config);
    CHECK((floats(loaded->parameter_slab()) == floats(saved->parameter_slab())));
    CHECK((floats(loaded->moving_slab()) == floats(saved->moving_slab())));
    const std::size_t moments = saved->parameter_slab().size() * optimizer.slots.size();
    CHECK((floats(loaded->optimizer_slab().first(moments)) == floats(saved->optimizer_slab().first(moments))));
}

TEST_CASE("a checkpoint's tensors have Keras's names and shapes") {
    const TemporaryFolder temporary;
    const auto network = make_network();
    save_checkpoint(temporary / "last.safetensors", *network, find_optimizer("adam"), some_checkpoint);
    const TensorFile file = read_safetensors(temporary / "last.safetensors");
    using Shape = std::vector<std::int64_t>;
    CHECK(file.tensors.at("conv2d/kernel").shape == Shape{3, 3, 3, 32});
    CHECK(file.tensors.at("conv2d_4/bias").shape == Shape{128});
    CHECK(file.tensors.at("batch_normalization_1/moving_variance").shape == Shape{64});
    CHECK(file.tensors.at("dense/kernel").shape == Shape{128, 128});
    CHECK(file.tensors.at("optimizer/dense_1/kernel/m").shape == Shape{128, 10});
    CHECK(file.tensors.at("optimizer/dense_1/kernel/v").shape == Shape{128, 10});
    CHECK(!file.tensors.contains("optimizer/batch_normalization/moving_mean/m"));
    CHECK(file.tensors.size() == 34 + 2 * 24);  // 14 of convolution and dense, 20 of batch normalisation, 10 of these not trained
}

TEST_CASE("a file written by anyone loads, with or without an optimizer's state") {
    const TemporaryFolder temporary;
    const auto network = make_network();
    Tensors tensors = foreign_weights(network->plan());
    SECTION("weights alone") {}
    SECTION("with an optimizer's state of its own") {
        tensors.values["optimizer/iterations"] = {5};
        tensors.shapes["optimizer/iterations"] = {};
    }
    tensors.write(temporary / "keras.safetensors");
    CHECK(load_weights(temporary / "keras.safetensors", *network).images.class_names.empty());
    for (const Parameter &parameter : network->plan().parameters) {
        CAPTURE(parameter.name);
        CHECK((floats(network->weight(parameter)) == tensors.values.at(parameter.name)));
    }
}

TEST_CASE("weights of another model are refused by file, tensor and shapes, and nothing is loaded") {
    const TemporaryFolder temporary;
    const auto network = make_network();
    network->initialize(1);
    const std::vector<float> before = floats(network->parameter_slab());
    Tensors tensors = foreign_weights(network->plan());
    std::vector<std::string> message;
    SECTION("another shape of the same size") {
        tensors.shapes["dense_1/kernel"] = {10, 128};
        message = {"\"dense_1/kernel\"", "(10, 128)", "(128, 10)"};
    }
    SECTION("missing") {
        tensors.values.erase("dense_1/bias");
        message = {"\"dense_1/bias\"", "(10)"};
    }
    SECTION("unknown") {
        tensors.values["conv2d_5/bias"] = {1, 2};
        tensors.shapes["conv2d_5/bias"] = {2};
        message = {"\"conv2d_5/bias\"", "(2)"};
    }
    tensors.write(temporary / "other.safetensors");
    message.push_back((temporary / "other.safetensors").string());
    message.push_back("cifar10");
    CHECK(one_line_with(message_of([&] { load_weights(temporary / "other.safetensors", *network); }), message));
    CHECK((floats(network->parameter_slab()) == before));
}

TEST_CASE("a training begins with the weights that a file has") {
    const TemporaryFolder temporary;
    const auto network = make_network();
    network->initialize(1);
    const std::vector<float> before = floats(network->parameter_slab());
    const std::filesystem::path path = temporary / "backbone.safetensors";
    Tensors tensors = foreign_weights(network->plan());
    std::vector<std::string> message;
    SECTION("the others stay as they are, and are named") {
        std::erase_if(tensors.values, [](const auto &tensor) { return tensor.first.starts_with("dense"); });
        tensors.write(path);
        CHECK((load_first_weights(path, *network).missing ==
               std::vector<std::string>{"dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"}));
        const auto begun = make_network();
        begun->initialize(1);
        for (const Parameter &parameter : network->plan().parameters) {
            CAPTURE(parameter.name);
            const auto given = tensors.values.find(parameter.name);
            const std::vector<float> initial = floats(begun->weight(parameter));
            CHECK((floats(network->weight(parameter)) == (given == tensors.values.end() ? initial : given->second)));
        }
        return;
    }
    SECTION("all of them, or none missing") {
        tensors.write(path);
        CHECK(load_first_weights(path, *network).missing.empty());
        return;
    }
    SECTION("none of them") {
        tensors.values = {{"optimizer/iterations", {5}}};
        tensors.shapes["optimizer/iterations"] = {};
        message = {"no weight of the model cifar10"};
    }
    SECTION("one that the model lacks") {
        tensors.values = {{"conv2d/kernel", tensors.values.at("conv2d/kernel")}, {"conv2d_5/bias", {1, 2}}};
        tensors.shapes["conv2d_5/bias"] = {2};
        message = {"\"conv2d_5/bias\" (2) is no weight of the model cifar10"};
    }
    SECTION("one of another shape") {
        tensors.values = {{"conv2d/bias", {1, 2}}};
        tensors.shapes["conv2d/bias"] = {2};
        message = {"\"conv2d/bias\" has the shape (2), but the model cifar10 needs (32)"};
    }
    SECTION("one that is not finite") {
        tensors.values["conv2d/bias"][3] = std::numeric_limits<float>::infinity();
        message = {"\"conv2d/bias\": 1 infinite"};
    }
    tensors.write(path);
    message.push_back(path.string());
    CHECK(one_line_with(message_of([&] { load_first_weights(path, *network); }), message));
    CHECK((floats(network->parameter_slab()) == before));
}

TEST_CASE("weights that are no floats are refused") {
    const TemporaryFolder temporary;
    const auto network = make_network();
    const Tensors tensors = foreign_weights(network->plan());
    TensorViews views;
    for (const auto &[name, values] : tensors.values) views[name] = view_floats(values, tensors.shapes.at(name));
    views.at("dense_1/bias").type = DType::i32;
    write_safetensors(temporary / "integers.safetensors", views, {});
    CHECK(one_line_with(message_of([&] { load_weights(temporary / "integers.safetensors", *network); }),
                        {(temporary / "integers.safetensors").string(), "\"dense_1/bias\"", "F32"}));
}

TEST_CASE("a state that no run has is refused, checksums or not") {
    const TemporaryFolder temporary;
    const auto network = make_network();
    network->initialize(1);
    save_checkpoint(temporary / "last.safetensors", *network, find_optimizer("adam"), some_checkpoint);
    TensorFile file = read_safetensors(temporary / "last.safetensors");
    struct Case {
        const char *key, *value;
    };
    const auto wrong = GENERATE(values<Case>({{"step", "-1"},
                                              {"step", "1.5"},
                                              {"step", ""},
                                              {"epoch", "-1"},
                                              {"epoch", "4294967295"},
                                              {"position", "-1"},
                                              {"position", "2147483648"},
                                              {"loss_sum", "nan"},
                                              {"loss_sum", "inf"},
                                              {"loss_sum", "-1"},
                                              {"correct", "-1"},
                                              {"correct", "35"},
                                              {"seconds", "-0.5"},
                                              {"seconds", "nan"},
                                              {"best_score", "nan"},
                                              {"best_epoch", "0"},
                                              {"best_epoch", "4"},
                                              {"best_epoch", "-1"},
                                              {"plateau_score", "inf"},
                                              {"plateau_wait", "-1"},
                                              {"plateau_cooldown", "1.5"},
                                              {"plateau_reductions", "1000001"},
                                              {"classes", "[3]"},
                                              {"classes", "[[["},
                                              {"best_score", "-inf"}}));
    CAPTURE(wrong.key, wrong.value);
    file.metadata[wrong.key] = wrong.value;
    write_safetensors(temporary / "other.safetensors", file.tensors, file.metadata);
    CHECK(one_line_with(message_of([&] { load_checkpoint(temporary / "other.safetensors", *network, find_optimizer("adam")); }),
                        {(temporary / "other.safetensors").string(), std::string("\"") + wrong.key + "\"", wrong.value}));
}

TEST_CASE("weights alone are no checkpoint, and nor is another optimizer's") {
    const TemporaryFolder temporary;
    const auto network = make_network();
    network->initialize(1);
    const std::vector<float> before = floats(network->parameter_slab());
    fill(*network);
    save_weights(temporary / "best.safetensors", *network, {});
    save_checkpoint(temporary / "sgd.safetensors", *network, find_optimizer("sgd"), some_checkpoint);
    network->initialize(1);
    CHECK(one_line_with(message_of([&] { load_checkpoint(temporary / "best.safetensors", *network, find_optimizer("adam")); }),
                        {(temporary / "best.safetensors").string(), "\"step\"", "resumed"}));
    CHECK(one_line_with(message_of([&] { load_checkpoint(temporary / "sgd.safetensors", *network, find_optimizer("adam")); }),
                        {(temporary / "sgd.safetensors").string(), "\"optimizer/conv2d/kernel/m\""}));
    CHECK((floats(network->parameter_slab()) == before));
}

TEST_CASE("a checkpoint with a value that is not finite is refused, and nothing is loaded") {
    const TemporaryFolder temporary;
    const auto network = make_network();
    fill(*network);
    const std::vector<Parameter> parameters = network->plan().parameters;
    const auto kernel = std::ranges::find(parameters, "dense_1/kernel", &Parameter::name);
    REQUIRE(kernel != parameters.end());
    std::string tensor;
    SECTION("a weight") {
        network->weight(*kernel)[7] = std::numeric_limits<float>::quiet_NaN();
        tensor = "\"dense_1/kernel\"";
    }
    SECTION("a moment") {
        network->optimizer_state(*kernel, 1)[7] = std::numeric_limits<float>::quiet_NaN();
        tensor = "\"optimizer/dense_1/kernel/v\"";
    }
    save_checkpoint(temporary / "last.safetensors", *network, find_optimizer("adam"), some_checkpoint);
    network->initialize(1);
    const std::vector<float> before = floats(network->parameter_slab());
    CHECK(one_line_with(message_of([&] { load_checkpoint(temporary / "last.safetensors", *network, find_optimizer("adam")); }),
                        {(temporary / "last.safetensors").string(), tensor, "1 NaN"}));
    CHECK((floats(network->parameter_slab()) == before));
}

TEST_CASE("what others write into the metadata is passed over") {
    const TemporaryFolder temporary;
    const auto network = make_network();
    network->initialize(1);
    save_weights(temporary / "a.safetensors", *network, {});
    // The mark and every checksum away, as after other tools: nothing says that "classes" is ours.
    std::string bytes = read_bytes(temporary / "a.safetensors");
    const std::size_t header_end = 8 + std::size_t(*reinterpret_cast<const std::uint64_t *>(bytes.data()));
    nlohmann::json header = nlohmann::json::parse(bytes.substr(8, header_end - 8));
    header["__metadata__"] = {{"format", "pt"}, {"checksum", "none"}, {"classes", "cat, dog"}};
    const std::string text = header.dump();
    const std::uint64_t size = text.size();
    write_bytes(temporary / "b.safetensors",
                std::string(reinterpret_cast<const char *>(&size), sizeof size) + text + bytes.substr(header_end));
    const std::vector<float> before = floats(network->parameter_slab());
    network->initialize(2);
    CHECK(load_weights(temporary / "b.safetensors", *network).images.class_names.empty());
    CHECK((floats(network->parameter_slab()) == before));
    CHECK(one_line_with(message_of([&] { load_checkpoint(temporary / "b.safetensors", *network, find_optimizer("adam")); }), {"resumed"}));
}
