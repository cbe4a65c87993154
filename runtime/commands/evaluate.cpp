#include "runtime/commands/commands.h"

#include "plan/text.h"
#include "runtime/engine/machine.h"
#include "runtime/training/trainer.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace halcyon {

int run_evaluate(const halcyon_model &model, const EvaluateOptions &options) {
    Plan plan = plan_of(model);
    const Set &set = choose_set(options.schedule, compiled_sets(plan));
    const TrainingImages trained_on = read_training_images(options.weights, plan);
    const ChosenData source = choose_data(options.data, plan, hardware_threads(), trained_on);
    const Split split = source.split_to_evaluate();
    const Dataset images = source.load(split);
    require_same_type(trained_on, images.pixels.are_floats(), source.description(), options.weights);
    Network network(model, std::move(plan), set.name, hardware_threads(), std::min(options.batch, images.size()));
    load_named_weights(options.weights, network, options.allow_nonfinite ? NonfiniteWeights::allowed : NonfiniteWeights::refused);
    const Evaluation result = *evaluate(network, place(network, images));
    if (!std::isfinite(result.loss) && !options.allow_nonfinite)
        throw std::runtime_error(
            fmt::format("{}: the loss on these images is not finite; train the weights anew, with a lower learning rate", options.weights));

    if (options.json) {
        print_json({{"loss", result.loss}, {"accuracy", result.accuracy}, {"images", result.images}, {"split", name_of(split)}});
        return exit_done;
    }
    // The images are a sample of all there are: an accuracy is as sure as that many coin tosses.
    const double standard_error = std::sqrt(result.accuracy * (1 - result.accuracy) / result.images);
    fmt::print("data      {}, {} {} images{}\nschedule  {}\nloss      {:.4f}\naccuracy  {:.2f} % (standard error {:.2f} %)\n",
               printable(source.description()), result.images, name_of(split), split == Split::test ? "" : ", for there are no test images",
               set.name, result.loss, 100 * result.accuracy, 100 * standard_error);
    return exit_done;
}

}  // namespace halcyon
