// What a program says.
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <string_view>

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// The message of what `action` throws; "" where it throws nothing.
inline std::string failure_of(const std::function<void()> &action) {
    try {
        action();
    } catch (const std::exception &error) {
        return error.what();
    }
    return "";
}
