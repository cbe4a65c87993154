#include "runtime/commands/commands.h"

#include "plan/text.h"
#include "runtime/data/synthetic.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace halcyon {

Dataset DataSource::load(Split split, const Plan &plan) const {
    Dataset data = folder.empty() ? make_synthetic(split) : load_cifar10(folder, split);
    if (data.h != plan.in_h || data.w != plan.in_w || data.c != plan.in_c || data.classes != plan.classes)
        throw std::runtime_error(
            fmt::format("{}: images of {}x{}x{} in {} classes, but the model {} takes {}x{}x{} in {}; give other --data",
                        folder.empty() ? "synthetic set" : folder, data.h, data.w, data.c, data.classes, plan.model, plan.in_h, plan.in_w,
                        plan.in_c, plan.classes));
    return data;
}

std::string DataSource::description() const { return fmt::format("{} ({})", folder.empty() ? "synthetic" : folder, chosen); }

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

DataSource choose_data(const std::string &data_option) {
    if (!data_option.empty()) return {data_option, "--data"};
    const char *folder = std::getenv("CIFAR10_DIR");
    if (folder && *folder) return {folder, "CIFAR10_DIR"};
    return {"", "no --data and no CIFAR10_DIR"};
}

}  // namespace halcyon
