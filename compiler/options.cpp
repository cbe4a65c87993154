#include "compiler/options.h"

#include "plan/json.h"
#include "plan/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace halcyon {
namespace {

using nlohmann::json;

// Comparing a value with a number or a string would make a value of that, inside a noexcept function: it is read first.
bool is_size(const json &value) {
    const std::uint64_t size = value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
    return size >= 1 && size <= largest_size;
}

bool is_margin(const json &value) { return is_size(value) || (value.is_number_unsigned() && value.get<std::uint64_t>() == 0); }

bool are_margins(const json &value, std::size_t count) {
    return value.is_array() && value.size() == count && std::ranges::all_of(value, is_margin);
}

bool is_between(const json &value, double low, double high) {
    const double number = value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
    return number >= low && number <= high;
}

const json &no_options() {
    static const json none = json::object();
    return none;
}

[[noreturn]] void must_be(const char *key, const std::string &expected, const json &value) {
    throw std::invalid_argument(fmt::format("\"{}\" must be {}, not {}", key, expected, short_json(value)));
}

}  // namespace

Options::Options(const json &value, std::string what) : json_(value), what_(std::move(what)) {
    if (!value.is_object()) throw std::invalid_argument(fmt::format("{} must be an object", what_));
}

bool Options::has(const char *key) {
    if (std::ranges::find(known_, key) == known_.end()) known_.push_back(key);
    return json_.contains(key);
}

const json &Options::get(const char *key) {
    if (!has(key)) throw std::invalid_argument(fmt::format("{} needs \"{}\"", what_, key));
    return json_[key];
}

int Options::size(const char *key) {
    const json &value = get(key);
    if (!is_size(value)) must_be(key, fmt::format("a whole number from 1 to {}", largest_size), value);
    return value;
}

int Options::size(const char *key, int otherwise) { return has(key) ? size(key) : otherwise; }

std::array<int, 2> Options::sizes(const char *key) {
    const json &value = get(key);
    if (is_size(value)) return {value, value};
    if (!value.is_array() || value.size() != 2 || !is_size(value[0]) || !is_size(value[1]))
        must_be(key, fmt::format("a whole number from 1 to {}, or [rows, columns]", largest_size), value);
    return {value[0], value[1]};
}

std::array<int, 2> Options::sizes(const char *key, std::array<int, 2> otherwise) { return has(key) ? sizes(key) : otherwise; }

std::array<int, 4> Options::margins(const char *key) {
    const json &value = get(key);
    if (!are_margins(value, 4))
        must_be(key, fmt::format("[top, bottom, left, right], each a whole number from 0 to {}", largest_size), value);
    return {value[0], value[1], value[2], value[3]};
}

std::array<int, 4> Options::margins_of_axes(const char *key, std::array<int, 4> otherwise) {
    if (!has(key)) return otherwise;
    const json &value = get(key);
    if (is_margin(value)) return {value, value, value, value};
    if (are_margins(value, 2)) return {value[0], value[0], value[1], value[1]};
    const bool by_sides = value.is_array() && value.size() == 2 && are_margins(value[0], 2) && are_margins(value[1], 2);
    if (!by_sides)
        must_be(key, fmt::format("a whole number from 0 to {}, [rows, columns] or [[top, bottom], [left, right]]", largest_size), value);
    return {value[0][0], value[0][1], value[1][0], value[1][1]};
}

std::array<int, 3> Options::shape(const char *key) {
    const json &value = get(key);
    if (!value.is_array() || value.size() != 3 || !std::ranges::all_of(value, is_size))
        must_be(key, fmt::format("[rows, columns, channels], each a whole number from 1 to {}", largest_size), value);
    return {value[0], value[1], value[2]};
}

std::vector<int> Options::target_shape(const char *key) {
    const json &value = get(key);
    const auto is_rest = [](const json &item) { return item.is_number_integer() && item.get<std::int64_t>() == -1; };
    const bool good = value.is_array() && (value.size() == 1 || value.size() == 3) && std::ranges::count_if(value, is_rest) <= 1 &&
                      std::ranges::all_of(value, [&](const json &item) { return is_size(item) || is_rest(item); });
    if (!good) must_be(key, "[features] or [rows, columns, channels], of which one may be -1", value);
    return value;
}

