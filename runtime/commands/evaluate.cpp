#include "runtime/commands/commands.h"

#include "plan/text.h"
#include "runtime/engine/machine.h"
#include "runtime/training/evaluated.h"
#include "runtime/training/evaluation.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace halcyon {
namespace {

/// The images are a sample of all there are: an accuracy is as sure as that many coin tosses.
std::string standard_error(const Evaluation &result) {
    return fmt::format(" (standard error {:.2f} %)", 100 * std::sqrt(result.metric * (1 - result.metric) / result.images));
}

/// Of how many likeliest classes there is to be an accuracy.
std::optional<int> top_of(const EvaluateOptions &options, const Plan &plan) {
    if (!options.top) return default_top(plan);
    require_top(*options.top, plan);
    return options.top;
}

}  // namespace

int run_evaluate(const halcyon_model &model, const EvaluateOptions &options) {
    Plan plan = plan_of(model);
    const std::optional<int> top = top_of(options, plan);
    const Set &set = choose_set(options.schedule, compiled_sets(plan));
    const TrainingImages trained_on = read_training_images(options.weights, plan);
    const ChosenData source = choose_data(options.data, plan, hardware_threads(), trained_on);
    const Split split = source.split_to_evaluate();
    const Dataset images = source.load(split);
    require_same_type(trained_on, images.pixels.are_floats(), source.description(), options.weights);
    Network network(model, std::move(plan), set.name, hardware_threads(), std::min(options.batch, images.size()));
    load_named_weights(options.weights, network, options.allow_nonfinite ? NonfiniteWeights::allowed : NonfiniteWeights::refused);
    const std::unique_ptr<Evaluated> evaluated = evaluated_for(network.plan(), top);
    const auto never = [] { return false; };
    const Evaluation result = *evaluate(network, place(network, images), never, [&](auto records, std::span<const float> predictions) {
        evaluated->add_batch(images, records, predictions);
    });
    if (!std::isfinite(result.loss) && !options.allow_nonfinite)
        throw std::runtime_error(
            fmt::format("{}: the loss on these images is not finite; train the weights anew, with a lower learning rate", options.weights));

    const bool reported = evaluated->are_finite();
    const Metric metric = network.plan().metric;
    if (options.json) {
        print_json(evaluation_json(result, metric, split, *evaluated, images.class_names));
        return exit_done;
    }
    fmt::print("data      {}, {} {} images{}\nschedule  {}\nloss      {:.4f}\n{:<8}  {}{}\n", printable(source.description()),
               result.images, name_of(split), split == Split::test ? "" : ", for there are no test images", set.name, result.loss,
               name_of(metric), to_text(metric, result.metric), network.plan().classes > 0 ? standard_error(result) : "");
    if (reported)
        evaluated->print(images.class_names);
    else
        fmt::print("no scores by {}: some {} are not finite\n", network.plan().classes > 0 ? "class" : "unit",
                   is_error(metric) ? "predictions" : "probabilities");
    return exit_done;
}

}  // namespace halcyon
