#include "runtime/commands/command_line.h"

#include "plan/errors.h"
#include "plan/text.h"
#include "runtime/commands/commands.h"
#include "runtime/engine/threads.h"
#include "runtime/training/recipe.h"
#include "runtime/training/run_config.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace halcyon {
namespace {

using namespace std::string_literals;

const char *const data_help = "What holds the images: a folder with a subfolder for each class, a list.csv, ... (docs/data.md); default: "
                              "CIFAR10_DIR, else a synthetic set";
const char *const weights_help = "Weights in a safetensors file, named as Keras names them";
const char *const schedule_help = "Schedule set; auto takes the fastest that this machine can run";

const char *const nonfinite_help = "Take weights and print results that are NaN or infinite, as null in JSON";

/// Refuses what is not in 1 .. largest. The help texts leave the range out.
CLI::Validator up_to(int largest) { return CLI::Range(1, largest).description(""); }

/// Refuses "", which a shell makes of a variable that is not set.
CLI::Validator named() {
    return {[](const std::string &name) { return name.empty() ? std::string("must not be empty") : std::string(); }, ""};
}

/// Refuses what is not above 0 and below 1.
CLI::Validator fraction() {
    const auto check = [](const std::string &text) {
        double value = 0;
        const bool accepted = CLI::detail::lexical_cast(text, value) && is_validation_split(value);
        return accepted ? std::string() : fmt::format("must be above 0 and below 1, not {}", text);
    };
    return {check, ""};
}

/// Reads "A:B" with 0 <= A < B; nothing where it is malformed.
std::optional<RecordRange> parse_records(const std::string &text) {
    RecordRange records;
    const char *end = text.data() + text.size();
    const auto [colon, first_error] = std::from_chars(text.data(), end, records.first);
    if (first_error != std::errc() || colon == end || *colon != ':') return std::nullopt;
    const auto [rest, last_error] = std::from_chars(colon + 1, end, records.last);
    if (last_error != std::errc() || rest != end || records.first < 0 || records.first >= records.last) return std::nullopt;
    return records;
}

template<typename Names>
std::vector<std::string> names_in(const Names &names) {
    std::vector<std::string> texts;
    for (const auto &named : names) texts.emplace_back(named.first);
    return texts;
}

/// An option whose values have names.
template<typename Names, typename Value>
CLI::Option *add_choice(CLI::App &command, const char *name, Value &value, const Names &names, const std::string &help) {
    const std::vector<std::string> texts = names_in(names);
    const auto set = [&value, &names](const std::string &text) {
        value = std::ranges::find(names, text, [](const auto &named) { return named.first; })->second;
    };
    return command.add_option_function<std::string>(name, set, help)
        ->check(CLI::IsMember(texts).description(""))
        ->type_name(fmt::format("{}", fmt::join(texts, "|")));
}

/// What every command that takes images is told of them; `data` is how it calls --data.
std::vector<CLI::Option *> add_data(CLI::App &command, const char *data, DataOptions &options) {
    DataSettings &settings = options.settings;
    PictureOptions &pictures = settings.pictures;
    std::vector<std::string> formats;
    for (const SourceKind &kind : source_kinds()) formats.emplace_back(kind.name);
    return {
        command.add_option(data, options.path, data_help)->check(named())->type_name("PATH"),
        command.add_option("--format", settings.format, "What it is; default: what it is recognised as")
            ->check(CLI::IsMember(formats).description(""))
            ->type_name(fmt::format("{}", fmt::join(formats, "|"))),
        command.add_option("--images", settings.images, "Folder that the files of a list are relative to; default: the list's")
            ->check(named())
            ->type_name("DIR"),
        command.add_option("--labels", settings.labels, "CIFAR-100's classes; default: fine")
            ->check(CLI::IsMember({"fine", "coarse"}).description(""))
            ->type_name("fine|coarse"),
        add_choice(command, "--resize", pictures.resize, resize_names, "How pictures are resized; default: pillow"),
        add_choice(command, "--fit", pictures.fit, fit_names, "What becomes of other aspect ratios; default: stretch"),
        add_choice(command, "--alpha", pictures.alpha, alpha_names, "What becomes of transparency; default: drop"),
        command.add_flag("--apply-exif", pictures.apply_exif, "Turn pictures as their EXIF orientation says"),
        command.add_option("--cache", options.cache, "Keep decoded pictures in this folder; default: in memory, where they fit")
            ->check(named())
            ->type_name("DIR"),
        command.add_flag("--skip-bad-files", settings.skip_bad_files, "Go on without the files that cannot be read"),
    };
}

/// The names of the options that the command line gives to a command.
std::vector<std::string> given_to(const CLI::App &command) {
    std::vector<std::string> names;
    for (const CLI::Option *option : command.get_options())
        if (option->count() > 0) names.push_back(option->get_name());
    return names;
}

void add_weights(CLI::App &command, const Application &application, std::string &weights) {
    command.add_option("--weights", weights, application.may_have_weights() ? weights_help + "; default: the run's best"s : weights_help)
        ->check(named())
        ->type_name("FILE")
        ->required(!application.may_have_weights());
}

/// Those that come with the model, where none are named.
void choose_weights(const Application &application, std::string &weights) {
    if (weights.empty()) weights = application.weights();
    if (weights.empty()) throw CLI::RequiredError("--weights");
}

void add_train(CLI::App &app, Application &application, Command &chosen) {
    CLI::App *command = app.add_subcommand("train", "Train the network; Ctrl-C saves, and --resume goes on");
    const auto options = std::make_shared<TrainOptions>();
    application.add_model(*command);
    add_data(*command, "--data", options->data);
    command->add_option("--epochs", options->epochs, "Epochs in all; default: the recipe's")->check(up_to(largest_count))->type_name("N");
    command->add_option("--batch", options->batch, "Images in a step; default: the recipe's")->check(up_to(largest_count))->type_name("N");
    command->add_option("--seed", options->seed, "Seed of all that is random")->type_name("N")->capture_default_str();
    command->add_option("--schedule", options->schedule, schedule_help)->type_name("NAME");
    command->add_option("--threads", options->threads, "Default: as many as this process may use")
        ->check(up_to(ThreadPool::most_threads))
        ->type_name("N");
    command->add_option("--out", options->out, fmt::format("Folder of the run; default: runs/{}/N", application.model_name()))
        ->check(named())
        ->type_name("DIR");
    command->add_option("--resume", options->resume, "Go on with the run in this folder")->check(named())->type_name("DIR");
    command->add_option("--recipe", options->recipe, fmt::format("{}, or a file", fmt::join(recipe_names(), ", ")))
        ->type_name("NAME|FILE")
        ->capture_default_str();
    command->add_option("--init", options->init, "Begin with the weights in a safetensors file, which may lack some")
        ->check(named())
        ->type_name("FILE");
    command->add_option("--limit", options->limit, "Train on the first N images")
        ->check(up_to(std::numeric_limits<int>::max()))
        ->type_name("N");
    CLI::Option *split = command->add_option("--validation-split", options->validation_split,
                                             "Hold out this fraction of each class's training images, to validate on");
    split->check(fraction())->type_name("F");
    command->add_flag("--no-shuffle", options->no_shuffle, "Take the images in the files' order");
    command->add_flag("--no-dropout", options->no_dropout, "Drop nothing out, whatever the recipe says");
    command->add_flag("--no-evaluate", options->no_evaluate, "Do not evaluate after each epoch")->excludes(split);
    command->add_flag("--tensorboard", options->tensorboard,
                      "Write the metrics for TensorBoard too, into tensorboard/ in the run's folder");
    command->callback([&application, &chosen, options, command] {
        options->data.given = given_to(*command);
        options->program = application.name();
        chosen = [&application, options] { return run_train(application.compiled(options->resume), *options); };
    });
}

void add_evaluate(CLI::App &app, Application &application, Command &chosen) {
    CLI::App *command = app.add_subcommand("evaluate", "Print how good weights are on the test images, or on those to validate on");
    const auto options = std::make_shared<EvaluateOptions>();
    application.add_model(*command);
    add_weights(*command, application, options->weights);
    add_data(*command, "--data", options->data);
    command->add_option("--batch", options->batch, "Images at a time")->check(up_to(largest_count))->type_name("N")->capture_default_str();
    command->add_option("--schedule", options->schedule, schedule_help)->type_name("NAME")->capture_default_str();
    command->add_option("--top", options->top, "Count an image as right among its K likeliest classes, too; default: 5 of more classes")
        ->check(up_to(std::numeric_limits<int>::max()))
        ->type_name("K");
    command->add_flag("--json", options->json, "Print one JSON object");
    command->add_flag("--allow-nonfinite", options->allow_nonfinite, nonfinite_help);
    command->callback([&application, &chosen, options, command] {
        options->data.given = given_to(*command);
        choose_weights(application, options->weights);
        chosen = [&application, options] { return run_evaluate(application.compiled(""), *options); };
    });
}

void add_predict(CLI::App &app, Application &application, Command &chosen) {
    CLI::App *command = app.add_subcommand("predict", "Print the class of images");
    const auto options = std::make_shared<PredictOptions>();
    const auto read_records = [options](const std::string &text) {
        options->records = parse_records(text);
        if (!options->records) throw CLI::ValidationError("--records", fmt::format("must be A:B with 0 <= A < B, not {}", text));
    };
    application.add_model(*command);
    add_weights(*command, application, options->weights);
    CLI::Option *images = command->add_option("images", options->images, "Pictures, folders of them, or patterns such as 'photos/*.jpg'")
                              ->check(named())
                              ->type_name("IMAGE");
    CLI::Option *records = command->add_option_function<std::string>("--records", read_records,
                                                                     "Images A to B-1 of those that evaluate takes, instead of files");
    records->type_name("A:B")->excludes(images);
    for (CLI::Option *option : add_data(*command, "--data", options->data)) option->needs(records);
    command->add_option("--top", options->top, "Print the K likeliest classes of each image")
        ->check(up_to(std::numeric_limits<int>::max()))
        ->type_name("K")
        ->capture_default_str();
    const auto print_as = [options](PredictionFormat format) { return [options, format] { options->format = format; }; };
    CLI::Option *json = command->add_flag_callback("--json", print_as(PredictionFormat::json), "Print one JSON object a line");
    command->add_flag_callback("--csv", print_as(PredictionFormat::csv), "Print a table: image,label,class,probability")->excludes(json);
    command->add_flag("--allow-nonfinite", options->allow_nonfinite, nonfinite_help);
    command->callback([&application, &chosen, options, command] {
        options->data.given = given_to(*command);
        choose_weights(application, options->weights);
        if (options->images.empty() && !options->records) throw CLI::RequiredError("IMAGE... or --records A:B");
        chosen = [&application, options] { return run_predict(application.compiled(""), *options); };
    });
}

void add_data_command(CLI::App &app, Application &application, Command &chosen) {
    CLI::App *command = app.add_subcommand("data", "Print what images there are, and how they are as the model takes them");
    const auto options = std::make_shared<DataCommandOptions>();
    application.add_model(*command);
    add_data(*command, "data,--data", options->data);
    command->add_option("--out", options->out, "Write them into this new folder of .npy files, which --data takes")
        ->check(named())
        ->type_name("DIR");
    command->add_flag("--json", options->json, "Print one JSON object");
    command->callback(
        [&application, &chosen, options] { chosen = [&application, options] { return run_data(application.described(), *options); }; });
}

void add_report(CLI::App &app, Command &chosen) {
    CLI::App *command = app.add_subcommand("report", "Write a page with the curves and scores of runs, beside each other");
    const auto options = std::make_shared<ReportOptions>();
    command->add_option("runs", options->runs, "The runs' folders")->check(named())->type_name("RUN")->required();
    command->add_option("-o,--out", options->out, "The page; default: report.html, of one run in its folder")
        ->check(named())
        ->type_name("FILE");
    command->callback([&chosen, options] { chosen = [options] { return run_report(*options); }; });
}

void add_reports(CLI::App &app, Application &application, Command &chosen) {
    const auto json = std::make_shared<bool>(false);
    CLI::App *summary = app.add_subcommand("summary", "Print the network's layers and parameters");
    application.add_model(*summary);
    summary->add_flag("--json", *json, "Print one JSON object");
    summary->callback(
        [&application, &chosen, json] { chosen = [&application, json] { return run_summary(application.described(), *json); }; });

    CLI::App *schedules = app.add_subcommand("schedules", "Print the compiled schedule sets, which of them run here, and their kernels");
    application.add_model(*schedules);
    schedules->add_flag("--json", *json, "Print one JSON object");
    schedules->callback(
        [&application, &chosen, json] { chosen = [&application, json] { return run_schedules(application.described(), *json); }; });
}

/// The program of a model that is linked into it.
class LinkedModel : public Application {
public:
    explicit LinkedModel(const halcyon_model &model) : model_(model) {}

