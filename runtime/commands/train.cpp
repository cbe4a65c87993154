#include "runtime/commands/commands.h"

#include "plan/text.h"
#include "runtime/devices/device.h"
#include "runtime/engine/machine.h"
#include "runtime/training/monitor.h"
#include "runtime/training/normalization.h"
#include "runtime/training/recipe.h"
#include "runtime/training/run_folder.h"
#include "runtime/training/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace halcyon {
namespace {

// A signal handler can reach nothing but this.
volatile std::sig_atomic_t stop_signal = 0;

/// Lets the first Ctrl-C or SIGTERM ask for a stop after the step; a second one ends the program at once. A terminal that is closed asks
/// too, and may do so twice, unless nohup had it ignored.
void install_stop_signals() {
    struct sigaction hangup {};
    sigaction(SIGHUP, nullptr, &hangup);
    struct sigaction action {};
    action.sa_handler = [](int) { stop_signal = 1; };
    action.sa_flags = SA_RESTART;
    if (hangup.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
    action.sa_flags |= static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

bool output_failed() { return std::ferror(stdout) != 0; }

/// Bytes are scaled and floats are taken as they are, so that what is trained on the ones means nothing for the others.
void require_same_type(const Dataset &train, const std::optional<Dataset> &other, const ChosenData &source) {
    if (other && other->pixels.are_floats() != train.pixels.are_floats())
        throw std::runtime_error(
            fmt::format("{}: some images are bytes and some are floats; save all of them with one type", source.description()));
}

/// The images of a run, parted as its settings say.
RunData load_data(const ChosenData &source, const RunConfig &config) {
    if (config.validation_split > 0 && source.has(Split::validation))
        throw std::runtime_error(fmt::format("--validation-split {}: {} has images of its own to validate on; leave the option out",
                                             config.validation_split, source.description()));
    RunData data{source.load(Split::train), {}, std::nullopt, std::nullopt};
    if (config.evaluate && source.has(Split::validation)) data.validation = source.load(Split::validation);
    if (config.evaluate && source.has(Split::test)) data.test = source.load(Split::test);
    require_same_type(data.train, data.validation, source);
    require_same_type(data.train, data.test, source);
    data.records = split(data.train, config.validation_split, config.seed);
    if (config.validation_split > 0 && data.records.validation.empty())
        throw std::runtime_error(fmt::format("--validation-split {}: no class of {} has so many images that one is held out; give more",
                                             config.validation_split, source.description()));
    return data;
}

std::unique_ptr<Network> make_network(const halcyon_model &model, Plan plan, const RunConfig &config) {
    auto network =
        std::make_unique<Network>(model, std::move(plan), config.schedule, config.threads, std::min(config.recipe.batch, config.images()));
    if (config.recipe.optimizer.options.average) network->keep_averages();
    return network;
}

Recipe resolve_recipe(const TrainOptions &options, const Plan &plan) {
    Recipe recipe = load_recipe(options.recipe);
    if (options.epochs) recipe.epochs = *options.epochs;
    if (options.batch) recipe.batch = *options.batch;
    if (options.no_dropout) recipe.dropout = 0.0;
    recipe.dropout = dropout_rates(recipe, plan);
    return recipe;
}

/// What the run computes on.
std::string describe_schedule(const Network &network, const RunConfig &config) {
    if (!device_of(config.schedule)) return fmt::format("{}, {} threads", config.schedule, config.threads);
    return fmt::format("{} on {}, kernels loaded in {:.1f} s", config.schedule, to_string(describe_device(config.schedule)),
                       network.prepare_seconds());
}

/// The device that `auto` would have preferred to the set it took, and why not: "; no cuda: there is no CUDA device". "" where there is
/// none.
std::string missing_device(std::string_view set, const std::vector<std::string> &compiled) {
    for (const Set &preferred : all_sets()) {
        if (preferred.name == set) break;
        if (preferred.on_device() && std::ranges::find(compiled, preferred.name) != compiled.end())
            return fmt::format("; no {}: {}", preferred.name, why_not(preferred));
    }
    return "";
}

/// What is validated on, and tested.
std::string describe_validation(const RunData &data) {
    if (!data.validated()) return "";
    if (data.test && !data.tests()) return "validate  on the test images: give --validation-split for a fair figure\n";
    const std::string validated = data.validation ? fmt::format("{} images of the data's own", data.validation->size())
                                                  : fmt::format("{} held-out images", data.records.validation.size());
    return fmt::format("validate  on {}{}\n", validated, data.tests() ? "; the test images are evaluated once, at the end" : "");
}

/// The weights that the file has, whose names it returns; a line says which it lacks.
std::vector<std::string> begin_with(const std::string &path, Network &network) {
    const LoadedWeights loaded = load_first_weights(path, network);
    note_converted(path, loaded, network.plan());
    const std::size_t all = network.plan().parameters.size(), missing = loaded.missing.size();
    constexpr std::size_t most_named = 4;
    std::vector<std::string> named(loaded.missing.begin(), loaded.missing.begin() + std::ptrdiff_t(std::min(missing, most_named)));
    if (missing > most_named) named.push_back(fmt::format("{} more", missing - most_named));
    const std::string anew =
        missing == 0 ? "" : fmt::format("; {} begin{} anew: {}", missing, missing == 1 ? "s" : "", fmt::join(named, ", "));
    fmt::print("init      {}: {} of {} weights{}\n", printable(path), all - missing, all, anew);

    std::vector<std::string> given;
    for (const Parameter &parameter : network.plan().parameters)
        if (std::ranges::find(loaded.missing, parameter.name) == loaded.missing.end()) given.push_back(parameter.name);
    return given;
}

/// How a run ended.
std::string describe_end(const RunConfig &config, const TrainingState &state) {
    if (!stops_early(config.recipe, state.best, state.epoch)) return "done";
    return fmt::format("stopped early in epoch {}: {} has not improved since epoch {}", state.epoch,
                       config.recipe.early_stopping->monitor.name, state.best.epoch);
}

/// Whether the end of a run, its test and its report, is in its folder.
bool has_end(const RunFolder &run, const RunData &data) {
    return (!data.tests() || run.has_test()) && std::filesystem::exists(run.report_file());
}

/// Trains to the end, or until a signal, or until nobody takes the output.
int train(const halcyon_model &model, Network &network, const RunConfig &config, bool automatic, const ChosenData &source,
          const RunData &data, const RunFolder &folder, const TrainingState &state, const TrainOptions &options) {
    const std::string program = options.program.empty() ? config.model : options.program;
    install_stop_signals();
    fmt::print("data      {}, {} training images", printable(source.description()), config.images());
    if (data.test) fmt::print(", {} test images", data.test->size());
    fmt::print("\n{}recipe    {}, epochs {}, batch {}, seed {}\n", describe_validation(data), printable(config.recipe.name),
               config.recipe.epochs, config.recipe.batch, config.seed);
    fmt::print("schedule  {}{}\n", describe_schedule(network, config),
               automatic ? missing_device(config.schedule, compiled_sets(network.plan())) : "");
    const std::string path = printable(folder.path().string());
    fmt::print("out       {}\n", path);
    std::fflush(stdout);
    folder.write_model({model.text, model.text_size});
    folder.write_skipped(source.bad_files());
    if (options.tensorboard) folder.keep_events();

    Progress progress;
    Trainer trainer(network, config, data, folder, state, options.after_gradients);
    if (trainer.run(progress, [] { return stop_signal != 0 || output_failed(); })) {
        fmt::print("{}: the best epoch's weights are in {}\n", describe_end(config, trainer.state()), printable(folder.best().string()));
        return exit_done;
    }
    const std::string where =
        is_finished(config.recipe, trainer.state())
            ? "after the last epoch, before its weights were judged and reported"
            : fmt::format("in epoch {} after {} of {} images", trainer.state().epoch + 1, trainer.state().position, config.images());
    const std::string stopped = fmt::format("stopped {}, and saved; go on with: {} train --resume {}", where, program, path);
    if (output_failed()) throw std::runtime_error("standard output cannot be written: " + stopped);
    fmt::print("{}\n", stopped);
    return exit_interrupted;
}

int start_run(const halcyon_model &model, const TrainOptions &options) {
    Plan plan = plan_of(model);
    const ChosenData source = choose_data(options.data, plan, options.threads.value_or(hardware_threads()));
    RunConfig config;
    config.model = plan.model;
    config.data = source.path();
    config.data_settings = source.settings();
    config.validation_split = options.validation_split;
    config.limit = options.limit;
    config.recipe = resolve_recipe(options, plan);
    config.seed = options.seed;
    config.shuffle = !options.no_shuffle;
    config.evaluate = !options.no_evaluate;
    config.init = absolute_or_empty(options.init);
    const std::string schedule = options.schedule.value_or("auto");
    config.schedule = choose_set(schedule, compiled_sets(plan)).name;
    config.threads = options.threads.value_or(hardware_threads());

    const RunData data = load_data(source, config);
    config.train_images = static_cast<int>(data.records.train.size());
    require_fits(config, data, plan.metric);
    const auto network = make_network(model, std::move(plan), config);
    network->initialize(config.seed);
    const std::vector<std::string> given = config.init.empty() ? std::vector<std::string>() : begin_with(config.init, *network);
    adapt_normalization(*network, data.train, data.records_to_train(config), given);

    const RunFolder folder =
        options.out.empty() ? RunFolder::create_numbered(std::filesystem::path("runs") / config.model) : RunFolder::create(options.out);
    return train(model, *network, config, schedule == "auto", source, data, folder, {}, options);
}

/// Whether a resumed run goes on in another folder.
bool goes_elsewhere(const TrainOptions &options) {
    std::error_code not_there;
    return !options.out.empty() && !std::filesystem::equivalent(options.resume, options.out, not_there);
}

/// The folder that a resumed run writes into: its own, unless --out names another.
RunFolder resumed_folder(RunFolder run, const TrainOptions &options) {
    if (!goes_elsewhere(options)) return run;
    RunFolder folder = RunFolder::create(options.out, &run);
    folder.copy_from(run);
    return folder;
}

/// A run goes on as it began: options may repeat what it has, and few may change it.
void refuse_changes(const TrainOptions &options, const RunConfig &run, const Plan &plan) {
    const auto require = [&options](const char *option, const std::string &value, bool same, const std::string &in_run) {
        if (same || std::ranges::find(options.data.given, option) == options.data.given.end()) return;
        throw std::runtime_error(
            fmt::format("{}{}{}: {}; a run goes on as it began, and only --epochs, --threads, --schedule, --out and --data may change",
                        option, value.empty() ? "" : " ", value, in_run));
    };
    const auto number = [&require](const char *option, std::int64_t value, std::int64_t in_run) {
        require(option, std::to_string(value), value == in_run, fmt::format("the run has {}", in_run));
    };
    number("--batch", options.batch.value_or(0), run.recipe.batch);
    number("--seed", options.seed, run.seed);
    require("--limit", std::to_string(options.limit), options.limit == run.limit,
            run.limit > 0 ? fmt::format("the run has {}", run.limit) : "the run takes all images");
    require("--validation-split", fmt::format("{}", options.validation_split), options.validation_split == run.validation_split,
            run.validation_split > 0 ? fmt::format("the run has {}", run.validation_split) : "the run holds out no images");
    require("--init", options.init, absolute_or_empty(options.init) == run.init,
            run.init.empty() ? "the run began without" : fmt::format("the run has {}", run.init));
    for (const std::string &option : options.data.given)
        if (const std::string change = changed_setting(option, options.data.settings, run.data_settings); !change.empty())
            require(option.c_str(), "", false, change);
    require("--no-shuffle", "", !run.shuffle, "the run shuffles");
    require("--no-evaluate", "", !run.evaluate, "the run evaluates");
    const std::vector<double> rates = dropout_rates(run.recipe, plan);
    require("--no-dropout", "", std::ranges::all_of(rates, [](double rate) { return rate == 0; }), "the run drops out");
    if (std::ranges::find(options.data.given, "--recipe") == options.data.given.end()) return;
    Recipe recipe = resolve_recipe(options, plan);
    recipe.epochs = run.recipe.epochs;
    const std::string change = difference(to_json(recipe), options.recipe, to_json(run.recipe));
    require("--recipe", options.recipe, change.empty(), change + " as in the run");
}

/// Throws where the checkpoint is that of no moment of the run.
void check_state(const std::filesystem::path &checkpoint, const TrainingState &state, const RunConfig &config) {
    const int images = config.images(), batch = config.recipe.batch;
    const std::int64_t steps = state.epoch * config.steps_per_epoch() + (std::int64_t{state.position} + batch - 1) / batch;
    const bool between_steps = state.position == images || (state.position < images && state.position % batch == 0);
    if (!between_steps || state.step != steps)
        throw std::runtime_error(
            fmt::format("{}: after {} epochs and image {} of {}, in batches of {}, a run is not at step {}: it belongs to another run",
                        checkpoint.string(), state.epoch, state.position, images, batch, state.step));
}

/// The run's images, where --data says no other place, and treated as the run does.
ChosenData resumed_data(DataOptions options, const RunConfig &config, const Plan &plan) {
    options.settings = config.data_settings;
    if (!options.path.empty()) return data_at(options, "--data", plan, config.threads);
    options.path = config.data;
    return data_at(options, "as before", plan, config.threads);
}

int resume_run(const halcyon_model &model, const TrainOptions &options) {
    Plan plan = plan_of(model);
    RunFolder run = goes_elsewhere(options) ? RunFolder::open_to_read(options.resume) : RunFolder::open(options.resume);
    RunConfig config = run.read_config();
    if (config.model != plan.model)
        throw std::runtime_error(fmt::format("{}: a run of the model {}, not of {}", run.path().string(), config.model, plan.model));
    refuse_changes(options, config, plan);
    const int epochs_before = config.recipe.epochs;
    config.recipe.epochs = options.epochs.value_or(epochs_before);
    config.threads = options.threads.value_or(config.threads);
    config.schedule = choose_set(options.schedule.value_or(config.schedule), compiled_sets(plan)).name;

    const ChosenData source = resumed_data(options.data, config, plan);
    if (source.settings().pictures != config.data_settings.pictures)
        throw std::runtime_error(fmt::format("{}: its images were made of pictures with {}, but the run's with {}; give the same data",
                                             source.description(), to_json(source.settings().pictures),
                                             to_json(config.data_settings.pictures)));
    const RunData data = load_data(source, config);
    if (data.records.train.size() != static_cast<std::size_t>(config.train_images))
        throw std::runtime_error(fmt::format("{}: {} training images, but the run in {} has {}; give the same data", source.description(),
                                             data.records.train.size(), run.path().string(), config.train_images));
    config.data = source.path();

    const auto network = make_network(model, std::move(plan), config);
    const Checkpoint checkpoint = load_checkpoint(run.last(), *network, optimizer_of(config.recipe));
    require_same_type(checkpoint.images, data.train.pixels.are_floats(), source.description(), run.last().string());
    const TrainingState &state = checkpoint.state;
    check_state(run.last(), state, config);
    const int begun = static_cast<int>(state.epoch) + (state.position > 0 ? 1 : 0);
    if (begun > config.recipe.epochs)
        throw std::runtime_error(
            fmt::format("--epochs {}: the run in {} is in its epoch {} already", config.recipe.epochs, run.path().string(), begun));
    if (is_finished(config.recipe, state) && has_end(run, data)) {
        const std::string end = stops_early(config.recipe, state.best, state.epoch)
                                    ? describe_end(config, state)
                                    : fmt::format("{} epochs are trained; a larger --epochs goes on", state.epoch);
        fmt::print("the run in {} is finished: {}\n", printable(run.path().string()), end);
        return exit_done;
    }
    if (config.recipe.epochs != epochs_before)
        fmt::print("{} epochs instead of {}: the learning rate follows its schedule over the new total from here on\n",
                   config.recipe.epochs, epochs_before);
    return train(model, *network, config, options.schedule == "auto", source, data, resumed_folder(std::move(run), options), state,
                 options);
}

}  // namespace

int run_train(const halcyon_model &model, const TrainOptions &options) {
    return options.resume.empty() ? start_run(model, options) : resume_run(model, options);
}

}  // namespace halcyon
