#include "runtime/commands/commands.h"

#include "plan/errors.h"
#include "plan/text.h"
#include "runtime/training/progress.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <utility>

namespace halcyon {

ChosenData::ChosenData(DataRequest request, std::string chosen, std::string program)
    : request_(std::move(request)), chosen_(std::move(chosen)), program_(std::move(program)), source_(open_source(request_)) {
    const PictureOptions made = source_->pictures().value_or(request_.pictures);
    if (made != request_.pictures && request_.pictures != PictureOptions())
        fail_for(request_.path,
                 fmt::format("its images were made of pictures with {}, and not with {}; give others, or leave these options out",
                             to_json(made), to_json(request_.pictures)));
    request_.pictures = made;
}

/// A line to standard error; where nobody takes it, the images are as good.
void ChosenData::say(const std::string &line) const { std::fputs(fmt::format("{}: {}\n", program_, printable(line)).c_str(), stderr); }

Split ChosenData::split_to_evaluate() const {
    for (const Split split : {Split::test, Split::validation})
        if (has(split)) return split;
    fail_for(description(), "there are no images to test or to validate on; give --data with some");
}

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
        CountingBar bar("decoding", "pictures");
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

void note_converted(const std::string &path, const LoadedWeights &loaded, const Plan &plan) {
    if (loaded.converted_types.empty()) return;
    const std::string note = fmt::format("{}: {}: weights of type {} are converted to float32\n", plan.model, printable(path),
                                         fmt::join(loaded.converted_types, ", "));
    std::fputs(note.c_str(), stderr);  // where nobody takes it, the weights are as good
}

LoadedWeights load_named_weights(const std::string &path, Network &network, NonfiniteWeights nonfinite) {
    LoadedWeights loaded = load_weights(path, network, nonfinite);
    note_converted(path, loaded, network.plan());
    return loaded;
}

void require_top(int top, const Plan &plan) {
    if (plan.classes == 0 && top > 1)
        throw std::runtime_error(fmt::format("--top {}: the model {} has {} targets and no classes", top, plan.model, plan.targets));
    if (plan.classes > 0 && top > plan.classes)
        throw std::runtime_error(fmt::format("--top {}: the model {} has {} classes", top, plan.model, plan.classes));
}

void print_json(const nlohmann::ordered_json &value) {
    fmt::print("{}\n", value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

ChosenData data_at(const DataOptions &options, const std::string &chosen, const Plan &plan, int threads) {
    DataSettings settings = options.settings;
    settings.images = absolute_or_empty(settings.images.string());  // a run is resumed from anywhere
    DataRequest request{settings,
                        options.path,
                        options.cache,
                        threads,
                        plan.in_h,
                        plan.in_w,
                        plan.in_c,
                        options.any_classes ? 0 : plan.classes,
                        plan.targets,
                        plan.has_unit_labels(),
                        plan.has_class_shares()};
    return {std::move(request), chosen, plan.model};
}

ChosenData choose_data(DataOptions options, const Plan &plan, int threads) {
    if (!options.path.empty()) return data_at(options, "--data", plan, threads);
    const char *folder = std::getenv("CIFAR10_DIR");
    if (!folder || !*folder) return data_at(options, "no --data and no CIFAR10_DIR", plan, threads);
    options.path = folder;
    return data_at(options, "CIFAR10_DIR", plan, threads);
}

ChosenData choose_data(DataOptions options, const Plan &plan, int threads, const TrainingImages &trained_on) {
    const bool says_how = std::ranges::any_of(options.given, [](const std::string &option) {
        return option == "--resize" || option == "--fit" || option == "--alpha" || option == "--apply-exif";
    });
    if (!says_how && trained_on.pictures) options.settings.pictures = *trained_on.pictures;
    return choose_data(std::move(options), plan, threads);
}

void require_same_type(const TrainingImages &trained_on, bool floats, const std::string &images, const std::string &weights) {
    if (trained_on.floats.value_or(floats) == floats) return;
    const auto type = [](bool are_floats) { return are_floats ? "floats" : "bytes"; };
    fail_for(images,
             fmt::format("images of {}, but the weights in {} were trained on {}; give images of the type that they were trained on",
                         type(floats), weights, type(!floats)));
}

std::string absolute_or_empty(const std::string &path) {
    return path.empty() ? "" : std::filesystem::absolute(path).lexically_normal().string();
}

}  // namespace halcyon
