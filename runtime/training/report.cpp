#include "runtime/training/report.h"

#include "plan/errors.h"
#include "plan/files.h"
#include "plan/json.h"
#include "plan/metric.h"
#include "plan/text.h"
#include "runtime/training/monitor.h"
#include "runtime/training/run_config.h"
#include "runtime/training/run_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

namespace halcyon {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A page of more would be slow to open.
constexpr std::size_t most_classes = 50;

/// What lies in a run's folder.
struct RunFiles {
    std::string name;  // the folder as it was named
    std::string config_text, model_text;
    RunConfig config;
    std::vector<json> epochs;     // the lines of metrics.jsonl
    json test, evaluation;        // null where there are none
    std::string batch, mistakes;  // PNG files; "" where there are none
};

std::string read_if_there(const fs::path &file) { return fs::exists(file) ? read_file(file, std::numeric_limits<std::size_t>::max()) : ""; }

RunFiles read_run(const fs::path &folder) {
    RunFiles run;
    run.name = printable(folder.string());
    if (!fs::exists(folder / "config.json")) fail_for(folder, "is no run's folder: it has no config.json");
    run.config_text = read_file(folder / "config.json");
    run.config = parse_run_config(run.config_text, (folder / "config.json").string());
    run.model_text = read_if_there(folder / "model.json");
    const std::string metrics = read_if_there(folder / "metrics.jsonl");
    for (std::size_t begin = 0, end = 0; (end = metrics.find('\n', begin)) != std::string::npos; begin = end + 1) {
        json line = parse_json(std::string_view(metrics).substr(begin, end - begin), (folder / "metrics.jsonl").string());
        if (line.contains("epoch"))
            run.epochs.push_back(std::move(line));
        else
            run.test = std::move(line);
    }
    if (const fs::path file = folder / "evaluation.json"; fs::exists(file)) run.evaluation = parse_json(read_file(file), file.string());
    run.batch = read_if_there(folder / "batch.png");
    run.mistakes = read_if_there(folder / "mistakes.png");
    return run;
}

std::string escaped(std::string_view text) {
    std::string html;
    for (const char c : text) {
        if (c == '&')
            html += "&amp;";
        else if (c == '<')
            html += "&lt;";
        else if (c == '>')
            html += "&gt;";
        else if (c == '"')
            html += "&quot;";
        else
            html += c;
    }
    return html;
}

/// RFC 4648.
std::string base64(std::string_view bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto byte = [&](std::size_t at) { return at < bytes.size() ? std::uint32_t(static_cast<unsigned char>(bytes[at])) : 0U; };
        const std::uint32_t three = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
        for (std::size_t digit = 0; digit < 4; ++digit) text += i + digit > bytes.size() ? '=' : digits[three >> (18 - 6 * digit) & 63];
    }
    return text;
}

std::string picture(const std::string &png, const std::string &what) {
    if (png.empty()) return "";
    return fmt::format("<figure><img src=\"data:image/png;base64,{}\" alt=\"{}\"><figcaption>{}</figcaption></figure>\n", base64(png),
                       escaped(what), escaped(what));
}

/// The metric beside the loss.
Metric metric_of(const RunFiles &run) {
    const bool is_of_errors = !run.epochs.empty() && run.epochs.front().contains(name_of(Metric::mean_absolute_error));
    return is_of_errors ? Metric::mean_absolute_error : Metric::accuracy;
}

/// "1.8203", "59.00 %"; "–" where there is no value.
std::string figure(const json &line, const std::string &key) {
    const auto value = line.find(key);
    if (value == line.end() || !value->is_number()) return "–";
    if (key.ends_with("accuracy")) return fmt::format("{:.2f} %", 100 * value->get<double>());
    if (key == "learning_rate") return fmt::format("{:.3g}", value->get<double>());
    if (key == "images_per_second") return fmt::format("{:.0f}", value->get<double>());
    return fmt::format("{:.{}f}", value->get<double>(), key == "seconds" ? 1 : 4);
}

/// The first cell names the row.
std::string row(const std::vector<std::string> &cells) {
    std::string html = fmt::format("<tr><th scope=\"row\">{}</th>", cells.front());
    for (const std::string &cell : std::span(cells).subspan(1)) html += fmt::format("<td>{}</td>", cell);
    return html + "</tr>\n";
}

