#include "runtime/commands/commands.h"

#include "plan/text.h"
#include "runtime/training/progress.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <utility>

namespace halcyon {

ChosenData::ChosenData(DataRequest request, std::string chosen, std::string program)
    : request_(std::move(request)), chosen_(std::move(chosen)), program_(std::move(program)), source_(open_source(request_)) {}

/// A line to standard error; where nobody takes it, the images are as good.
void ChosenData::say(const std::string &line) const { std::fputs(fmt::format("{}: {}\n", program_, printable(line)).c_str(), stderr); }

Dataset ChosenData::load(Split split) const {
    if (!has(split))
        throw std::runtime_error(fmt::format("{}: there are no {} images; give --data with some", description(), name_of(split)));
    Dataset data;
    const std::size_t known = source_->bad_files().size();
    const auto say_bad_files = [&] {
        const std::vector<BadFile> files = source_->bad_files();
        for (const BadFile &file : std::span(files).subspan(known)) say(fmt::format("{}: {}", file.path, file.reason));
    };
    try {
        DecodingBar bar;
        data = source_->load(split, [&bar](std::size_t done, std::size_t all) { bar.show(done, all); });
    } catch (const std::runtime_error &) {
        say_bad_files();
        throw;
    }
    say_bad_files();
    for (const std::string &note : source_->notes()) say(fmt::format("{}: {}", request_.path.string(), note));
    check_fits(data, request_, request_.path.empty() ? source_->description() : request_.path.string());
    return data;
}

std::string ChosenData::path() const { return absolute_or_empty(request_.path.string()); }

std::string ChosenData::description() const {
    if (request_.path.empty()) return fmt::format("{} ({})", source_->description(), chosen_);
    return fmt::format("{}: {} ({})", request_.path.string(), source_->description(), chosen_);
}

LoadedWeights load_named_weights(const std::string &path, Network &network, NonfiniteWeights nonfinite) {
    LoadedWeights loaded = load_weights(path, network, nonfinite);
    if (!loaded.converted_types.empty()) {
        const std::string note = fmt::format("{}: {}: weights of type {} are converted to float32\n", network.plan().model, printable(path),
                                             fmt::join(loaded.converted_types, ", "));
        std::fputs(note.c_str(), stderr);  // where nobody takes it, the weights are as good
    }
    return loaded;
}

void print_json(const nlohmann::ordered_json &value) {
    fmt::print("{}\n", value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

ChosenData data_at(const DataOptions &options, const std::string &chosen, const Plan &plan, int threads) {
    DataSettings settings = options.settings;
    settings.images = absolute_or_empty(settings.images.string());  // a run is resumed from anywhere
    DataRequest request{settings, options.path, options.cache, threads, plan.in_h, plan.in_w, plan.in_c, plan.classes};
    return {std::move(request), chosen, plan.model};
}

ChosenData choose_data(DataOptions options, const Plan &plan, int threads) {
    if (!options.path.empty()) return data_at(options, "--data", plan, threads);
    const char *folder = std::getenv("CIFAR10_DIR");
    if (!folder || !*folder) return data_at(options, "no --data and no CIFAR10_DIR", plan, threads);
    options.path = folder;
    return data_at(options, "CIFAR10_DIR", plan, threads);
}

std::string absolute_or_empty(const std::string &path) {
    return path.empty() ? "" : std::filesystem::absolute(path).lexically_normal().string();
}

}  // namespace halcyon
