// Ten steps of what optimizers have in common beside Keras's in float64: make_updates.py says what is in the file and how it was made.
#include "halcyon_cifar10.h"

#include "plan/optimizers.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/network.h"
#include "runtime/training/recipe.h"
#include "tests/catch.h"
#include "tests/golden/golden_file.h"
#include "tests/kernels/optimizers.h"
#include "tests/kernels/rounded.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <vector>

using namespace halcyon;
using nlohmann::json;

namespace {

constexpr int steps = 10;

Constraint constraint_of(const json &values) {
    const auto type = std::ranges::find(constraint_names, values.at("type").get<std::string>());
    return {Constraint::Type(type - constraint_names.begin()), values.value("max_value", 0.0F), values.value("axis", std::vector<int>())};
}

/// The shipped network's library, whose optimizers' kernels know nothing of weights: these are the file's, with the case's constraints.
Plan plan_of_case(const json &values) {
    Plan plan = plan_of(*halcyon_cifar10());
    plan.parameters.clear();
    std::int64_t offset = 0;
    const auto weights = nlohmann::ordered_json::parse(golden().metadata.at("weights"));
    for (const auto &[name, shape] : weights.items()) {
        plan.parameters.push_back({.name = name, .shape = shape, .offset = offset, .initializer = "zeros"});
        if (values.contains("constraints") && values["constraints"].contains(name))
            plan.parameters.back().constraint = constraint_of(values["constraints"][name]);
        offset += align_buffer(std::int64_t(elements_of(plan.parameters.back()) * sizeof(float)));
    }
    return plan;
}

/// The recipe of a case, which has Keras's names.
Recipe recipe_of(json values) {
    json recipe;
    recipe["learning_rate"] = {{"schedule", "constant"}, {"peak", values.at("learning_rate")}};
    values.erase("learning_rate");
    values.erase("constraints");
    recipe["optimizer"] = values;
    return parse_recipe(recipe.dump(), "a case");
}

StepValues values_of(const Recipe &recipe) {
    StepValues values{.learning_rate = float(recipe.learning_rate.peak)};
    values.settings.assign(recipe.optimizer.settings.begin(), recipe.optimizer.settings.end());
    values.options = recipe.optimizer.options;
    return values;
}

/// The weights of the plan in one piece, as in the file.
class Weights {
public:
    explicit Weights(Network &network) : network_(network) {}

    void write(std::span<const float> values, std::span<float> (Network::*of)(const Parameter &)) {
        for (const Parameter &parameter : network_.plan().parameters) {
            std::ranges::copy(values.first(elements_of(parameter)), (network_.*of)(parameter).begin());
            values = values.subspan(elements_of(parameter));
        }
    }

    std::vector<float> read(std::span<float> (Network::*of)(const Parameter &)) {
        std::vector<float> values;
        for (const Parameter &parameter : network_.plan().parameters) {
            const std::span<const float> weight = (network_.*of)(parameter);
            values.insert(values.end(), weight.begin(), weight.end());
        }
        return values;
    }

private:
    Network &network_;
};

/// The oracle of the optimizer with Keras's formulas around it. It says how far rounding may bring weights from Keras's.
class Expectation {
public:
    Expectation(const Plan &plan, const Recipe &recipe)
        : optimizer_(find_optimizer(recipe.optimizer.name)), options_(recipe.optimizer.options),
          parameters_(plan.parameters), arguments_{zeros(), zeros(step_words(0, 2)), zeros()} {
        const auto initial = tensor<float>("initial");
        std::ranges::copy(initial, arguments_[2].values.begin());
        for (std::size_t slot = 0; slot < optimizer_.slots.size(); slot++) arguments_.push_back(zeros());
        errors_.assign(1 + optimizer_.slots.size(), zeros());
    }

