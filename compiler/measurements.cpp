#include "compiler/measurements.h"

#include "plan/errors.h"
#include "plan/files.h"
#include "plan/json.h"

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <new>
#include <stdexcept>

namespace halcyon {
namespace {

using nlohmann::json;

std::string key(const std::string &set, const std::string &kernel, const std::string &entry, int batch) {
    return fmt::format("{}/{}/{}/{}", set, kernel, entry, batch);
}

[[noreturn]] void must_be(const char *expected, const json &value) {
    throw std::invalid_argument(fmt::format("{} must be {}", short_json(value), expected));
}

std::int64_t whole(const json &value, std::int64_t most) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::uint64_t(most)) must_be("a whole number", value);
    return value.get<std::int64_t>();
}

int small(const json &value) { return int(whole(value, std::numeric_limits<int>::max())); }

double positive(const json &value) {
    if (!value.is_number() || !(value.get<double>() > 0)) must_be("a number above 0", value);
    return value.get<double>();
}

std::vector<int> tasks(const json &value) {
    std::vector<int> tasks;
    for (const json &item : value) tasks.push_back(small(item));
    return tasks;
}

Bandwidth bandwidth(const json &level) {
    return {level.at("level"), whole(level.at("bytes"), std::numeric_limits<std::int64_t>::max()), positive(level.at("gb_per_second"))};
}

Measurements parse(const json &document) {
    const json &machine = document.at("machine");
    Measurements measured;
    measured.cpu = machine.at("cpu");
    measured.threads = small(machine.at("threads"));
    measured.peaks.gflops = positive(machine.at("peak_gflops"));
    for (const json &level : machine.at("bandwidths")) measured.peaks.bandwidths.push_back(bandwidth(level));
    if (measured.peaks.bandwidths.empty()) throw std::invalid_argument("no bandwidths");
    for (const json &row : document.at("kernels")) {
        const std::string kernel = row.at("kernel").get<std::string>() + "__" + row.at("shape").get<std::string>();
        const int batch = row.at("batch").is_null() ? 0 : small(row.at("batch"));
        measured.kernels[key(row.at("set"), kernel, row.at("entry"), batch)] = {tasks(row.at("tasks")), positive(row.at("ms"))};
    }
    return measured;
}

}  // namespace

const MeasuredKernel *Measurements::find(const std::string &set, const Call &call, int batch) const {
    const bool sees_the_batch = call.bytes_per_image > 0;
    const auto found = kernels.find(key(set, kernel_name(call.kernel), call.entry, sees_the_batch ? batch : 0));
    return found != kernels.end() ? &found->second : nullptr;
}

Measurements read_measurements(const std::string &file) {
    const json document = parse_json(read_file(file), file);
    try {
        return parse(document);
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception &error) {
        throw std::runtime_error(fmt::format("{}: is not what this version's cifar10_bench --json writes: {}", file, message_of(error)));
    }
}

}  // namespace halcyon
