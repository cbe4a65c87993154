// unbiased.json beside Keras's layers, without the weights that layers may lack, and with regularizers: make_unbiased.py says what is in
// the file and how it was made.
#include "halcyon_unbiased.h"

#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "tests/catch.h"
#include "tests/golden/golden_file.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

using Floats = std::vector<float>;

void check_set(const std::string &set) {
    const Floats images = tensor<float>("images"), labels = tensor<float>("labels");
    std::vector<std::uint8_t> bytes(images.begin(), images.end());
    const std::vector<std::uint16_t> classes(labels.begin(), labels.end());
    std::vector<std::int32_t> records(classes.size());
    std::iota(records.begin(), records.end(), 0);
    Network network(*halcyon_unbiased(), plan_of(*halcyon_unbiased()), set, 2, int(records.size()));
    network.bind_data(bytes, classes);

    // The same weights as Keras's, none missing and none more.
    std::size_t weights = 0;
    for (const auto &[name, unused] : golden().tensors)
        weights += name.find('/') != std::string::npos && name.find(' ') == std::string::npos;
    CHECK(network.plan().parameters.size() == weights);
    for (const Parameter &parameter : network.plan().parameters)
        std::ranges::copy(tensor<float>(parameter.name), network.weight(parameter).begin());

    network.infer(records);
    check_close(network.predictions(), tensor<float>("probabilities"), 1e-5);
    network.infer(std::vector<std::int32_t>{0});
    const Floats all = tensor<float>("probabilities");
    check_close(network.predictions(), {all.begin(), all.begin() + network.plan().classes}, 1e-5);

    const double loss = network.gradients(records, StepValues{}).loss / double(records.size());
    CHECK(std::abs(loss - tensor<float>("loss")[0]) <= 1e-5 * loss);
    for (const Parameter &parameter : network.plan().parameters) {
        CAPTURE(parameter.name);
        if (parameter.home == Home::parameters)
            check_close(network.gradient(parameter), tensor<float>("d " + parameter.name), 1e-4);
        else
            check_close(network.weight(parameter), tensor<float>("moved " + parameter.name), 1e-5);
    }
}

}  // namespace

TEST_CASE("layers agree with Keras's, on every set") {
    for (const SetPlan &set : plan_of(*halcyon_unbiased()).sets) {
        CAPTURE(set.set);
        if (why_not(select_sets({set.set}).front()).empty()) check_set(set.set);
    }
}