    void take_step(const StepValues &values, std::span<const float> gradients) {
        std::vector<std::uint32_t> words(arguments_[1].values.size());
        write_optimizer_step(words, optimizer_, values);
        std::ranges::copy(words, arguments_[1].values.begin());
        std::ranges::copy(gradients, arguments_[0].values.begin());
        if (!options_.exclude_from_weight_decay.empty()) decay(values);
        if (options_.clip) clip(*options_.clip);
        const std::vector<double> before = arguments_[2].values;
        oracle::update(optimizer_, arguments_, errors_);
        // The roundings of the learning rate, and two of a clipped gradient: a weight's way is no more than a multiple of each.
        for (std::size_t i = 0; i < before.size(); i++)
            errors_[0].values[i] += (2 + 4) * 0x1p-24 * std::abs(arguments_[2].values[i] - before[i]);
        if (options_.average) average(*options_.average, values.update);
        std::size_t first = 0;
        for (const Parameter &parameter : parameters_) {
            if (parameter.constraint) constrain(parameter, first);
            first += elements_of(parameter);
        }
    }

    /// Of each weight, and of each average.
    const std::vector<double> &tolerances() const { return errors_[0].values; }
    std::vector<double> tolerances_of_averages() const {
        std::vector<double> errors;
        for (const oracle::Rounded &average : averages_) errors.push_back(average.error);
        return errors;
    }

private:
    static int count() { return int(tensor<float>("initial").size()); }
    static oracle::Array zeros(int size = count()) { return oracle::Array({size}); }

    void clip(const Clipping &clipping) {
        std::vector<double> &g = arguments_[0].values;
        const auto clip_norm = [&](std::size_t first, std::size_t size) {
            double squares = 0;
            for (std::size_t i = first; i < first + size; i++) squares += g[i] * g[i];
            for (std::size_t i = first; i < first + size; i++) g[i] *= clipping.most / std::max(std::sqrt(squares), clipping.most);
        };
        if (clipping.by == Clipping::By::value)
            for (double &value : g) value = std::clamp(value, -clipping.most, clipping.most);
        if (clipping.by == Clipping::By::global_norm) clip_norm(0, g.size());
        if (clipping.by == Clipping::By::norm) {
            std::size_t first = 0;
            for (const Parameter &parameter : parameters_) {
                clip_norm(first, elements_of(parameter));
                first += elements_of(parameter);
            }
        }
    }

    oracle::Rounded weight(std::size_t i) const { return {arguments_[2].values[i], errors_[0].values[i]}; }

    void set_weight(std::size_t i, const oracle::Rounded &after) {
        arguments_[2].values[i] = after.value;
        errors_[0].values[i] = after.error;
    }

    void decay(const StepValues &values) {
        const auto setting = std::ranges::find(optimizer_.settings, "weight_decay", &OptimizerSetting::key);
        const double rate = values.settings[std::size_t(setting - optimizer_.settings.begin())] * values.learning_rate;
        std::size_t first = 0;
        for (const Parameter &parameter : parameters_) {
            const std::string name = parameter.name.substr(parameter.name.find('/') + 1);
            for (std::size_t i = first; i < first + elements_of(parameter); i++)
                if (std::ranges::find(options_.exclude_from_weight_decay, name) == options_.exclude_from_weight_decay.end())
                    set_weight(i, weight(i) - weight(i) * oracle::Rounded(rate));
            first += elements_of(parameter);
        }
    }

    void average(const Averaging &averaging, std::int64_t update) {
        const oracle::Rounded momentum = update == 1 ? 0 : averaging.momentum;
        for (std::size_t i = 0; i < averages_.size(); i++) {
            averages_[i] = momentum * averages_[i] + (oracle::Rounded(1) - momentum) * weight(i);
            if (averaging.overwrite_frequency && update % *averaging.overwrite_frequency == 0) set_weight(i, averages_[i]);
        }
    }

    /// The place of a weight along the axes that norms are not taken over.
    static std::vector<int> place(const Parameter &parameter, std::size_t i) {
        std::vector<int> place;
        for (int axis = int(parameter.shape.size()) - 1; axis >= 0; axis--) {
            const int size = parameter.shape[std::size_t(axis)];
            if (std::ranges::find(parameter.constraint->axes, axis) == parameter.constraint->axes.end())
                place.push_back(int(i % std::size_t(size)));
            i /= std::size_t(size);
        }
        return place;
    }

