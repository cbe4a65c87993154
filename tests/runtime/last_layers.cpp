// Networks that differ in their last layers (CMakeLists.txt lists them), with weights by which they compute the same. Those are small
// multiples of a power of two, so that the logits are exact in any order: from there on the same bits are due.
#include "halcyon_ends_in_add.h"
#include "halcyon_ends_in_batch_norm.h"
#include "halcyon_ends_in_dense.h"
#include "halcyon_ends_in_dropout.h"
#include "halcyon_ends_in_flatten.h"
#include "halcyon_ends_in_pool.h"
#include "halcyon_ends_in_relu.h"
#include "halcyon_ends_in_softmax.h"

#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "tests/catch.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

using Floats = std::vector<float>;
using Numbers = std::vector<std::int32_t>;  // of records
using Gradients = std::map<std::string, Floats>;

constexpr std::size_t classes = 4, image_values = 3 * 3 * 2, weights_of_pixel = 3 * classes;

/// Whole numbers from -2 to 2.
float whole(std::size_t i) { return float(i * 7 % 5) - 2; }

struct Data {
    std::vector<std::uint16_t> labels = {0, 1, 2, 3, 1};
    Floats images;

    Data() : images(labels.size() * image_values) {
        for (std::size_t i = 0; i < images.size(); ++i) images[i] = float(i * i % 11 % 3);  // no two images alike
    }
};

class Ending {
public:
    Ending(const halcyon_model &model, const std::string &set, const Data &data) : network(model, plan_of(model), set, 2, 5) {
        network.bind_data(std::span(data.images), data.labels);
        network.initialize(1);
        fill("stem/kernel", whole);
        fill("stem/bias", [](std::size_t) { return 1.0F; });
        fill("logits/kernel", [](std::size_t i) { return whole(i) / 64; });
        fill("logits/bias", [](std::size_t k) { return float(32 + k); });
    }

    void fill(const std::string &name, const std::function<float(std::size_t)> &value) {
        const std::span<float> weight = network.weight(*std::ranges::find(network.plan().parameters, name, &Parameter::name));
        for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = value(i);
    }

    Gradients gradients() {
        Gradients gradients;
        for (const Parameter &parameter : network.plan().parameters) {
            if (parameter.home != Home::parameters) continue;
            const std::span<const float> gradient = network.gradient(parameter);
            gradients[parameter.name] = {gradient.begin(), gradient.end()};
        }
        return gradients;
    }

    Floats probabilities(const Numbers &records) {
        network.infer(records);
        return {network.predictions().begin(), network.predictions().end()};
    }

    Network network;
};

void on_every_set(void (*check)(const std::string &set)) {
    for (const SetPlan &set : plan_of(*halcyon_ends_in_dense()).sets) {
        CAPTURE(set.set);
        if (why_not(select_sets({set.set}).front()).empty()) check(set.set);
    }
}

/// Both have the same losses and probabilities, and the one's gradients are what the other's are.
void check_same(Ending &one, Ending &other, const Numbers &records) {
    const BatchResult result = one.network.gradients(records, StepValues{}), expected = other.network.gradients(records, StepValues{});
    CHECK(result.loss == expected.loss);
    CHECK(result.metric == expected.metric);
    CHECK(one.gradients() == other.gradients());
    CHECK(one.probabilities(records) == other.probabilities(records));
    CHECK(one.probabilities({records[0]}) == other.probabilities({records[0]}));
}

Floats times(float factor, Floats values) {
    for (float &value : values) value *= factor;
    return values;
}

bool is_zero(const Floats &values) { return std::ranges::count(values, 0.0F) == std::ptrdiff_t(values.size()); }

}  // namespace

TEST_CASE("a network that ends without softmax computes what one with softmax does") {
    on_every_set([](const std::string &set) {
        const Data data;
        Ending softmax(*halcyon_ends_in_softmax(), set, data);
        const double loss = softmax.network.gradients({{0, 1, 2, 3, 4}}, StepValues{}).loss;
        CHECK(loss > 0.1);
        for (const auto &[name, gradient] : softmax.gradients()) {
            CAPTURE(name);
            CHECK_FALSE(is_zero(gradient));
        }
        for (const halcyon_model *model : {halcyon_ends_in_dense(), halcyon_ends_in_flatten(), halcyon_ends_in_dropout()}) {
            CAPTURE(model->name);
            Ending other(*model, set, data);
            check_same(other, softmax, {0, 1, 2, 3, 4});
        }
    });
}

TEST_CASE("logits go through a ReLU, which keeps the gradients of those below zero") {
    on_every_set([](const std::string &set) {
        const Data data;
        Ending dense(*halcyon_ends_in_dense(), set, data), relu(*halcyon_ends_in_relu(), set, data);
        check_same(relu, dense, {0, 1, 2, 3, 4});

        const auto bias = [](std::size_t k) { return k == 1 ? -1000.0F : 1.0F; };
        dense.fill("logits/bias", bias), relu.fill("logits/bias", bias);
        CHECK(dense.probabilities({0})[1] == 0);
        CHECK(relu.probabilities({0})[1] > 0.01F);
        relu.network.gradients({{0, 1, 2, 3, 4}}, StepValues{});
        CHECK(relu.gradients()["logits/bias"][1] == 0);
        CHECK(relu.gradients()["logits/bias"][0] != 0);
    });
}

