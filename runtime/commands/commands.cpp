#include "runtime/commands/commands.h"

#include "plan/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace halcyon {

ChosenData::ChosenData(DataRequest request, std::string chosen)
    : request_(std::move(request)), chosen_(std::move(chosen)), source_(open_source(request_)) {}

Dataset ChosenData::load(Split split) const {
    Dataset data = source_->load(split, [](std::size_t, std::size_t) {});
    check_fits(data, request_, request_.path.empty() ? source_->description() : request_.path.string());
    return data;
}

std::string ChosenData::path() const { return absolute_or_empty(request_.path.string()); }

std::string ChosenData::description() const {
    if (request_.path.empty()) return fmt::format("{} ({})", source_->description(), chosen_);
    return fmt::format("{}: {} ({})", request_.path.string(), source_->description(), chosen_);
}

std::vector<std::string> load_named_weights(const std::string &path, Network &network, NonfiniteWeights nonfinite) {
    const LoadedWeights loaded = load_weights(path, network, nonfinite);
    if (!loaded.converted_types.empty()) {
        const std::string note = fmt::format("{}: {}: weights of type {} are converted to float32\n", network.plan().model, printable(path),
                                             fmt::join(loaded.converted_types, ", "));
        std::fputs(note.c_str(), stderr);  // where nobody takes it, the weights are as good
    }
    return loaded.class_names;
}

void print_json(const nlohmann::ordered_json &value) {
    fmt::print("{}\n", value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

ChosenData data_at(const std::string &path, const std::string &chosen, const Plan &plan) {
    DataRequest request;
    request.path = path;
    request.h = plan.in_h, request.w = plan.in_w, request.c = plan.in_c, request.classes = plan.classes;
    return {std::move(request), chosen};
}

ChosenData choose_data(const std::string &data_option, const Plan &plan) {
    if (!data_option.empty()) return data_at(data_option, "--data", plan);
    const char *folder = std::getenv("CIFAR10_DIR");
    if (folder && *folder) return data_at(folder, "CIFAR10_DIR", plan);
    return data_at("", "no --data and no CIFAR10_DIR", plan);
}

std::string absolute_or_empty(const std::string &path) {
    return path.empty() ? "" : std::filesystem::absolute(path).lexically_normal().string();
}

}  // namespace halcyon
