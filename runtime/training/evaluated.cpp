#include "runtime/training/evaluated.h"

#include "plan/text.h"
#include "runtime/training/metrics.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <utility>

namespace halcyon {
namespace {

using nlohmann::ordered_json;

// Classes in a table for a person; JSON has more.
constexpr std::size_t most_listed = 20;
// A matrix of more would be larger than anybody reads.
constexpr std::size_t most_in_matrix = 1000;

/// What there is to say of classes, or of units' labels.
struct Table {
    const std::vector<std::string> &names;  // of some
    std::vector<ClassScores> rows;
    const char *what = "class";                    // a row is of
    std::vector<std::optional<double>> aucs = {};  // of each unit
    Scores macro = macro_mean(rows), weighted = weighted_mean(rows);

    std::string name(std::size_t row) const { return class_name(names, row, what); }

    /// The mean of the areas that are defined.
    std::optional<double> mean_auc() const {
        double sum = 0;
        std::ptrdiff_t defined = 0;
        for (const std::optional<double> &auc : aucs)
            if (auc) sum += *auc, ++defined;
        return defined > 0 ? std::optional(sum / double(defined)) : std::nullopt;
    }
};

/// What there is to say of predictions of classes.
struct Report {
    const Predictions &predictions;
    const std::vector<std::string> &names;  // of some classes
    std::optional<int> top;

    Table table = {names, predictions.by_class()};