    std::string name() const override { return model_.name; }
    std::string about() const override {
        return fmt::format("Trains and runs the network {}, compiled ahead of time by Halcyon.", model_.name);
    }
    std::string model_name() const override { return model_.name; }
    void add_commands(CLI::App &app, Command &chosen) override {
        CLI::App *command = app.add_subcommand("bench", fmt::format("Run the benchmarks, {}_bench, with its own options", model_.name));
        command->prefix_command();
        command->set_help_flag();  // --help asks the benchmarks
        command->callback([this, &chosen, command] { chosen = [this, command] { return run_bench(model_, command->remaining()); }; });
    }
    const halcyon_model &described() override { return model_; }
    const halcyon_model &compiled(const std::string &) override { return model_; }

private:
    const halcyon_model &model_;
};

/// Reads the command line and does what it asks.
int run(Application &application, int argc, char **argv) {
    CLI::App app(application.about(), application.name());
    app.footer(
        fmt::format("Exits with {} when done, {} when it failed, {} for a bad option, {} when a run was stopped by Ctrl-C, and saved.",
                    int(exit_done), int(exit_failed), int(exit_usage), int(exit_interrupted)));
    Command chosen;
    add_train(app, application, chosen);
    add_evaluate(app, application, chosen);
    add_predict(app, application, chosen);
    add_data_command(app, application, chosen);
    add_report(app, chosen);
    add_reports(app, application, chosen);
    application.add_commands(app, chosen);

    std::signal(SIGPIPE, SIG_IGN);  // a pipe that nobody reads is an error of the output like any other
    try {
        app.parse(argc, argv);
        if (!chosen) throw CLI::RequiredError("a command");
    } catch (const CLI::CallForHelp &) {
        fmt::print("{}", app.help());  // the command's, where one was given
        return exit_done;
    } catch (const CLI::ParseError &error) {
        fmt::print(stderr, "{}: {}; see --help\n", application.name(), printable(error.what()));
        return exit_usage;
    }
    return chosen();
}

}  // namespace

int run_command_line(Application &application, int argc, char **argv) {
    const std::string name = application.name();
    return run_program(name, [&] { return run(application, argc, argv); });
}

int run_command_line(const halcyon_model &model, int argc, char **argv) {
    return run_program(model.name, [&] {
        LinkedModel application(model);
        return run(application, argc, argv);
    });
}

}  // namespace halcyon
