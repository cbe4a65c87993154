// The page about runs: report.html.
#include "runtime/training/report.h"
#include "tests/catch.h"
#include "tests/training/workplace.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

using namespace halcyon;
using namespace halcyon::tests;

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::size_t count(const std::string &text, const std::string &part) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
    return found;
}

}  // namespace

TEST_CASE("a run leaves a page with its figures, scores and pictures") {
    const Workplace work;
    write_bytes(work.data + "/batches.meta.txt", "<b>plane</b>\n\"car\" & co\nc\nd\ne\nf\ng\nh\ni\nj\n");
    REQUIRE(cifar10({"train", "--data", work.data, "--epochs", "3", "--batch", "16", "--out", work.run}).exit_code == 0);
    const std::string page = read_bytes(work.run + "/report.html");
    for (const json &epoch : lines_of(read_bytes(work.run + "/metrics.jsonl")))
        CHECK(count(page, fmt::format("<tr><th scope=\"row\">{}</th><td>{:.4f}</td><td>{:.2f} %</td><td>{:.4f}</td><td>{:.2f} %</td>",
                                      epoch["epoch"].get<int>(), epoch["loss"].get<double>(), 100 * epoch["accuracy"].get<double>(),
                                      epoch["val_loss"].get<double>(), 100 * epoch["val_accuracy"].get<double>())) == 1);
    CHECK(count(page, "<svg ") == 3);
    CHECK(count(page, "<circle ") == 3 * 5);
    CHECK(count(page, "data:image/png;base64,iVBOR") == 2);
    CHECK(count(page, "http") == 0);
    CHECK(count(page, "<b>") == 0);
    CHECK(count(page, "&lt;b&gt;plane&lt;/b&gt;") == 3);  // a row of scores, a row and a column of the confusion
    CHECK(count(page, "&quot;car&quot; &amp; co") == 3);

    // What the best weights are worth is what evaluate says of them.
    const json kept = json::parse(read_bytes(work.run + "/evaluation.json"));
    const Result evaluated =
        cifar10({"evaluate", "--weights", work.run + "/best.safetensors", "--data", work.data, "--batch", "16", "--json"});
    CHECK(kept == json::parse(evaluated.out));
    for (const json &row : kept["confusion"])
        for (const json &cell : row) CHECK(count(page, fmt::format("\">{}</td>", cell.get<int>())) > 0);
}

TEST_CASE("a page shows runs beside each other, also those that are not at their end") {
    const Workplace work;
    const std::string other = work.folder / "other", page = work.folder / "both.html";
    REQUIRE(cifar10(work.train + Arguments{"--out", work.run}).exit_code == 0);
    REQUIRE(cifar10(work.train + Arguments{"--out", other, "--no-evaluate", "--seed", "2"}).exit_code == 0);
    fs::remove(other + "/metrics.jsonl");
    const Result reported = cifar10({"report", work.run, other, "-o", page});
    CHECK(reported.exit_code == 0);
    CHECK(reported.out == page + "\n");
    CHECK(count(read_bytes(page), fmt::format("<h2 id=\"run1\">{}</h2>", other)) == 1);
    CHECK(count(read_bytes(page), "<table class=\"confusion\">") == 1);
    REQUIRE(cifar10({"report", work.run}).exit_code == 0);
    CHECK(report_page({work.run}) == read_bytes(work.run + "/report.html"));

    for (const auto &[run, words] :
         {std::pair<std::string, std::vector<std::string>>{work.data, {work.data, "no run's folder", "config.json"}},
          {work.run, {work.run, "metrics.jsonl"}}}) {
        write_bytes(work.run + "/metrics.jsonl", "{\"epoch\": \"one\", \"loss\": 2}\n");
        CHECK(not_refused(cifar10({"report", run}), 1, words) == "");
    }
}

TEST_CASE("the best epoch is that of the run's monitor") {
    const Workplace work;
    const std::string recipe = work.folder / "patient.json";
    write_bytes(recipe, R"({"name": "patient", "epochs": 3, "batch": 16, "learning_rate": {"schedule": "constant", "peak": 0.001},
                            "early_stopping": {"monitor": "val_loss", "patience": 5}})");
    const Result trained = cifar10({"train", "--data", work.data, "--recipe", recipe, "--out", work.run});
    INFO(trained.err);
    REQUIRE(trained.exit_code == 0);
    std::vector<json> lines = lines_of(read_bytes(work.run + "/metrics.jsonl"));
    std::string text;
    for (json &line : lines) {
        const bool first = line["epoch"] == 1;  // of the highest accuracy; the second has the lowest loss
        line["val_accuracy"] = first ? 0.9 : 0.5;
        line["val_loss"] = line["epoch"] == 2 ? 0.25 : 1.5;
        text += line.dump() + "\n";
    }
    write_bytes(work.run + "/metrics.jsonl", text);
    CHECK(count(report_page({work.run}), "<td>patient</td><td>3 of 3</td><td>0.2500</td><td>50.00 %</td>") == 1);
}
