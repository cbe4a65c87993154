// halcyonc, the model compiler's command line.
#include "compiler/build.h"
#include "compiler/measurements.h"
#include "compiler/model.h"
#include "compiler/options.h"
#include "compiler/planner.h"
#include "compiler/report.h"
#include "plan/errors.h"
#include "plan/text.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;
using namespace halcyon;

struct Arguments {
    std::string model;
    std::vector<std::string> schedules = {"reference", "x86"};
    std::string tuned;
    bool all_entries = false;
    std::vector<std::string> without;

    bool explain = false, json = false;
    int batch = 64;
    std::string bench;

    std::string output, cache, kernel_gen;
    int jobs = 1;
    bool verbose = false;
};

PlanOptions plan_options(const Arguments &arguments) {
    PlanOptions options{.sets = select_sets(arguments.schedules), .all_entries = arguments.all_entries, .without = arguments.without};
    if (!arguments.tuned.empty()) options.pins = read_pins(arguments.tuned, options.sets);
    return options;
}

void plan(const Arguments &arguments) {
    const Model model = load_model(arguments.model);
    const PlanOptions options = plan_options(arguments);
    const Plan plan = make_plan(model, options);
    std::optional<Measurements> measured;
    if (!arguments.bench.empty()) measured = read_measurements(arguments.bench);
    std::string text = arguments.json ? to_json(plan) : describe(plan, arguments.batch, measured);
    if (arguments.explain && !arguments.json) text += explain(model, plan, options);
    fmt::print("{}", text);
}

fs::path own_folder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

/// Where "runtime/model.h" lies: beside an installed halcyonc, or in the source tree that this one was built from.
fs::path include_folder() {
    const fs::path installed = own_folder().parent_path() / "include" / "halcyon";
    return fs::exists(installed / "runtime" / "model.h") ? installed : fs::path(HALCYON_SOURCE_DIR);
}

void build(const Arguments &arguments) {
    const auto start = std::chrono::steady_clock::now();
    const Plan plan = make_plan(load_model(arguments.model), plan_options(arguments));
    const BuildSummary summary =
        build_plan(plan, {.output = arguments.output,
                          .cache = arguments.cache,
                          .kernel_gen = arguments.kernel_gen.empty() ? own_folder() / "kernel_gen" : fs::path(arguments.kernel_gen),
                          .include = include_folder(),
                          .jobs = arguments.jobs,
                          .verbose = arguments.verbose});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    fmt::print("{}: {} kernels: {} compiled, {} unchanged, {:.1f} s\n", plan.model, summary.kernels, summary.compiled,
               summary.kernels - summary.compiled, seconds.count());
}

void add_plan_options(CLI::App &command, Arguments &arguments) {
    command.add_option("model", arguments.model, "the model file")->required();
    command.add_option("--schedules", arguments.schedules, "sets or families of schedules, by commas: reference,x86")->delimiter(',');
    command.add_option("--tuned", arguments.tuned, "a folder of <set>.json files that pin entries");
    command.add_option("--without", arguments.without, "entries to do without, by commas: winograd")->delimiter(',');
    command.add_flag("--all-entries", arguments.all_entries, "also what no program calls: every entry that accepts a kernel");
}

/// Reads the command line and does what it asks; returns the exit code.
int run(int argc, char **argv) {
    Arguments arguments;
    arguments.jobs = int(std::max(1u, std::thread::hardware_concurrency()));

    CLI::App app("Compiles convolutional networks ahead of time into native trainers.", "halcyonc");
    app.require_subcommand(1);
    CLI::App &plan_command = *app.add_subcommand("plan", "print what would be compiled, and why");
    add_plan_options(plan_command, arguments);
    plan_command.add_flag("--explain", arguments.explain, "every fusion and every schedule entry, taken or refused, with the reason");
    plan_command.add_flag("--json", arguments.json, "print plan.json");
    plan_command.add_option("--batch", arguments.batch, "the images for which a step's bytes are added up")
        ->check(CLI::Range(1, largest_size))
        ->capture_default_str();
    plan_command.add_option("--bench", arguments.bench, "what cifar10_bench --json wrote: shows each call's tasks, bound and time");

    CLI::App &build_command = *app.add_subcommand("build", "compile a model into a static library");
    add_plan_options(build_command, arguments);
    build_command.add_option("-o,--output", arguments.output, "the folder for the library, its header and plan.json")->required();
    build_command.add_option("-j,--jobs", arguments.jobs, "kernels compiled at a time")->check(CLI::Range(1, 1024))->capture_default_str();
    build_command.add_option("--cache", arguments.cache, "a folder that keeps compiled kernels by their content");
    build_command.add_option("--kernel-gen", arguments.kernel_gen, "the generator binary (default: kernel_gen beside halcyonc)");
    build_command.add_flag("-v,--verbose", arguments.verbose, "a line per compiled kernel");

    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp &help) {
        return app.exit(help);
    } catch (const CLI::ParseError &error) {
        fmt::print(stderr, "halcyonc: {}; see --help\n", printable(error.what()));
        return 2;
    }
    if (plan_command.parsed())
        plan(arguments);
    else
        build(arguments);
    return 0;
}

}  // namespace

int main(int argc, char **argv) {
    return run_program("", [&] { return run(argc, argv); });
}
