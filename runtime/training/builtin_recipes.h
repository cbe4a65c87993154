// The recipes shipped in models/recipes, built in by runtime/training/recipes.cmake.
#pragma once

#include <map>
#include <string>

namespace halcyon {

/// The JSON text of every shipped recipe under its name.
const std::map<std::string, std::string> &builtin_recipes();

}  // namespace halcyon