TEST_CASE("logits are sums of layers") {
    on_every_set([](const std::string &set) {
        const Data data;
        const Numbers records = {0, 1, 2, 3, 4};
        Ending dense(*halcyon_ends_in_dense(), set, data), add(*halcyon_ends_in_add(), set, data);
        add.fill("logits/kernel", [](std::size_t i) { return whole(i) / 128; });
        add.fill("logits/bias", [](std::size_t k) { return float(32 + k) / 2; });
        CHECK(add.probabilities(records) == dense.probabilities(records));
        CHECK(add.network.gradients(records, StepValues{}).loss == dense.network.gradients(records, StepValues{}).loss);
        Gradients of_sum = add.gradients(), of_one = dense.gradients();
        for (const std::string name : {"logits/kernel", "logits/bias"}) CHECK(of_sum[name] == times(2, of_one[name]));
        CHECK(of_sum["stem/kernel"] == of_one["stem/kernel"]);
    });
}

// With one image and no weights but the biases, a bias has no gradient where its logit was dropped, and the loss follows.
TEST_CASE("logits are dropped, and their gradients with them") {
    on_every_set([](const std::string &set) {
        const Data data;
        Ending dropout(*halcyon_ends_in_dropout(), set, data);
        dropout.fill("logits/kernel", [](std::size_t) { return 0.0F; });
        dropout.fill("logits/bias", [](std::size_t k) { return float(k + 1) / 4; });
        std::size_t dropped = 0;
        for (std::uint32_t position = 0; position < 16; ++position) {
            CAPTURE(position);
            const double loss = dropout.network.gradients({{0}}, StepValues{.position = position, .dropout_rates = {0.5F}}).loss;
            const Floats gradient = dropout.gradients()["logits/bias"];
            double logits[classes], sum = 0;
            for (std::size_t k = 0; k < classes; ++k) {
                dropped += gradient[k] == 0;
                logits[k] = gradient[k] == 0 ? 0 : double(k + 1) / 2;
                sum += std::exp(logits[k]);
            }
            // Logits are at most 2, and some ten roundings lie on the way.
            constexpr double tolerance = 16 * 2 * std::numeric_limits<float>::epsilon();
            CHECK(std::abs(loss - (std::log(sum) - logits[0])) <= tolerance);
            for (std::size_t k = 0; k < classes; ++k)
                if (gradient[k] != 0) CHECK(std::abs(gradient[k] - 2 * (std::exp(logits[k]) / sum - (k == 0))) <= tolerance);
        }
        CHECK(dropped > 16);
        CHECK(dropped < 48);
    });
}

// A batch norm whose gamma is 0 makes its beta of everything, as a dense layer whose weights are 0 makes its bias. Sums over two images
// have but one order.
TEST_CASE("logits are normalised") {
    on_every_set([](const std::string &set) {
        const Data data;
        const Numbers records = {0, 1};
        Ending dense(*halcyon_ends_in_dense(), set, data), norm(*halcyon_ends_in_batch_norm(), set, data);
        dense.fill("logits/kernel", [](std::size_t) { return 0.0F; });
        norm.fill("norm/gamma", [](std::size_t) { return 0.0F; });
        norm.fill("norm/beta", [](std::size_t k) { return float(32 + k); });
        CHECK(norm.probabilities(records) == dense.probabilities(records));
        CHECK(norm.network.gradients(records, StepValues{}).loss == dense.network.gradients(records, StepValues{}).loss);
        Gradients gradients = norm.gradients();
        CHECK(gradients["norm/beta"] == dense.gradients()["logits/bias"]);
        CHECK_FALSE(is_zero(gradients["norm/gamma"]));
        CHECK(is_zero(gradients["logits/kernel"]));
    });
}

// Where all pixels are equal, the pool chooses the first, as a dense layer does that has weights for the first alone. With one image, and a
// channel for each logit, no gradient is a sum.
TEST_CASE("logits are chosen by a pool") {
    on_every_set([](const std::string &set) {
        Data data;
        std::ranges::fill(data.images, 1.0F);
        const Numbers records = {2};
        const auto diagonal = [](std::size_t i) { return i < weights_of_pixel && i % classes == i / classes ? 1 / 16.0F : 0; };
        Ending dense(*halcyon_ends_in_dense(), set, data), pool(*halcyon_ends_in_pool(), set, data);
        for (Ending *ending : {&dense, &pool}) {
            ending->fill("stem/kernel", [](std::size_t i) { return float(i % 3); });
            ending->fill("logits/kernel", diagonal);
        }
        CHECK(pool.probabilities(records) == dense.probabilities(records));
        CHECK(pool.network.gradients(records, StepValues{}).loss == dense.network.gradients(records, StepValues{}).loss);
        Gradients of_pool = pool.gradients(), of_dense = dense.gradients();
        of_dense["logits/kernel"].resize(of_pool["logits/kernel"].size());
        CHECK(of_pool == of_dense);
        CHECK_FALSE(is_zero(of_pool["stem/kernel"]));
    });
}
