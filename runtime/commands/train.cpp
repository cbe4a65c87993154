#include "runtime/commands/commands.h"

#include "runtime/device.h"
#include "runtime/machine.h"
#include "runtime/recipe.h"
#include "runtime/run_folder.h"
#include "runtime/trainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace halcyon {
namespace {

/// What may differ when a run goes on.
const std::vector<std::string> resume_options = {"--epochs", "--threads", "--schedule", "--out", "--data"};

// A signal handler can reach nothing but this.
volatile std::sig_atomic_t stop_signal = 0;

/// Lets the first Ctrl-C or SIGTERM ask for a stop after the step; a second one ends the program at once.
void install_stop_signals() {
    struct sigaction action {};
    action.sa_handler = [](int) { stop_signal = 1; };
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

/// The images of a run.
struct Data {
    Dataset train;
    std::optional<Dataset> test;

    const Dataset *test_or_null() const { return test ? &*test : nullptr; }
};

Data load_data(const DataSource &source, bool evaluate, const Plan &plan) {
    Data data{source.load(Split::train, plan), std::nullopt};
    if (evaluate) data.test = source.load(Split::test, plan);
    return data;
}

std::string absolute_or_empty(const std::string &path) {
    return path.empty() ? "" : std::filesystem::absolute(path).lexically_normal().string();
}

std::unique_ptr<Network> make_network(const halcyon_model &model, Plan plan, const RunConfig &config) {
    return std::make_unique<Network>(model, std::move(plan), config.schedule, config.threads,
                                     std::min(config.recipe.batch, config.images()));
}

Recipe resolve_recipe(const TrainOptions &options, const Plan &plan) {
    Recipe recipe = load_recipe(options.recipe);
    if (options.epochs) recipe.epochs = *options.epochs;
    if (options.batch) recipe.batch = *options.batch;
    if (options.no_dropout) recipe.dropout = {0};
    recipe.dropout = dropout_rates(recipe, plan.dropout_layers);
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

/// Trains to the end, or until a signal.
int train(Network &network, const RunConfig &config, bool automatic, const DataSource &source, const Data &data, const RunFolder &folder,
          const TrainingState &state) {
    fmt::print("data      {}, {} training images", source.description(), config.images());
    if (data.test) fmt::print(", {} test images", data.test->size());
    fmt::print("\nrecipe    {}, epochs {}, batch {}, seed {}\n", config.recipe.name, config.recipe.epochs, config.recipe.batch,
               config.seed);
    fmt::print("schedule  {}{}\n", describe_schedule(network, config),
               automatic ? missing_device(config.schedule, compiled_sets(network.plan())) : "");
    fmt::print("out       {}\n", folder.path().string());
    std::fflush(stdout);

    install_stop_signals();
    Progress progress;
    Trainer trainer(network, config, data.train, data.test_or_null(), folder, state);
    if (!trainer.run(progress, [] { return stop_signal != 0; })) {
        fmt::print("stopped in epoch {} after {} of {} images, and saved; go on with: {} train --resume {}\n", trainer.state().epoch + 1,
                   trainer.state().position, config.images(), config.model, folder.path().string());
        return exit_interrupted;
    }
    fmt::print("done: the best epoch's weights are in {}\n", folder.best().string());
    return exit_done;
}

int start_run(const halcyon_model &model, const TrainOptions &options) {
    Plan plan = plan_of(model);
    const DataSource source = choose_data(options.data);
    RunConfig config;
    config.model = plan.model;
    config.data = absolute_or_empty(source.folder);
    config.limit = options.limit;
    config.recipe = resolve_recipe(options, plan);
    config.seed = options.seed;
    config.shuffle = !options.no_shuffle;
    config.evaluate = !options.no_evaluate;
    config.init = absolute_or_empty(options.init);
    const std::string schedule = options.schedule.value_or("auto");
    config.schedule = choose_set(schedule, compiled_sets(plan)).name;
    config.threads = options.threads.value_or(hardware_threads());

    const Data data = load_data(source, config.evaluate, plan);
    config.train_images = data.train.size();
    const auto network = make_network(model, std::move(plan), config);
    network->initialize(config.seed);
    if (!config.init.empty()) load_named_weights(config.init, *network);

    const RunFolder folder = options.out.empty() ? RunFolder::create_numbered(std::filesystem::path("runs") / config.model, config)
                                                 : RunFolder::create(options.out, config);
    return train(*network, config, schedule == "auto", source, data, folder, {});
}

/// The folder that a resumed run writes into: its own, unless --out names another.
RunFolder resumed_folder(const RunFolder &run, const std::string &out, const RunConfig &config) {
    std::error_code not_there;
    if (out.empty() || std::filesystem::equivalent(run.path(), out, not_there)) {
        run.write_config(config);
        return run;
    }
    RunFolder folder = RunFolder::create(out, config);
    folder.copy_from(run);
    return folder;
}

int resume_run(const halcyon_model &model, const TrainOptions &options) {
    Plan plan = plan_of(model);
    const RunFolder run = RunFolder::open(options.resume);
    RunConfig config = run.read_config();
    if (config.model != plan.model)
        throw std::runtime_error(fmt::format("{}: a run of the model {}, not of {}", run.config_file().string(), config.model, plan.model));
    const int epochs_before = config.recipe.epochs;
    config.recipe.epochs = options.epochs.value_or(epochs_before);
    config.threads = options.threads.value_or(config.threads);
    config.schedule = choose_set(options.schedule.value_or(config.schedule), compiled_sets(plan)).name;

    const DataSource source = options.data.empty() ? DataSource{config.data, "as before"} : choose_data(options.data);
    const Data data = load_data(source, config.evaluate, plan);
    if (data.train.size() != config.train_images)
        throw std::runtime_error(fmt::format("{}: {} training images, but the run in {} has {}; give the same data", source.description(),
                                             data.train.size(), run.path().string(), config.train_images));
    config.data = absolute_or_empty(source.folder);

    const auto network = make_network(model, std::move(plan), config);
    const TrainingState state = load_checkpoint(run.last(), *network, optimizer_of(config.recipe)).state;
    if (state.position < 0 || state.position > config.images())
        throw std::runtime_error(fmt::format("{}: at image {} of an epoch, but this run's have {}: it belongs to another run",
                                             run.last().string(), state.position, config.images()));
    const int begun = static_cast<int>(state.epoch) + (state.position > 0 ? 1 : 0);
    if (begun > config.recipe.epochs)
        throw std::runtime_error(
            fmt::format("--epochs {}: the run in {} is in its epoch {} already", config.recipe.epochs, run.path().string(), begun));
    if (static_cast<int>(state.epoch) == config.recipe.epochs) {
        fmt::print("the run in {} is finished: {} epochs are trained; a larger --epochs goes on\n", run.path().string(), state.epoch);
        return exit_done;
    }
    if (config.recipe.epochs != epochs_before)
        fmt::print("{} epochs instead of {}: the learning rate follows its schedule over the new total from here on\n",
                   config.recipe.epochs, epochs_before);
    return train(*network, config, options.schedule == "auto", source, data, resumed_folder(run, options.out, config), state);
}

/// A run goes on as it began: options that would change it are refused.
void refuse_changes(const std::vector<std::string> &given) {
    for (const std::string &option : given)
        if (option != "--resume" && std::ranges::find(resume_options, option) == resume_options.end())
            throw std::runtime_error(
                fmt::format("{} cannot be given when a run is resumed; {} can", option, fmt::join(resume_options, ", ")));
}

}  // namespace

int run_train(const halcyon_model &model, const TrainOptions &options) {
    if (options.resume.empty()) return start_run(model, options);
    refuse_changes(options.given);
    return resume_run(model, options);
}

}  // namespace halcyon
