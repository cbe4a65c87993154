#include "compiler/measurements.h"

#include "compiler/naming.h"
#include "plan/files.h"
#include "plan/json.h"

#include <fmt/format.h>

#include <stdexcept>

namespace halcyon {
namespace {

using nlohmann::json;

std::string key(const std::string &set, const std::string &kernel, const std::string &entry, int batch) {
    return fmt::format("{}/{}/{}/{}", set, kernel, entry, batch);
}

Measurements parse(const json &document) {
    const json &machine = document.at("machine");
    Measurements measured;
    measured.cpu = machine.at("cpu");
    measured.threads = machine.at("threads");
    measured.peaks.gflops = machine.at("peak_gflops");
    for (const json &level : machine.at("bandwidths"))
        measured.peaks.bandwidths.push_back({level.at("level"), level.at("bytes"), level.at("gb_per_second")});
    if (measured.peaks.bandwidths.empty()) throw std::invalid_argument("no bandwidths");
    for (const json &row : document.at("kernels")) {
        const std::string kernel = row.at("kernel").get<std::string>() + "__" + row.at("shape").get<std::string>();
        const int batch = row.at("batch").is_null() ? 0 : row.at("batch").get<int>();
        measured.kernels[key(row.at("set"), kernel, row.at("entry"), batch)] = {row.at("tasks"), row.at("ms")};
    }
    return measured;
}

}  // namespace

const MeasuredKernel *Measurements::find(const std::string &set, const Call &call, int batch) const {
    const bool sees_the_batch = call.bytes_per_image > 0;
    const auto found = kernels.find(key(set, kernel_name(call.kernel, call.shape), call.entry, sees_the_batch ? batch : 0));
    return found != kernels.end() ? &found->second : nullptr;
}

Measurements read_measurements(const std::string &file) {
    const json document = parse_json(read_file(file), file);
    try {
        return parse(document);
    } catch (const std::exception &error) {
        throw std::runtime_error(fmt::format("{}: is not what this version's cifar10_bench --json writes: {}", file, error.what()));
    }
}

}  // namespace halcyon
