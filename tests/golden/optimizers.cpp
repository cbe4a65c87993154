// Ten steps of every optimizer beside Keras's in float64: make_optimizers.py says what is in the file and how it was made.
#include "halcyon_cifar10.h"

#include "plan/optimizers.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "tests/catch.h"
#include "tests/golden/golden_file.h"
#include "tests/kernels/optimizers.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

using namespace halcyon;

namespace {

constexpr int steps = 10, weights = 64;

StepValues values_of(const Optimizer &optimizer) {
    const auto settings = nlohmann::json::parse(golden().metadata.at(optimizer.name));
    StepValues values{.learning_rate = settings.at("learning_rate")};
    // Keras's own have no l2.
    for (const OptimizerSetting &setting : optimizer.settings) values.settings.push_back(settings.value(setting.key, setting.standard));
    return values;
}

/// The oracle on the same weights. It says how far rounding may bring them from Keras's: that of the kernel's operations, and that of the
/// numbers that the host computes for a step, the learning rate and what decays, of each of which a weight's way is a multiple.
class Expectation {
public:
    explicit Expectation(const Optimizer &optimizer)
        : optimizer_(optimizer), arguments_{zeros(weights), zeros(step_words(0, 2)), zeros(weights)}, moved_(weights) {
        const auto initial = tensor<float>("initial");
        std::ranges::copy(initial, arguments_[2].values.begin());
        for (std::size_t slot = 0; slot < optimizer.slots.size(); slot++) arguments_.push_back(zeros(weights));
        errors_.assign(1 + optimizer.slots.size(), zeros(weights));
    }

    void take_step(const StepValues &values, std::span<const float> gradients) {
        std::vector<std::uint32_t> words(arguments_[1].values.size());
        write_optimizer_step(words, optimizer_, values);
        std::ranges::copy(gradients, arguments_[0].values.begin());
        std::ranges::copy(words, arguments_[1].values.begin());
        const std::vector<double> before = arguments_[2].values;
        oracle::update(optimizer_, arguments_, errors_);
        for (std::size_t i = 0; i < weights; i++) moved_[i] += std::abs(arguments_[2].values[i] - before[i]);
    }

    double tolerance(std::size_t i) const { return errors_[0].values[i] + 2 * 0x1p-24 * moved_[i]; }

private:
    static oracle::Array zeros(int count) { return oracle::Array({count}); }

    const Optimizer &optimizer_;
    std::vector<oracle::Array> arguments_, errors_;
    std::vector<double> moved_;
};

void check_weights(std::span<const float> ours, const std::vector<double> &expected, const Expectation &expectation) {
    REQUIRE(expected.size() == weights);
    for (std::size_t i = 0; i < weights; i++) {
        CAPTURE(i, ours[i], expected[i]);
        CHECK(std::abs(ours[i] - expected[i]) <= expectation.tolerance(i));
    }
}

void check_optimizer(Network &network, const Optimizer &optimizer) {
    const auto initial = tensor<float>("initial"), gradients = tensor<float>("gradients");
    network.initialize(0);
    std::ranges::copy(initial, network.parameter_slab().begin());
    StepValues values = values_of(optimizer);
    Expectation expectation(optimizer);
    for (int step = 0; step < steps; step++, values.update++) {
        const auto of_step = std::span(gradients).subspan(std::size_t(step) * weights, weights);
        std::ranges::copy(of_step, network.gradient_slab().begin());
        network.update(optimizer, values);
        expectation.take_step(values, of_step);
        if (step == 0) check_weights(network.parameter_slab().first(weights), tensor<double>(optimizer.name + "/step1"), expectation);
    }
    check_weights(network.parameter_slab().first(weights), tensor<double>(optimizer.name + "/step10"), expectation);
}

void check_set(const std::string &set) {
    if (const std::string reason = why_not(select_sets({set}).front()); !reason.empty()) {
        WARN("skipped: " << reason);
        return;
    }
    Network network(*halcyon_cifar10(), plan_of(*halcyon_cifar10()), set, 2, 1);
    for (const Optimizer &optimizer : all_optimizers()) {
        CAPTURE(optimizer.name);
        check_optimizer(network, optimizer);
    }
}

}  // namespace

// A test case a set, so that the ones this machine cannot run show as skipped.
TEST_CASE("the optimizers' steps are Keras's: reference") { check_set("reference"); }
TEST_CASE("the optimizers' steps are Keras's: x86_sse41") { check_set("x86_sse41"); }
TEST_CASE("the optimizers' steps are Keras's: x86_avx2") { check_set("x86_avx2"); }
TEST_CASE("the optimizers' steps are Keras's: x86_avx512") { check_set("x86_avx512"); }
TEST_CASE("the optimizers' steps are Keras's: cuda") { check_set("cuda"); }
TEST_CASE("the optimizers' steps are Keras's: opencl") { check_set("opencl"); }