std::vector<int> Options::axes(const char *key, int first, int last, std::vector<int> otherwise) {
    if (!has(key)) return otherwise;
    const json &value = get(key);
    const json list = value.is_array() ? value : json::array({value});
    const auto is_axis = [&](const json &item) { return item.is_number_integer() && is_between(item, first, last); };
    const bool good = !list.empty() && std::ranges::all_of(list, is_axis);
    std::vector<int> axes;
    if (good) axes = list.get<std::vector<int>>();
    std::ranges::sort(axes);
    if (!good || std::ranges::adjacent_find(axes) != axes.end())
        must_be(key, fmt::format("an axis from {} to {}, or a list of such, each once", first, last), value);
    return axes;
}

double Options::number(const char *key, double low, double high) {
    const json &value = get(key);
    if (!is_between(value, low, high)) must_be(key, fmt::format("a number from {:g} to {:g}", low, high), value);
    return value;
}

double Options::number(const char *key, double otherwise, double low, double high) { return has(key) ? number(key, low, high) : otherwise; }

double Options::number(const char *key, double otherwise, bool (*accepts)(double), const char *range) {
    if (!has(key)) return otherwise;
    const json &value = get(key);
    if (!value.is_number() || !accepts(value.get<double>())) must_be(key, range, value);
    return value;
}

std::vector<double> Options::numbers(const char *key, double low, double high) {
    const json &value = get(key);
    const json list = value.is_array() ? value : json::array({value});
    const bool good = std::ranges::all_of(list, [&](const json &item) { return is_between(item, low, high); });
    if (!good || list.empty()) must_be(key, fmt::format("a number from {:g} to {:g}, or a list of such", low, high), value);
    return list;
}

std::string Options::text(const char *key) {
    const json &value = get(key);
    if (!value.is_string()) must_be(key, "a string", value);
    return value;
}

std::vector<std::string> Options::texts(const char *key) {
    const json &value = get(key);
    const bool strings = value.is_array() && std::ranges::all_of(value, [](const json &item) { return item.is_string(); });
    if (!strings || value.empty()) must_be(key, "a list of strings", value);
    return value;
}

std::string Options::choice(const char *key, const std::vector<std::string> &choices, const std::string &otherwise) {
    if (!has(key)) return otherwise;
    const json &value = get(key);
    if (!value.is_string() || std::ranges::find(choices, value.get<std::string>()) == choices.end())
        must_be(key, fmt::format("\"{}\"", fmt::join(choices, "\" or \"")), value);
    return value;
}

bool Options::flag(const char *key, bool otherwise) {
    if (!has(key)) return otherwise;
    const json &value = get(key);
    if (!value.is_boolean()) must_be(key, "true or false", value);
    return value.get<bool>();
}

const json &Options::array(const char *key) {
    const json &value = get(key);
    if (!value.is_array() || value.empty()) must_be(key, "a list with something in it", value);
    return value;
}

const json &Options::object(const char *key) {
    const json &value = get(key);
    if (!value.is_object()) must_be(key, "an object", value);
    return value;
}

bool Options::holds_object(const char *key) { return has(key) && json_[key].is_object(); }

bool Options::holds_array(const char *key) { return has(key) && json_[key].is_array(); }

void Options::finish() const {
    for (const auto &[key, value] : json_.items())
        if (std::ranges::find(known_, key) == known_.end())
            throw std::invalid_argument(fmt::format("unknown key \"{}\"; {} has {}", shortened(key, 100), what_, fmt::join(known_, ", ")));
}

NamedOptions::NamedOptions(Options &options, const char *key, const std::vector<std::string> &names, const std::string &otherwise)
    : own(options.holds_object(key) ? options.object(key) : no_options(), key) {
    if (options.holds_object(key)) own.text("type");  // it must be there
    name = options.holds_object(key) ? own.choice("type", names, otherwise) : options.choice(key, names, otherwise);
}

}  // namespace halcyon