    void constrain(const Parameter &parameter, std::size_t first) {
        using oracle::Rounded;
        const Constraint &constraint = *parameter.constraint;
        std::map<std::vector<int>, Rounded> squares;
        for (std::size_t i = 0; i < elements_of(parameter); i++) {
            Rounded &sum = squares[place(parameter, i)];
            sum = sum + weight(first + i) * weight(first + i);
        }
        for (std::size_t i = 0; i < elements_of(parameter); i++) {
            const Rounded norm = sqrt(squares[place(parameter, i)]);
            Rounded desired = 1;
            if (constraint.type == Constraint::Type::max_norm) desired = {std::min(norm.value, double(constraint.max_value)), norm.error};
            Rounded after = weight(first + i) * (desired / (Rounded(1e-7) + norm));
            if (constraint.type == Constraint::Type::non_neg) after = {std::max(weight(first + i).value, 0.0), weight(first + i).error};
            set_weight(first + i, after);
        }
    }

    const Optimizer &optimizer_;
    const UpdateOptions options_;
    const std::vector<Parameter> parameters_;
    std::vector<oracle::Array> arguments_, errors_;
    std::vector<oracle::Rounded> averages_ = std::vector<oracle::Rounded>(std::size_t(count()));
};

void check_values(const std::vector<float> &ours, const std::vector<double> &expected, const std::vector<double> &tolerances) {
    REQUIRE(ours.size() == expected.size());
    for (std::size_t i = 0; i < ours.size(); i++) {
        CAPTURE(i, ours[i], expected[i]);
        CHECK(std::abs(ours[i] - expected[i]) <= tolerances[i]);
    }
}

void check_case(const std::string &name, const std::string &set) {
    const json values_of_case = json::parse(golden().metadata.at(name));
    const Recipe recipe = recipe_of(values_of_case);
    const auto initial = tensor<float>("initial"), gradients = tensor<float>("gradients");
    Network network(*halcyon_cifar10(), plan_of_case(values_of_case), set, 2, 1);
    Weights weights(network);
    weights.write(initial, &Network::weight);
    StepValues values = values_of(recipe);
    Expectation expectation(network.plan(), recipe);
    for (int step = 0; step < steps; step++, values.update++) {
        const auto of_step = std::span(gradients).subspan(std::size_t(step) * initial.size(), initial.size());
        weights.write(of_step, &Network::gradient);
        network.update(find_optimizer(recipe.optimizer.name), values);
        expectation.take_step(values, of_step);
        if (step == 0) check_values(weights.read(&Network::weight), tensor<double>(name + "/step1"), expectation.tolerances());
    }
    check_values(weights.read(&Network::weight), tensor<double>(name + "/step10"), expectation.tolerances());
    CHECK(network.average_slab().empty() == !golden().tensors.contains(name + "/averages"));
    if (network.average_slab().empty()) return;
    check_values(weights.read(&Network::average), tensor<double>(name + "/averages"), expectation.tolerances_of_averages());
    network.swap_averages();
    check_values(weights.read(&Network::weight), tensor<double>(name + "/averages"), expectation.tolerances_of_averages());
}

void check_set(const std::string &set) {
    if (const std::string reason = why_not(select_sets({set}).front()); !reason.empty()) {
        WARN("skipped: " << reason);
        return;
    }
    int cases = 0;
    for (const auto &[name, values] : golden().metadata) {
        if (!golden().tensors.contains(name + "/step1")) continue;
        CAPTURE(name);
        check_case(name, set);
        cases++;
    }
    CHECK(cases == 12);
}

}  // namespace

// A test case a set, so that the ones this machine cannot run show as skipped.
TEST_CASE("what optimizers have in common is Keras's: reference") { check_set("reference"); }
TEST_CASE("what optimizers have in common is Keras's: x86_avx2") { check_set("x86_avx2"); }
TEST_CASE("what optimizers have in common is Keras's: x86_avx512") { check_set("x86_avx512"); }
TEST_CASE("what optimizers have in common is Keras's: cuda") { check_set("cuda"); }
TEST_CASE("what optimizers have in common is Keras's: opencl") { check_set("opencl"); }