std::string head_row(const std::vector<std::string> &names) {
    std::string html = "<tr>";
    for (const std::string &name : names) html += fmt::format("<th scope=\"col\">{}</th>", escaped(name));
    return html + "</tr>\n";
}

std::string table(const std::string &caption, const std::vector<std::string> &head, const std::vector<std::vector<std::string>> &rows) {
    std::string html =
        fmt::format("<div class=\"wide\"><table><caption>{}</caption>\n<thead>{}</thead>\n<tbody>\n", escaped(caption), head_row(head));
    for (const std::vector<std::string> &cells : rows) html += row(cells);
    return html + "</tbody></table></div>\n";
}

/// A curve: a value for each epoch that has one.
struct Curve {
    std::string name;
    std::size_t colour = 0;
    bool dashed = false;
    std::vector<std::pair<double, double>> points;  // epoch, value
};

/// Steps of 1, 2 or 5 times a power of ten: about `count` of them from `low` to `high`.
double tick_step(double low, double high, int count) {
    const double rough = std::max((high - low) / count, 1e-300);
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (factor * power >= rough) return factor * power;
    return 10 * power;
}

/// A chart of curves over the epochs, as SVG.
std::string chart(const std::string &title, const std::vector<Curve> &curves, bool percent) {
    constexpr double width = 640, height = 300, left = 64, right = 12, top = 12, bottom = 34;
    double first = std::numeric_limits<double>::infinity(), last = -first, low = first, high = -first;
    for (const Curve &curve : curves)
        for (const auto &[epoch, value] : curve.points) {
            first = std::min(first, epoch), last = std::max(last, epoch);
            low = std::min(low, value), high = std::max(high, value);
        }
    if (first > last) return "";
    if (last == first) first -= 0.5, last += 0.5;
    const double step = tick_step(low, high > low ? high : low + std::max(std::abs(low), 1e-3), 5);
    low = std::floor(low / step) * step, high = std::max(std::ceil(high / step) * step, low + step);
    const auto x = [&](double epoch) { return left + (epoch - first) / (last - first) * (width - left - right); };
    const auto y = [&](double value) { return height - bottom - (value - low) / (high - low) * (height - top - bottom); };
    const auto label = [percent](double value) { return percent ? fmt::format("{:.4g} %", 100 * value) : fmt::format("{:.4g}", value); };

    std::string names;
    for (const Curve &curve : curves) names += (names.empty() ? "" : ", ") + curve.name;
    std::string svg = fmt::format("<figure><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{} by epoch: {}\">\n", width, height,
                                  escaped(title), escaped(names));
    for (int i = 0; low + i * step <= high + step / 2; ++i) {
        const double value = low + i * step;
        svg +=
            fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text x=\"{}\" y=\"{:.1f}\" "
                        "text-anchor=\"end\">{}</text>\n",
                        left, width - right, y(value), y(value), left - 6, y(value) + 4, label(std::abs(value) < step / 1e6 ? 0 : value));
    }
    const auto every = static_cast<std::int64_t>(std::max(1.0, tick_step(first, last, 8)));
    for (auto epoch = static_cast<std::int64_t>(std::ceil(first)); double(epoch) <= last; ++epoch)
        if (epoch % every == 0)
            svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x(double(epoch)), height - bottom + 18,
                               epoch);
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">epoch</text>\n", width - right, height - 2);
    for (const Curve &curve : curves) {
        std::string points;
        for (const auto &[epoch, value] : curve.points) points += fmt::format("{:.1f},{:.1f} ", x(epoch), y(value));
        svg += fmt::format("<g class=\"c{}\"><polyline points=\"{}\"{}/>\n", curve.colour, points,
                           curve.dashed ? " stroke-dasharray=\"5 4\"" : "");
        for (const auto &[epoch, value] : curve.points)
            svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>{}, epoch {}: {}</title></circle>\n", x(epoch), y(value),
                               escaped(curve.name), epoch, percent ? fmt::format("{:.2f} %", 100 * value) : fmt::format("{:.4g}", value));
        svg += "</g>\n";
    }
    svg += "</svg><figcaption>";
    for (const Curve &curve : curves)
        svg += fmt::format("<span class=\"key c{}{}\"></span>{} ", curve.colour, curve.dashed ? " dashed" : "", escaped(curve.name));
    return svg + "</figcaption></figure>\n";
}

