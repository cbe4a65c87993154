#include "runtime/commands/commands.h"

#include "plan/text.h"
#include "runtime/engine/machine.h"
#include "runtime/training/evaluation.h"
#include "runtime/training/metrics.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace halcyon {
namespace {

using nlohmann::ordered_json;

// Classes in a table for a person; JSON has more.
constexpr std::size_t most_listed = 20;
// A matrix of more would be larger than anybody reads.
constexpr std::size_t most_in_matrix = 1000;

/// What there is to say of predictions.
struct Report {
    const Predictions &predictions;
    const std::vector<std::string> &names;  // of some classes
    std::optional<int> top;

    std::vector<ClassScores> classes = predictions.by_class();
    Scores macro = macro_mean(classes), weighted = weighted_mean(classes);

    std::string name(std::size_t label) const { return class_name(names, label); }
    bool is_binary() const { return classes.size() == 2; }
};

ordered_json to_json(const Scores &scores) { return {{"precision", scores.precision}, {"recall", scores.recall}, {"f1", scores.f1}}; }

ordered_json confusion_json(const Report &report) {
    const std::size_t classes = report.classes.size();
    if (classes > most_in_matrix) return nullptr;
    ordered_json rows = ordered_json::array();
    const std::vector<std::int64_t> images = report.predictions.confusion();
    for (auto row = images.begin(); row != images.end(); row += std::ptrdiff_t(classes))
        rows.push_back(std::vector<std::int64_t>(row, row + std::ptrdiff_t(classes)));
    return rows;
}

void add_to(ordered_json &out, const Report &report) {
    if (report.top) out["top_k"] = *report.top, out["top_k_accuracy"] = report.predictions.top_accuracy(*report.top);
    if (report.is_binary()) {
        const std::optional<double> auc = report.predictions.auc();
        out["auc"] = auc ? ordered_json(*auc) : nullptr;
    }
    out["classes"] = ordered_json::array();
    for (std::size_t label = 0; label < report.classes.size(); ++label) {
        const ClassScores &scores = report.classes[label];
        ordered_json line = {{"class", report.name(label)}};
        line.update(to_json(scores));
        line["images"] = scores.images;
        line["predicted"] = scores.predicted;
        out["classes"].push_back(std::move(line));
    }
    out["macro"] = to_json(report.macro);
    out["weighted"] = to_json(report.weighted);
    out["zero_division"] = 0;
    out["confusion"] = confusion_json(report);
}

/// The classes of which a score is not defined.
void print_undefined(const Report &report, const char *score, const char *why, std::int64_t ClassScores::*divisor) {
    std::vector<std::string> names;
    std::size_t count = 0;
    for (std::size_t label = 0; label < report.classes.size(); ++label)
        if (report.classes[label].*divisor == 0 && ++count <= most_listed) names.push_back(printable(report.name(label)));
    if (count == 0) return;
    if (count > names.size()) names.push_back(fmt::format("{} more", count - names.size()));
    fmt::print("{} is not defined {}, and counts as 0: {}\n", score, why, fmt::join(names, ", "));
}

void print_scores(const Report &report, std::size_t width) {
    const auto row = [width](const std::string &name, const Scores &scores, std::int64_t images) {
        fmt::print("{:<{}}  {:>8.2f} %  {:>8.2f} %  {:>8.2f} %  {:>8}\n", name, width, 100 * scores.precision, 100 * scores.recall,
                   100 * scores.f1, images);
    };
    std::int64_t images = 0;
    for (const ClassScores &scores : report.classes) images += scores.images;
    fmt::print("\n{:<{}}  {:>10}  {:>10}  {:>10}  {:>8}\n", "class", width, "precision", "recall", "f1", "images");
    if (report.classes.size() <= most_listed)
        for (std::size_t label = 0; label < report.classes.size(); ++label)
            row(printable(report.name(label)), report.classes[label], report.classes[label].images);
    row("mean", report.macro, images);
    row("mean by images", report.weighted, images);
    print_undefined(report, "precision", "where no image was taken for the class", &ClassScores::predicted);
    print_undefined(report, "recall", "where the class has no images", &ClassScores::images);
}

void print_confusion(const Report &report, std::size_t width) {
    const std::size_t classes = report.classes.size();
    const std::vector<std::int64_t> images = report.predictions.confusion();
    const std::size_t digits = std::max<std::size_t>(2, fmt::formatted_size("{}", *std::ranges::max_element(images)));
    fmt::print("\n{:<{}}", "taken for", width + 4);
    for (std::size_t column = 0; column < classes; ++column) fmt::print("  {:>{}}", column, digits);
    for (std::size_t label = 0; label < classes; ++label) {
        fmt::print("\n{:>2}  {:<{}}", label, printable(report.name(label)), width);
        for (const std::int64_t count : std::span(images).subspan(label * classes, classes)) fmt::print("  {:>{}}", count, digits);
    }
    fmt::print("\n");
}

void print(const Report &report) {
    if (report.top) fmt::print("top {:<6}{:.2f} %\n", *report.top, 100 * report.predictions.top_accuracy(*report.top));
    if (report.is_binary()) {
        const std::optional<double> auc = report.predictions.auc();
        fmt::print("auc       {}\n", auc ? fmt::format("{:.4f}", *auc) : "not defined: all images are of one class");
    }
    const bool listed = report.classes.size() <= most_listed;
    std::size_t width = std::string_view("mean by images").size();
    for (std::size_t label = 0; listed && label < report.classes.size(); ++label)
        width = std::max(width, printable(report.name(label)).size());
    print_scores(report, width);
    if (listed) return print_confusion(report, width);
    fmt::print("\n--json has the scores of each of the {} classes{}\n", report.classes.size(),
               report.classes.size() <= most_in_matrix ? ", and how many of its images were taken for each other" : "");
}

/// Of how many likeliest classes there is to be an accuracy.
std::optional<int> top_of(const EvaluateOptions &options, const Plan &plan) {
    if (!options.top) return plan.classes > 5 ? std::optional(5) : std::nullopt;
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
    Predictions predictions(network.plan().classes);
    const auto never = [] { return false; };
    const Evaluation result = *evaluate(network, place(network, images), never, [&](auto records, std::span<const float> probabilities) {
        const std::size_t classes = probabilities.size() / records.size();
        for (const std::int32_t record : records) {
            predictions.add(images.labels[static_cast<std::size_t>(record)], probabilities.first(classes));
            probabilities = probabilities.subspan(classes);
        }
    });
    if (!std::isfinite(result.loss) && !options.allow_nonfinite)
        throw std::runtime_error(
            fmt::format("{}: the loss on these images is not finite; train the weights anew, with a lower learning rate", options.weights));

    const bool reported = predictions.are_finite();
    if (options.json) {
        ordered_json out = {{"loss", result.loss}, {"accuracy", result.accuracy}, {"images", result.images}, {"split", name_of(split)}};
        if (reported) add_to(out, {predictions, images.class_names, top});
        print_json(out);
        return exit_done;
    }
    // The images are a sample of all there are: an accuracy is as sure as that many coin tosses.
    const double standard_error = std::sqrt(result.accuracy * (1 - result.accuracy) / result.images);
    fmt::print("data      {}, {} {} images{}\nschedule  {}\nloss      {:.4f}\naccuracy  {:.2f} % (standard error {:.2f} %)\n",
               printable(source.description()), result.images, name_of(split), split == Split::test ? "" : ", for there are no test images",
               set.name, result.loss, 100 * result.accuracy, 100 * standard_error);
    if (reported)
        print({predictions, images.class_names, top});
    else
        fmt::print("no scores by class: some probabilities are not finite\n");
    return exit_done;
}

}  // namespace halcyon
