#include "runtime/training/section.h"

#include "plan/json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <utility>

namespace halcyon {

using nlohmann::json;

Section::Section(const json &values, std::string prefix, const std::string &where)
    : values_(values), prefix_(std::move(prefix)), where_(where) {
    if (!values.is_object()) throw std::runtime_error(fmt::format("{}: {} must be an object", where_, prefix_.empty() ? "it" : prefix_));
}

const json *Section::find(const char *key) {
    known_.insert(key);
    const auto found = values_.find(key);
    return found == values_.end() ? nullptr : &*found;
}

void Section::text(const char *key, std::string &value) {
    const json *given = find(key);
    if (!given) return;
    if (!given->is_string()) fail(key, "must be a text, not " + short_json(*given));
    value = *given;
}

void Section::flag(const char *key, bool &value) {
    const json *given = find(key);
    if (!given) return;
    if (!given->is_boolean()) fail(key, "must be true or false, not " + short_json(*given));
    value = *given;
}

void Section::choice(const char *key, std::string &value, const std::vector<std::string> &choices) {
    const json *given = find(key);
    for (const std::string &known : choices) {
        if (given && *given == known) value = known;
    }
    if (given && *given == value) return;
    fail(key, fmt::format("must be {}, {}", fmt::join(choices, " or "), given ? "not " + short_json(*given) : "and is missing"));
}

void Section::number(const char *key, double &value, bool (*accepts)(double), const char *range) {
    if (const json *given = find(key)) value = checked(*given, key, accepts, range);
}

double Section::checked(const json &given, const char *key, bool (*accepts)(double), const char *range) const {
    if (!given.is_number() || !accepts(given.get<double>())) fail(key, fmt::format("must be {}, not {}", range, short_json(given)));
    return given;
}

std::uint64_t Section::checked_count(const json &given, const char *key, std::uint64_t lowest, std::uint64_t highest) const {
    const auto value = given.is_number_unsigned() ? given.get<std::uint64_t>() : 0;
    if (!given.is_number_unsigned() || value < lowest || value > highest)
        fail(key, fmt::format("must be a whole number from {} to {}, not {}", lowest, highest, short_json(given)));
    return value;
}

void Section::refuse_unknown() const {
    for (const auto &[key, value] : values_.items())
        if (!known_.contains(key)) fail(key, fmt::format("is no key here; known are {}", fmt::join(known_, ", ")));
}

void Section::fail(const std::string &key, const std::string &reason) const {
    throw std::runtime_error(fmt::format("{}: {}{}{} {}", where_, prefix_, prefix_.empty() ? "" : ".", key, reason));
}

}  // namespace halcyon
