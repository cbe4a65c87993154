#include "compiler/command_line.h"

#include "compiler/build.h"
#include "compiler/measurements.h"
#include "compiler/model.h"
#include "compiler/options.h"
#include "compiler/planner.h"
#include "compiler/report.h"
#include "plan/files.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

/// What both commands are told.
struct PlanArguments {
    std::string model;
    std::vector<std::string> schedules = {"reference", "x86"};
    std::string tuned;
    bool all_entries = false;
    std::vector<std::string> without;
};

/// `plan`.
struct ReportArguments : PlanArguments {
    bool explain = false, json = false;
    int batch = 64;
    std::string bench;
};

/// `build`.
struct BuildArguments : PlanArguments {
    std::string output, cache, kernel_gen;
    int jobs = int(std::max(1u, std::thread::hardware_concurrency()));
    bool shared = false, verbose = false;
};

PlanOptions plan_options(const PlanArguments &arguments) {
    PlanOptions options{.sets = select_sets(arguments.schedules), .all_entries = arguments.all_entries, .without = arguments.without};
    if (!arguments.tuned.empty()) options.pins = read_pins(arguments.tuned, options.sets);
    return options;
}

int plan(const ReportArguments &arguments) {
    const Model model = load_model(arguments.model);
    const PlanOptions options = plan_options(arguments);
    const Plan plan = make_plan(model, options);
    std::optional<Measurements> measured;
    if (!arguments.bench.empty()) measured = read_measurements(arguments.bench);
    std::string text = arguments.json ? to_json(plan) : describe(plan, arguments.batch, measured);
    if (arguments.explain && !arguments.json) text += explain(model, plan, options);
    fmt::print("{}", text);
    return 0;
}

int build(const BuildArguments &arguments) {
    const auto start = std::chrono::steady_clock::now();
    const Model model = load_model(arguments.model);
    const Plan plan = make_plan(model, plan_options(arguments));
    const BuildSummary summary =
        build_plan(plan, model.text,
                   {.output = arguments.output,
                    .cache = arguments.cache,
                    .kernel_gen = arguments.kernel_gen.empty() ? kernel_gen_file() : fs::path(arguments.kernel_gen),
                    .include = include_folder(),
                    .jobs = arguments.jobs,
                    .shared = arguments.shared,
                    .verbose = arguments.verbose});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    fmt::print("{}: {} kernels: {} compiled, {} unchanged, {:.1f} s\n", plan.model, summary.kernels, summary.compiled,
               summary.kernels - summary.compiled, seconds.count());
    return 0;
}

void add_plan_options(CLI::App &command, PlanArguments &arguments) {
    command.add_option("model", arguments.model, "the model file")->required();
    command.add_option("--schedules", arguments.schedules, "sets or families of schedules, by commas: reference,x86")->delimiter(',');
    command.add_option("--tuned", arguments.tuned, "a folder of <set>.json files that pin entries");
    command.add_option("--without", arguments.without, "entries to do without, by commas: winograd")->delimiter(',');
    command.add_flag("--all-entries", arguments.all_entries, "also what no program calls: every entry that accepts a kernel");
}

void add_plan(CLI::App &program, std::function<int()> &chosen) {
    CLI::App &command = *program.add_subcommand("plan", "print what would be compiled, and why");
    const auto arguments = std::make_shared<ReportArguments>();
    add_plan_options(command, *arguments);
    command.add_flag("--explain", arguments->explain, "every fusion and every schedule entry, taken or refused, with the reason");
    command.add_flag("--json", arguments->json, "print plan.json");
    command.add_option("--batch", arguments->batch, "the images for which a step's bytes are added up")
        ->check(CLI::Range(1, largest_size))
        ->capture_default_str();
    command.add_option("--bench", arguments->bench, "what cifar10_bench --json wrote: shows each call's tasks, bound and time");
    command.callback([&chosen, arguments] { chosen = [arguments] { return plan(*arguments); }; });
}

void add_build(CLI::App &program, std::function<int()> &chosen) {
    CLI::App &command = *program.add_subcommand("build", "compile a model into a library");
    const auto arguments = std::make_shared<BuildArguments>();
    add_plan_options(command, *arguments);
    command.add_option("-o,--output", arguments->output, "the folder for the library, its header and plan.json")->required();
    command.add_option("-j,--jobs", arguments->jobs, "kernels compiled at a time")->check(CLI::Range(1, 1024))->capture_default_str();
    command.add_option("--cache", arguments->cache, "a folder that keeps compiled kernels by their content");
    command.add_option("--kernel-gen", arguments->kernel_gen, "the generator binary (default: kernel_gen beside this program)");
    command.add_flag("--shared", arguments->shared, "make a shared library, for programs that have Halide's runtime to load");
    command.add_flag("-v,--verbose", arguments->verbose, "a line per compiled kernel");
    command.callback([&chosen, arguments] { chosen = [arguments] { return build(*arguments); }; });
}

}  // namespace

fs::path kernel_gen_file() { return program_folder() / "kernel_gen"; }

fs::path include_folder() {
    fs::path installed = program_folder().parent_path() / "include" / "halcyon";
    return fs::exists(installed / "runtime" / "model.h") ? installed : fs::path(HALCYON_SOURCE_DIR);
}

void add_compiler_commands(CLI::App &program, std::function<int()> &chosen) {
    add_plan(program, chosen);
    add_build(program, chosen);
}

}  // namespace halcyon
