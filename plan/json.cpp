#include "plan/json.h"

#include "plan/errors.h"
#include "plan/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <vector>

namespace halcyon {
namespace {

using nlohmann::json;

/// Looks over the text before a value is made of it, for what the parser takes without a word: of two equal keys it keeps the last, and it
/// nests values as deep as the text does, which printing one would follow by recursion. The parser's own callback would do, but after every
/// value of a list it goes through the whole list again.
class Guard {
public:
    using number_integer_t = json::number_integer_t;
    using number_unsigned_t = json::number_unsigned_t;
    using number_float_t = json::number_float_t;
    using string_t = json::string_t;
    using binary_t = json::binary_t;

    explicit Guard(const std::string &file) : file_(file) {}

    bool start_object(std::size_t) {
        keys_.emplace_back();
        return deeper();
    }
    bool end_object() {
        keys_.pop_back();
        --depth_;
        return true;
    }
    bool start_array(std::size_t) { return deeper(); }
    bool end_array() {
        --depth_;
        return true;
    }
    bool key(string_t &key) {
        if (!keys_.back().insert(key).second) fail(fmt::format("the key {} stands twice in one object", short_json(key)));
        return true;
    }

    bool null() { return true; }
    bool boolean(bool) { return true; }
    bool number_integer(number_integer_t) { return true; }
    bool number_unsigned(number_unsigned_t) { return true; }
    bool number_float(number_float_t, const string_t &) { return true; }
    bool string(string_t &) { return true; }
    bool binary(binary_t &) { return true; }

    /// The parser says it again, and better.
    bool parse_error(std::size_t, const std::string &, const json::exception &) { return false; }

private:
    bool deeper() {
        constexpr int deepest = 64;
        if (++depth_ > deepest) fail(fmt::format("its values are nested more than {} deep", deepest));
        return true;
    }
    [[noreturn]] void fail(const std::string &reason) const { fail_for(file_, reason); }

    const std::string &file_;
    int depth_ = 0;
    std::vector<std::set<std::string>> keys_;  // of the open objects
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
        Guard guard(file);
        json::sax_parse(text, &guard);
        return json::parse(text);
    } catch (const json::parse_error &error) {
        // The last byte read, from 1, is the first wrong one.
        fail_at(text, error.byte > 0 ? error.byte - 1 : 0, file, reason_of(error));
    } catch (const json::out_of_range &error) {
        fail_for(file, reason_of(error));
    }
}

std::string short_json(const json &value) { return shortened(value.dump(-1, ' ', true, json::error_handler_t::replace), 100); }

}  // namespace halcyon
