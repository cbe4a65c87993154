// JSON from outside, read with suspicion.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace halcyon {

/// Parses `text`. Throws std::runtime_error "<file>:<line>: what is wrong" for bad syntax (text that is no UTF-8 and a zero byte among it),
/// and "<file>: what is wrong" for a key that stands twice in one object, a number that no double holds, and values nested more than 64
/// deep.
nlohmann::json parse_json(std::string_view text, const std::string &file);

/// A value for a message: its JSON, in ASCII, at most some 100 characters of it.
std::string short_json(const nlohmann::json &value);

}  // namespace halcyon
