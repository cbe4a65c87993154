#include "tests/kernels/optimizers.h"

#include "tests/kernels/rounded.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>

namespace halcyon::oracle {
namespace {

/// What a step has beside the gradient.
template<typename Number>
struct Step {
    const Optimizer &optimizer;
    const Array &words;

    Number operator()(int word) const { return Number(std::bit_cast<float>(std::uint32_t(words(word)))); }
    Number setting(std::string_view key) const { return (*this)(optimizer.word_of(key)); }
    Number learning_rate() const { return (*this)(step_learning_rate); }
};

// Each changes the numbers of one weight, `w`, by the gradient `g`: the parameter, then the slots.

const auto adam = [](const auto &step, const auto &g, auto &w) {
    using std::sqrt;
    auto &p = w[0], &m = w[1], &v = w[2];
    m = m + (g - m) * (1 - step.setting("beta_1"));
    v = v + (g * g - v) * (1 - step.setting("beta_2"));
    p = p - step.learning_rate() * m / (sqrt(v) + step.setting("epsilon"));
};

const auto adamw = [](const auto &step, const auto &g, auto &w) {
    w[0] = w[0] - step.setting("weight_decay") * w[0];
    adam(step, g, w);
};

const auto decay = [](const auto &step, auto &p) { p = p - step.setting("weight_decay") * p; };

const auto sgd = [](const auto &step, const auto &g, auto &w) {
    auto &p = w[0], &velocity = w[1];
    velocity = step.setting("momentum") * velocity - step.learning_rate() * (g + step.setting("l2") * p);
    decay(step, p);
    p = p + velocity;
};

const auto sgd_nesterov = [](const auto &step, const auto &g, auto &w) {
    auto &p = w[0], &velocity = w[1];
    const auto moved = step.learning_rate() * (g + step.setting("l2") * p);
    velocity = step.setting("momentum") * velocity - moved;
    decay(step, p);
    p = p + (step.setting("momentum") * velocity - moved);
};

const auto fade = [](const auto &step, auto &mean, const auto &value) {
    mean = step.setting("rho") * mean + (1 - step.setting("rho")) * value;
};

const auto rmsprop = [](const auto &step, const auto &g, auto &w) {
    using std::sqrt;
    auto &p = w[0], &momentum = w[1], &velocity = w[2];
    fade(step, velocity, g * g);
    momentum = step.setting("momentum") * momentum + step.learning_rate() * g / sqrt(velocity + step.setting("epsilon"));
    decay(step, p);
    p = p - momentum;
};

const auto rmsprop_centered = [](const auto &step, const auto &g, auto &w) {
    using std::sqrt;
    auto &p = w[0], &momentum = w[1], &velocity = w[2], &average = w[3];
    fade(step, velocity, g * g);
    fade(step, average, g);
    const auto variance = velocity - average * average;
    momentum = step.setting("momentum") * momentum + step.learning_rate() * g / sqrt(variance + step.setting("epsilon"));
    decay(step, p);
    p = p - momentum;
};

const auto adagrad = [](const auto &step, const auto &g, auto &w) {
    using std::sqrt;
    auto &p = w[0], &accumulator = w[1];
    accumulator = accumulator + g * g;
    decay(step, p);
    p = p - step.learning_rate() * g / sqrt(accumulator + step.setting("epsilon"));
};

const auto adadelta = [](const auto &step, const auto &g, auto &w) {
    using std::sqrt;
    auto &p = w[0], &of_deltas = w[1], &of_gradients = w[2];
    fade(step, of_gradients, g * g);
    const auto delta = sqrt(of_deltas + step.setting("epsilon")) * g / sqrt(of_gradients + step.setting("epsilon"));
    fade(step, of_deltas, delta * delta);
    decay(step, p);
    p = p - step.learning_rate() * delta;
};

const auto nadam = [](const auto &step, const auto &g, auto &w) {
    using std::sqrt;
    auto &p = w[0], &m = w[1], &v = w[2];
    m = m + (g - m) * (1 - step.setting("beta_1"));
    v = v + (g * g - v) * (1 - step.setting("beta_2"));
    p = p - (step.learning_rate() * m + step.setting("gradient_rate") * g) / (sqrt(v) + step.setting("epsilon"));
};

template<typename Number>
using Update = std::function<void(const Step<Number> &, const Number &g, std::vector<Number> &w)>;

struct OptimizerOracle {
    Update<double> exactly;
    Update<Rounded> rounded;
    std::vector<float> settings;  // of the tests, and behind them what the host computes
};

const OptimizerOracle &oracle_of(const Optimizer &optimizer) {
    static const std::map<std::string, OptimizerOracle> oracles = {
        {"adam", {adam, adam, {0.9F, 0.999F, 0.01F}}},  // a large epsilon shows whether it is added to the root or under it
        {"adamw", {adamw, adamw, {0.9F, 0.999F, 0.01F, 0.125F}}},
        {"sgd", {sgd, sgd, {0.5F, 0.125F, 0.25F}}},
        {"sgd_nesterov", {sgd_nesterov, sgd_nesterov, {0.5F, 0.125F, 0.25F}}},
        {"rmsprop", {rmsprop, rmsprop, {0.9F, 0.5F, 0.01F, 0.125F}}},
        {"rmsprop_centered", {rmsprop_centered, rmsprop_centered, {0.9F, 0.5F, 0.5F, 0.125F}}},
        {"adagrad", {adagrad, adagrad, {0.1F, 0.01F, 0.125F}}},
        {"adadelta", {adadelta, adadelta, {0.9F, 0.01F, 0.125F}}},
        {"nadam", {nadam, nadam, {0.9F, 0.999F, 0.01F, 0.02F}}},
    };
    const auto found = oracles.find(optimizer.name);
    if (found == oracles.end())
        throw std::invalid_argument("the optimizer " + optimizer.name + " has no oracle in tests/kernels/optimizers.cpp");
    return found->second;
}

/// Where the parameters, and behind them the slots, stand among the arguments.
constexpr std::size_t first_slab = 2;

}  // namespace

void update(const Optimizer &optimizer, std::vector<Array> &arguments) {
    const Step<double> step{optimizer, arguments.at(1)};
    const Update<double> &of_a_weight = oracle_of(optimizer).exactly;
    std::vector<double> w(1 + optimizer.slots.size());
    for (int i = 0; i < arguments[0].extent(0); i++) {
        for (std::size_t slab = 0; slab < w.size(); slab++) w[slab] = arguments.at(first_slab + slab)(i);
        of_a_weight(step, arguments[0](i), w);
        for (std::size_t slab = 0; slab < w.size(); slab++) arguments[first_slab + slab](i) = w[slab];
    }
}

void update(const Optimizer &optimizer, std::vector<Array> &arguments, std::vector<Array> &errors) {
    const Step<Rounded> step{optimizer, arguments.at(1)};
    const Update<Rounded> &of_a_weight = oracle_of(optimizer).rounded;
    std::vector<Rounded> w(1 + optimizer.slots.size());
    for (int i = 0; i < arguments[0].extent(0); i++) {
        for (std::size_t slab = 0; slab < w.size(); slab++) w[slab] = {arguments.at(first_slab + slab)(i), errors.at(slab)(i)};
        of_a_weight(step, arguments[0](i), w);
        for (std::size_t slab = 0; slab < w.size(); slab++) {
            arguments[first_slab + slab](i) = w[slab].value;
            errors[slab](i) = w[slab].error;
        }
    }
}

void set_test_settings(const Optimizer &optimizer, Array &step) {
    const std::vector<float> &settings = oracle_of(optimizer).settings;
    for (std::size_t i = 0; i < settings.size(); i++) step(step_first_setting + int(i)) = std::bit_cast<std::uint32_t>(settings[i]);
}

}  // namespace halcyon::oracle
