// The operands of a call: values, each under the name that the kernel list has for the argument.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

struct Operand {
    std::string name;
    int value;

    bool operator==(const Operand &) const = default;
};

class Operands {
public:
    Operands() = default;

    /// Throws std::logic_error where a name has two values.
    Operands(std::initializer_list<Operand> operands);

    /// The value of that name. Throws std::logic_error where there is none.
    int operator[](std::string_view name) const;
    int operator[](int place) const = delete;  // else 0 would pass as a name

    bool contains(std::string_view name) const;

    /// Whether `value` is there, under any name.
    bool holds(int value) const;

    /// Adds the operand. Throws std::logic_error where the name has another value.
    void insert(std::string_view name, int value);

    /// Gives the name another value. Throws std::logic_error where it has none.
    void replace(std::string_view name, int value);

    auto begin() const { return operands_.begin(); }
    auto end() const { return operands_.end(); }

    /// The same values under the same names, in whatever order they came.
    bool operator==(const Operands &other) const;

private:
    std::vector<Operand> operands_;
};

}  // namespace halcyon