// The page has so many colours of curves.
constexpr std::size_t colours = 6;

/// The runs' values under `key`, those in training dashed, where some are.
void add_curves(std::vector<Curve> &curves, const std::vector<RunFiles> &runs, const std::string &key, bool dashed) {
    for (std::size_t r = 0; r < runs.size(); ++r) {
        Curve curve{runs.size() > 1 ? fmt::format("{} ({})", key, runs[r].name) : key, r % colours, dashed, {}};
        for (const json &epoch : runs[r].epochs)
            if (const auto value = epoch.find(key); value != epoch.end() && value->is_number())
                curve.points.emplace_back(epoch.at("epoch").get<double>(), value->get<double>());
        if (!curve.points.empty()) curves.push_back(std::move(curve));
    }
}

std::string charts(const std::vector<RunFiles> &runs) {
    std::string html = "<section aria-labelledby=\"curves\"><h2 id=\"curves\">Curves</h2>\n<div class=\"charts\">\n";
    for (const std::string &key : {std::string("loss"), name_of(metric_of(runs.front())), std::string("learning_rate")}) {
        std::vector<Curve> curves;
        add_curves(curves, runs, key, key != "learning_rate");
        add_curves(curves, runs, "val_" + key, false);
        html += fmt::format("<div><h3>{}</h3>\n{}</div>\n", escaped(key), chart(key, curves, key == name_of(Metric::accuracy)));
    }
    return html + "</div></section>\n";
}

/// A line of metrics.jsonl as the trainer judges it.
EpochMetrics metrics_in(const json &line, Metric metric, bool validates) {
    EpochMetrics metrics{.epoch = line.at("epoch").get<std::uint32_t>(), .reported = metric};
    metrics.loss = line.at("loss").get<double>();
    metrics.metric = line.at(name_of(metric)).get<double>();
    if (validates)
        metrics.val_loss = line.at("val_loss").get<double>(), metrics.val_metric = line.at("val_" + name_of(metric)).get<double>();
    return metrics;
}

/// The line of the epoch whose weights are in best.safetensors; null where none is trained.
const json *best_epoch(const RunFiles &run) {
    const bool validates = !run.epochs.empty() && run.epochs.front().at("val_loss").is_number();
    const Metric metric = metric_of(run);
    const Monitor monitor = monitor_of_best(run.config.recipe, validates, metric);
    BestEpoch best;
    const json *line = nullptr;
    for (const json &epoch : run.epochs)
        if (is_best(monitor, metrics_in(epoch, metric, validates), best)) line = &epoch;
    return line;
}

std::string overview(const std::vector<RunFiles> &runs) {
    const std::string metric = name_of(metric_of(runs.front()));
    const json none = json::object();
    std::vector<std::string> head = {"run", "model", "recipe", "epochs", "val_loss", "val_" + metric}, tested;
    if (std::ranges::any_of(runs, [](const RunFiles &run) { return !run.test.is_null(); })) tested = {"test_loss", "test_" + metric};
    head.insert(head.end(), tested.begin(), tested.end());
    head.push_back("images/s");
    std::vector<std::vector<std::string>> rows;
    for (const RunFiles &run : runs) {
        const json *found = best_epoch(run), &best = found ? *found : none, &last = run.epochs.empty() ? none : run.epochs.back();
        rows.push_back({escaped(run.name), escaped(run.config.model), escaped(run.config.recipe.name),
                        fmt::format("{} of {}", run.epochs.size(), run.config.recipe.epochs), figure(best, "val_loss"),
                        figure(best, "val_" + metric)});
        for (const std::string &key : tested) rows.back().push_back(figure(run.test, key));
        rows.back().push_back(figure(last, "images_per_second"));
    }
    return "<section aria-labelledby=\"runs\"><h2 id=\"runs\">Runs</h2>\n" +
           table("Of the best epoch, and of the last one's speed", head, rows) + "</section>\n";
}