    bool is_binary() const { return table.rows.size() == 2; }
};

ordered_json value_or_null(const std::optional<double> &value) { return value ? ordered_json(*value) : ordered_json(nullptr); }

ordered_json to_json(const Scores &scores) { return {{"precision", scores.precision}, {"recall", scores.recall}, {"f1", scores.f1}}; }

ordered_json confusion_json(const Report &report) {
    const std::size_t classes = report.table.rows.size();
    if (classes > most_in_matrix) return nullptr;
    ordered_json rows = ordered_json::array();
    const std::vector<std::int64_t> images = report.predictions.confusion();
    for (auto row = images.begin(); row != images.end(); row += std::ptrdiff_t(classes))
        rows.push_back(std::vector<std::int64_t>(row, row + std::ptrdiff_t(classes)));
    return rows;
}

/// A line for each row as `list`, and the means.
void add_to(ordered_json &out, const Table &table, const char *list) {
    out[list] = ordered_json::array();
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
        const ClassScores &scores = table.rows[row];
        ordered_json line = {{table.what, table.name(row)}};
        line.update(to_json(scores));
        if (!table.aucs.empty()) line["auc"] = value_or_null(table.aucs[row]);
        line["images"] = scores.images;
        line["predicted"] = scores.predicted;
        out[list].push_back(std::move(line));
    }
    out["macro"] = to_json(table.macro);
    if (!table.aucs.empty()) out["macro"]["auc"] = value_or_null(table.mean_auc());
    out["weighted"] = to_json(table.weighted);
    out["zero_division"] = 0;
}

void add_to(ordered_json &out, const Report &report) {
    if (report.top) out["top_k"] = *report.top, out["top_k_accuracy"] = report.predictions.top_accuracy(*report.top);
    if (report.is_binary()) out["auc"] = value_or_null(report.predictions.auc());
    add_to(out, report.table, "classes");
    out["confusion"] = confusion_json(report);
}

/// The rows of which a score is not defined.
void print_undefined(const Table &table, const std::string &score, const std::string &why, const auto &is_defined) {
    std::vector<std::string> names;
    std::size_t count = 0;
    for (std::size_t row = 0; row < table.rows.size(); ++row)
        if (!is_defined(row) && ++count <= most_listed) names.push_back(printable(table.name(row)));
    if (count == 0) return;
    if (count > names.size()) names.push_back(fmt::format("{} more", count - names.size()));
    fmt::print("{} is not defined {}: {}\n", score, why, fmt::join(names, ", "));
}

bool is_listed(const Table &table) { return table.rows.size() <= most_listed; }

/// The width of the names.
std::size_t width_of(const Table &table) {
    std::size_t width = std::string_view("mean by images").size();
    for (std::size_t row = 0; is_listed(table) && row < table.rows.size(); ++row)
        width = std::max(width, printable(table.name(row)).size());
    return width;
}

void print_scores(const Table &table) {
    const std::size_t width = width_of(table);
    const bool has_aucs = !table.aucs.empty();
    const auto print_row = [&](const std::string &name, const Scores &scores, std::int64_t images, const std::optional<double> &auc) {
        fmt::print("{:<{}}  {:>8.2f} %  {:>8.2f} %  {:>8.2f} %  {:>8}{}\n", name, width, 100 * scores.precision, 100 * scores.recall,
                   100 * scores.f1, images, auc ? fmt::format("  {:>6.4f}", *auc) : "");
    };
    std::int64_t images = 0;
    for (const ClassScores &scores : table.rows) images += scores.images;
    fmt::print("\n{:<{}}  {:>10}  {:>10}  {:>10}  {:>8}{}\n", table.what, width, "precision", "recall", "f1", "images",
               has_aucs ? fmt::format("  {:>6}", "auc") : "");
    for (std::size_t row = 0; is_listed(table) && row < table.rows.size(); ++row)
        print_row(printable(table.name(row)), table.rows[row], table.rows[row].images, has_aucs ? table.aucs[row] : std::nullopt);
    print_row("mean", table.macro, images, table.mean_auc());
    print_row("mean by images", table.weighted, images, std::nullopt);
    print_undefined(table, "precision", fmt::format("where no image was taken for the {}, and counts as 0", table.what),
                    [&](std::size_t row) { return table.rows[row].predicted != 0; });
    print_undefined(table, "recall", fmt::format("where the {} has no images, and counts as 0", table.what),
                    [&](std::size_t row) { return table.rows[row].images != 0; });
    if (has_aucs)
        print_undefined(table, "auc", fmt::format("where all images have the {}, or none", table.what),
                        [&](std::size_t row) { return table.aucs[row].has_value(); });
}

void print_confusion(const Report &report) {
    const std::size_t classes = report.table.rows.size(), width = width_of(report.table);
    const std::vector<std::int64_t> images = report.predictions.confusion();
    const std::size_t digits = std::max<std::size_t>(2, fmt::formatted_size("{}", *std::ranges::max_element(images)));
    fmt::print("\n{:<{}}", "taken for", width + 4);
    for (std::size_t column = 0; column < classes; ++column) fmt::print("  {:>{}}", column, digits);
    for (std::size_t label = 0; label < classes; ++label) {
        fmt::print("\n{:>2}  {:<{}}", label, printable(report.table.name(label)), width);
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
    print_scores(report.table);
    const std::size_t classes = report.table.rows.size();
    if (is_listed(report.table)) return print_confusion(report);
    fmt::print("\n--json has the scores of each of the {} classes{}\n", classes,
               classes <= most_in_matrix ? ", and how many of its images were taken for each other" : "");
}

class EvaluatedClasses final : public Evaluated {
public:
    EvaluatedClasses(int classes, std::optional<int> top) : predictions_(classes), top_(top) {}

    void add(const Dataset &data, std::int32_t record, std::span<const float> predictions) override {
        predictions_.add(data.labels[static_cast<std::size_t>(record)], predictions);
    }
    bool are_finite() const override { return predictions_.are_finite(); }
    void add_to(ordered_json &out, const std::vector<std::string> &names) const override {
        halcyon::add_to(out, Report{predictions_, names, top_});
    }
    void print(const std::vector<std::string> &names) const override { halcyon::print(Report{predictions_, names, top_}); }

private:
    Predictions predictions_;
    std::optional<int> top_;
};

class EvaluatedLabels final : public Evaluated {
public:
    explicit EvaluatedLabels(int units) : predictions_(units) {}

    void add(const Dataset &data, std::int32_t record, std::span<const float> predictions) override {
        predictions_.add(data.targets_of(record), predictions);
    }
    bool are_finite() const override { return predictions_.are_finite(); }
    void add_to(ordered_json &out, const std::vector<std::string> &names) const override { halcyon::add_to(out, table(names), "labels"); }
    void print(const std::vector<std::string> &names) const override {
        print_scores(table(names));
        if (!is_listed(table(names))) fmt::print("\n--json has the scores of each label\n");
    }

private:
    Table table(const std::vector<std::string> &names) const { return {names, predictions_.by_unit(), "label", predictions_.aucs()}; }

    UnitPredictions predictions_;
};

class EvaluatedNumbers final : public Evaluated {
public:
    explicit EvaluatedNumbers(int units) : errors_(units) {}

    void add(const Dataset &data, std::int32_t record, std::span<const float> predictions) override {
        errors_.add(data.targets_of(record), predictions);
    }
    bool are_finite() const override {
        return std::ranges::all_of(errors_.by_unit(), [](const auto &errors) { return std::isfinite(errors.root_mean_squared); });
    }
    void add_to(ordered_json &out, const std::vector<std::string> &names) const override {
        out["targets"] = ordered_json::array();
        for (const auto &errors : errors_.by_unit())
            out["targets"].push_back({{"target", class_name(names, out["targets"].size(), "target")},
                                      {"mean_absolute_error", errors.mean_absolute},
                                      {"root_mean_squared_error", errors.root_mean_squared}});
    }
    void print(const std::vector<std::string> &names) const override {
        const std::vector<UnitErrors::Errors> units = errors_.by_unit();
        fmt::print("\n{:<20}  {:>20}  {:>24}\n", "target", "mean absolute error", "root mean squared error");
        for (std::size_t unit = 0; unit < std::min(units.size(), most_listed); ++unit)
            fmt::print("{:<20}  {:>20.4f}  {:>24.4f}\n", printable(class_name(names, unit, "target")), units[unit].mean_absolute,
                       units[unit].root_mean_squared);
        if (units.size() > most_listed) fmt::print("\n--json has the errors of each of the {} targets\n", units.size());
    }

private:
    UnitErrors errors_;
};

}  // namespace

void Evaluated::add_batch(const Dataset &data, std::span<const std::int32_t> records, std::span<const float> predictions) {
    const std::size_t an_image = predictions.size() / records.size();
    for (const std::int32_t record : records) {
        add(data, record, predictions.first(an_image));
        predictions = predictions.subspan(an_image);
    }
}

std::optional<int> default_top(const Plan &plan) { return plan.classes > 5 ? std::optional(5) : std::nullopt; }

std::unique_ptr<Evaluated> evaluated_for(const Plan &plan, std::optional<int> top) {
    if (plan.classes > 0) return std::make_unique<EvaluatedClasses>(plan.classes, top);
    if (plan.has_unit_labels()) return std::make_unique<EvaluatedLabels>(plan.targets);
    return std::make_unique<EvaluatedNumbers>(plan.targets);
}

ordered_json evaluation_json(const Evaluation &result, Metric metric, Split split, const Evaluated &evaluated,
                             const std::vector<std::string> &names) {
    ordered_json out = {{"loss", result.loss}, {name_of(metric), result.metric}, {"images", result.images}, {"split", name_of(split)}};
    if (evaluated.are_finite()) evaluated.add_to(out, names);
    return out;
}

}  // namespace halcyon
