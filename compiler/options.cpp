#include "compiler/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>

namespace halcyon {
namespace {

using nlohmann::json;

bool is_size(const json &value) { return value.is_number_integer() && value >= 1 && value <= largest_size; }

[[noreturn]] void must_be(const char *key, const std::string &expected, const json &value) {
    throw std::invalid_argument(
        fmt::format("\"{}\" must be {}, not {}", key, expected, value.dump(-1, ' ', false, json::error_handler_t::replace)));
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

std::array<int, 2> Options::sizes(const char *key) {
    const json &value = get(key);
    if (is_size(value)) return {value, value};
    if (!value.is_array() || value.size() != 2 || !is_size(value[0]) || !is_size(value[1]))
        must_be(key, fmt::format("a whole number from 1 to {}, or [rows, columns]", largest_size), value);
    return {value[0], value[1]};
}

std::array<int, 2> Options::sizes(const char *key, std::array<int, 2> otherwise) { return has(key) ? sizes(key) : otherwise; }

float Options::number(const char *key, float otherwise, float low, float high) {
    if (!has(key)) return otherwise;
    const json &value = get(key);
    if (!value.is_number() || value < low || value > high) must_be(key, fmt::format("a number from {} to {}", low, high), value);
    return value;
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

void Options::finish() const {
    for (const auto &[key, value] : json_.items())
        if (std::ranges::find(known_, key) == known_.end())
            throw std::invalid_argument(fmt::format("unknown key \"{}\"; {} has {}", key, what_, fmt::join(known_, ", ")));
}

json parse_json(std::string_view text, const std::string &file) {
    // nlohmann-json keeps the last of two equal keys without a word, so the open objects' keys are kept here.
    std::vector<std::set<std::string>> open_objects;
    const auto refuse_duplicates = [&](int, json::parse_event_t event, json &parsed) {
        if (event == json::parse_event_t::object_start) open_objects.emplace_back();
        if (event == json::parse_event_t::object_end) open_objects.pop_back();
        if (event == json::parse_event_t::key && !open_objects.back().insert(parsed).second)
            throw std::runtime_error(fmt::format("{}: the key {} stands twice in one object", file, parsed.dump()));
        return true;
    };
    try {
        return json::parse(text, refuse_duplicates);
    } catch (const json::parse_error &error) {
        // The last byte read, from 1, is the first wrong one.
        const std::size_t before = std::min(error.byte > 0 ? error.byte - 1 : 0, text.size());
        const auto line = 1 + std::ranges::count(text.substr(0, before), '\n');
        // nlohmann's text is "[json.exception...] parse error at line L, column C: reason", and its column is off behind a line's end.
        const std::string message = error.what();
        const std::size_t reason = message.find("syntax error");
        throw std::runtime_error(fmt::format("{}:{}: {}", file, line, reason == std::string::npos ? message : message.substr(reason)));
    }
}

std::string read_file(const std::string &path) {
    // A folder opens well, and reads as an empty file.
    if (std::filesystem::is_directory(path)) throw std::runtime_error(fmt::format("{}: is a folder, not a file", path));
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!file) throw std::runtime_error(fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
    return text;
}

}  // namespace halcyon