std::string epochs_table(const RunFiles &run) {
    const std::string metric = name_of(metric_of(run));
    const std::vector<std::string> keys = {"loss", metric, "val_loss", "val_" + metric, "learning_rate", "seconds", "images_per_second"};
    std::vector<std::string> head = {"epoch"};
    head.insert(head.end(), keys.begin(), keys.end());
    std::vector<std::vector<std::string>> rows;
    for (const json &epoch : run.epochs) {
        std::vector<std::string> cells = {std::to_string(epoch.at("epoch").get<std::int64_t>())};
        for (const std::string &key : keys) cells.push_back(figure(epoch, key));
        rows.push_back(std::move(cells));
    }
    return table("Epochs", head, rows);
}

/// The scores of each class or label, and their means.
std::string scores_table(const json &evaluation) {
    const bool of_classes = evaluation.contains("classes");
    if (!of_classes && !evaluation.contains("labels")) return "";
    const json &lines = evaluation.at(of_classes ? "classes" : "labels");
    const std::string what = of_classes ? "class" : "label";
    if (lines.size() > most_classes)
        return fmt::format("<p>evaluation.json has the scores of each of the {} {}es.</p>\n", lines.size(), what);
    const auto percent = [](const json &line, const char *key) { return fmt::format("{:.2f} %", 100 * line.at(key).get<double>()); };
    std::vector<std::vector<std::string>> rows;
    for (const json &line : lines)
        rows.push_back({escaped(line.at(what).get<std::string>()), percent(line, "precision"), percent(line, "recall"), percent(line, "f1"),
                        std::to_string(line.at("images").get<std::int64_t>())});
    const json &mean = evaluation.at("macro");
    rows.push_back({"mean", percent(mean, "precision"), percent(mean, "recall"), percent(mean, "f1"), ""});
    return table(fmt::format("Scores by {}", what), {what, "precision", "recall", "F1", "images"}, rows);
}

/// Rows are classes, columns what their images were taken for; the darker, the more of the row.
std::string confusion_table(const json &evaluation) {
    if (!evaluation.contains("confusion") || evaluation.at("confusion").is_null()) return "";
    const json &rows = evaluation.at("confusion"), &classes = evaluation.at("classes");
    if (rows.size() > most_classes) return "";
    std::string html =
        "<div class=\"wide\"><table class=\"confusion\"><caption>Who is taken for whom: images of the row's class taken for the column's"
        "</caption>\n<thead><tr><th scope=\"col\">class</th>";
    for (const json &one : classes) html += fmt::format("<th scope=\"col\">{}</th>", escaped(one.at("class").get<std::string>()));
    html += "</tr></thead>\n<tbody>\n";
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::int64_t all = 0;
        for (const json &cell : rows[r]) all += cell.get<std::int64_t>();
        html += fmt::format("<tr><th scope=\"row\">{}</th>", escaped(classes[r].at("class").get<std::string>()));
        for (std::size_t c = 0; c < rows[r].size(); ++c) {
            const auto count = rows[r][c].get<std::int64_t>();
            html += fmt::format("<td class=\"{}\" style=\"--share:{:.3f}\">{}</td>", r == c ? "right" : "wrong",
                                all > 0 ? double(count) / double(all) : 0.0, count);
        }
        html += "</tr>\n";
    }
    return html + "</tbody></table></div>\n";
}

std::string details(const std::string &summary, const std::string &text) {
    if (text.empty()) return "";
    return fmt::format("<details><summary>{}</summary><pre>{}</pre></details>\n", escaped(summary), escaped(text));
}

std::string facts(const RunConfig &config) {
    const auto entry = [](const std::string &name, const std::string &value) {
        return fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escaped(value));
    };
    const std::string of_all = config.images() < config.train_images ? fmt::format(" of {}", config.train_images) : "";
    return "<dl>\n" + entry("data", config.data.empty() ? "synthetic" : printable(config.data)) +
           entry("training images", fmt::format("{}{}", config.images(), of_all)) +
           entry("recipe", fmt::format("{}, {} epochs, batch {}", config.recipe.name, config.recipe.epochs, config.recipe.batch)) +
           entry("seed", fmt::format("{}", config.seed)) +
           entry("schedule", fmt::format("{}, {} threads", config.schedule, config.threads)) + "</dl>\n";
}

