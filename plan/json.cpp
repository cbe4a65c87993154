#include "plan/json.h"

#include "plan/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <vector>

namespace halcyon {
namespace {

using nlohmann::json;

/// What the parser alone takes: it keeps the last of two equal keys without a word, and any nesting, which printing a value would follow by
/// recursion.
class Guard {
public:
    explicit Guard(const std::string &file) : file_(file) {}

    bool operator()(int depth, json::parse_event_t event, json &parsed) {
        constexpr int deepest = 64;
        if (depth >= deepest) fail(fmt::format("its values are nested more than {} deep", deepest));
        if (event == json::parse_event_t::object_start) open_objects_.emplace_back();
        if (event == json::parse_event_t::object_end) open_objects_.pop_back();
        if (event == json::parse_event_t::key && !open_objects_.back().insert(parsed.get<std::string>()).second)
            fail(fmt::format("the key {} stands twice in one object", short_json(parsed)));
        return true;
    }

private:
    [[noreturn]] void fail(const std::string &reason) const { throw std::runtime_error(fmt::format("{}: {}", file_, reason)); }

    const std::string &file_;
    std::vector<std::set<std::string>> open_objects_;
};

[[noreturn]] void fail_at(std::string_view text, std::size_t byte, const std::string &file, const std::string &reason) {
    const auto line = 1 + std::ranges::count(text.substr(0, std::min(byte, text.size())), '\n');
    throw std::runtime_error(fmt::format("{}:{}: {}", file, line, reason));
}

/// nlohmann's text is "[json.exception...] parse error at line L, column C: reason", and its column is off behind a line's end.
std::string reason_of(const json::exception &error) {
    const std::string message = error.what();
    const std::size_t reason = message.find("syntax error");
    return reason == std::string::npos ? message.substr(message.find("] ") + 2) : message.substr(reason);
}

}  // namespace

json parse_json(std::string_view text, const std::string &file) {
    // The parser takes a zero byte for the end.
    if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) fail_at(text, zero, file, "there is a zero byte");
    try {
        return json::parse(text, Guard(file));
    } catch (const json::parse_error &error) {
        // The last byte read, from 1, is the first wrong one.
        fail_at(text, error.byte > 0 ? error.byte - 1 : 0, file, reason_of(error));
    } catch (const json::out_of_range &error) {
        throw std::runtime_error(fmt::format("{}: {}", file, reason_of(error)));
    }
}

std::string short_json(const json &value) { return shortened(value.dump(-1, ' ', true, json::error_handler_t::replace), 100); }

}  // namespace halcyon
