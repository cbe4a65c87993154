#include "compiler/operands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

namespace halcyon {
namespace {

auto find(auto &operands, std::string_view name) { return std::ranges::find(operands, name, &Operand::name); }

/// The operand of that name, as const as `operands`.
auto &require(auto &operands, std::string_view name) {
    const auto found = find(operands, name);
    if (found != operands.end()) return *found;
    std::vector<std::string> there_are;
    for (const Operand &operand : operands) there_are.push_back(operand.name);
    throw std::logic_error(fmt::format("there is no operand \"{}\"; there are {}", name, fmt::join(there_are, ", ")));
}

}  // namespace

Operands::Operands(std::initializer_list<Operand> operands) {
    for (const auto &[name, value] : operands) insert(name, value);
}

int Operands::operator[](std::string_view name) const { return require(operands_, name).value; }

bool Operands::contains(std::string_view name) const { return find(operands_, name) != operands_.end(); }

bool Operands::holds(int value) const { return std::ranges::find(operands_, value, &Operand::value) != operands_.end(); }

void Operands::insert(std::string_view name, int value) {
    const auto known = find(operands_, name);
    if (known == operands_.end())
        operands_.push_back({std::string(name), value});
    else if (known->value != value)
        throw std::logic_error(fmt::format("the operand \"{}\" cannot be the values {} and {}", name, known->value, value));
}

void Operands::replace(std::string_view name, int value) { require(operands_, name).value = value; }

bool Operands::operator==(const Operands &other) const { return std::ranges::is_permutation(operands_, other.operands_); }

}  // namespace halcyon