std::string section(const RunFiles &run, std::size_t number) {
    std::string html = fmt::format("<section aria-labelledby=\"run{0}\"><h2 id=\"run{0}\">{1}</h2>\n", number, escaped(run.name)) +
                       facts(run.config) + epochs_table(run);
    if (run.evaluation.is_object()) {
        html += fmt::format("<h3>The best epoch's weights on {} {} images</h3>\n", run.evaluation.value("images", 0),
                            escaped(run.evaluation.value("split", "")));
        html += scores_table(run.evaluation) + confusion_table(run.evaluation);
    }
    html += picture(run.mistakes, "The surest mistakes: the class of the image > what it is taken for");
    html += picture(run.batch, "The first images as the network got them");
    return html + details("The settings, to repeat the run (config.json)", run.config_text) +
           details("The model (model.json)", run.model_text) + "</section>\n";
}

// No scripts, no other files: a page that can be sent and printed.
constexpr std::string_view style = R"(
:root { color-scheme: light dark; --ink: #1d2733; --paper: #fff; --line: #d5dbe1; --blue: 31 111 181; --red: 196 60 50;
        --c0: #1f6fb5; --c1: #c4513a; --c2: #2f8f5b; --c3: #8a5bb5; --c4: #b08412; --c5: #3a8f9c; }
@media (prefers-color-scheme: dark) {
    :root { --ink: #dfe6ee; --paper: #14191f; --line: #36414d; --blue: 92 160 224; --red: 226 104 92;
            --c0: #5ca0e0; --c1: #e8836d; --c2: #62c08c; --c3: #b893de; --c4: #d8ae45; --c5: #6cc3cf; } }
@media print { :root { --ink: #000; --paper: #fff; } section { break-inside: avoid-page; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; }
figure { margin: 0 0 1.5rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 0 1.5rem; }
svg, img { width: 100%; height: auto; }
img { image-rendering: pixelated; max-width: 100%; }
svg text { fill: var(--ink); font-size: 12px; }
.grid { stroke: var(--line); }
polyline { fill: none; stroke: currentColor; stroke-width: 2; }
circle { fill: currentColor; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); } .c4 { color: var(--c4); } .c5 { color: var(--c5); }
.key { display: inline-block; width: 1.5em; border-top: 3px solid; vertical-align: middle; margin: 0 0.4em 0 0.8em; }
.key.dashed { border-top-style: dashed; }
.wide { overflow-x: auto; margin-bottom: 1.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
th, td { border: 1px solid var(--line); padding: 0.2rem 0.6rem; text-align: right; }
th[scope="row"], thead th:first-child { text-align: left; }
.confusion .right { background: rgb(var(--blue) / calc(0.6 * var(--share))); }
.confusion .wrong { background: rgb(var(--red) / var(--share)); }
.confusion { font-size: 0.85rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1rem; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
pre { overflow-x: auto; border: 1px solid var(--line); padding: 0.6rem; }
)";

}  // namespace

std::string report_page(const std::vector<fs::path> &folders) try {
    std::vector<RunFiles> runs;
    for (const fs::path &folder : folders) runs.push_back(read_run(folder));
    std::string title = runs.size() == 1 ? runs.front().config.model + ": " + runs.front().name : fmt::format("{} runs", runs.size());
    std::string html = fmt::format("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                                   "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n<style>{1}</style>\n"
                                   "</head>\n<body>\n<main>\n<h1>{0}</h1>\n",
                                   escaped(printable(title)), style);
    html += overview(runs) + charts(runs);
    for (std::size_t r = 0; r < runs.size(); ++r) html += section(runs[r], r);
    return html + "</main>\n</body>\n</html>\n";
} catch (const json::exception &) {
    std::vector<std::string> names;
    for (const fs::path &folder : folders) names.push_back(folder.string());
    fail_for(fmt::format("{}", fmt::join(names, ", ")), "metrics.jsonl or evaluation.json is not as a run writes it");
}

void write_report(const std::vector<fs::path> &runs, const fs::path &file) { replace_file(file, report_page(runs)); }

}  // namespace halcyon
