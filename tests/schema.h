// JSON schemas, of whose keywords (draft 2020-12) those that ours use.
#pragma once

#include <nlohmann/json.hpp>

namespace halcyon {

/// Whether a value is what a schema allows. `root`: the schema that it is part of, which references lead into. Throws std::runtime_error
/// for a keyword that is not known here.
bool allows(const nlohmann::json &schema, const nlohmann::json &value, const nlohmann::json &root);

/// The schema itself, or what it refers to.
const nlohmann::json &resolved(const nlohmann::json &schema, const nlohmann::json &root);

}  // namespace halcyon
