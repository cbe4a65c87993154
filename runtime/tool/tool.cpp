#include "runtime/tool/tool.h"

#include "compiler/command_line.h"
#include "compiler/planner.h"
#include "plan/errors.h"
#include "plan/files.h"
#include "plan/text.h"
#include "runtime/engine/machine.h"
#include "runtime/tool/caches.h"
#include "runtime/training/progress.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

/// A line to standard error; where nobody takes it, the model is as good.
void say(const std::string &line) { std::fputs(fmt::format("halcyon: {}\n", printable(line)).c_str(), stderr); }

std::vector<std::string> names_of(const std::vector<Set> &sets) {
    std::vector<std::string> names;
    for (const Set &set : sets) names.push_back(set.name);
    return names;
}

/// The fastest set that this machine can run.
std::string fastest_set() { return choose_set("auto", names_of(all_sets())).name; }

}  // namespace

std::string Tool::about() const {
    return "Compiles, trains and runs convolutional networks. MODEL is a model file (docs/models.md), or the folder of a run.";
}

void Tool::add_model(CLI::App &command) {
    const bool may_resume = command.get_name() == "train";
    command
        .add_option("model", model_,
                    may_resume ? "A model file, or a run's folder; default: that of --resume" : "A model file, or a run's folder")
        ->type_name("MODEL")
        ->required(!may_resume);
    command
        .add_option("--schedules", schedules_,
                    "Sets or families to compile, by commas, beside the reference; default: the fastest that this machine can run")
        ->delimiter(',')
        ->type_name("NAMES");
    command.preparse_callback([this, &command](std::size_t) { command_ = &command; });
}

void Tool::add_commands(CLI::App &app, Command &chosen) {
    add_cache_command(app, chosen);
    add_compiler_commands(app, chosen);
}

Model Tool::read_model(const std::string &run) const {
    const fs::path named = model_.empty() ? run : model_;
    if (named.empty()) throw std::runtime_error("train: no model is named; give a model file, or a run's folder");
    if (!fs::is_directory(named)) return load_model(named.string());
    if (!fs::exists(named / "model.json")) fail_for(named, "is no run's folder: it has no model.json");
    return load_model((named / "model.json").string());
}

std::vector<Set> Tool::sets() const {
    std::vector<std::string> names = schedules_.empty() ? std::vector<std::string>{fastest_set()} : schedules_;
    names.emplace_back("reference");
    // What a command is to run on must be there.
    const CLI::Option *schedule = command_ ? command_->get_option_no_throw("--schedule") : nullptr;
    if (schedule && schedule->count() > 0 && schedule->as<std::string>() != "auto") names.push_back(schedule->as<std::string>());
    return select_sets(names);
}

const halcyon_model &Tool::described() {
    const Model model = read_model("");
    static const halcyon_kernel none = {};
    name_ = model.name;
    text_ = model.text;
    plan_ = to_json(make_plan(model, {.sets = sets()}));
    described_ = {HALCYON_ABI_VERSION, name_.c_str(), text_.c_str(), text_.size(), plan_.c_str(), plan_.size(), &none, 0};
    return described_;
}

const halcyon_model &Tool::compiled(const std::string &run) {
    const Model model = read_model(run);
    const std::vector<Set> wanted = sets();
    const fs::path cache = default_cache("compiled models are kept below it; set one") / "models";
    std::optional<CountingBar> bar;
    const auto begin = std::chrono::steady_clock::now();
    const CompilingProgress progress{
        .waits = [&model] { say(fmt::format("{}: another process compiles it; waiting for its end", model.name)); },
        .compiled =
            [&](int done, int kernels) {
                if (!bar) {
                    say(fmt::format("{}: compiling {} kernels for {}", model.name, kernels, fmt::join(names_of(wanted), ", ")));
                    bar.emplace("compiling", "kernels");
                }
                if (done > 0) bar->show(std::size_t(done), std::size_t(kernels));
            }};
    const fs::path folder = compiled_model(cache, model, wanted, progress);
    if (bar) {
        bar.reset();
        say(fmt::format("{}: compiled in {:.1f} s, and kept in {}", model.name,
                        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), folder.string()));
    }
    return loaded_.emplace(folder, model.name).model();
}

std::string Tool::weights() const {
    const fs::path best = fs::path(model_) / "best.safetensors";
    return fs::exists(best) ? best.string() : "";
}

}  // namespace halcyon
