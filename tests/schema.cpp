#include "tests/schema.h"

#include <algorithm>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>

namespace halcyon {
namespace {

using nlohmann::json;

const json &referred(const std::string &reference, const json &root) { return root.at(json::json_pointer(reference.substr(1))); }

/// Keys of an object that some keyword has looked at.
using Seen = std::set<std::string>;

bool is_of_type(const json &value, const std::string &type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "number") return value.is_number();
    if (type == "integer") return value.is_number_integer();
    throw std::runtime_error("the schema has the type " + type);
}

bool has_all(const json &object, const json &keys) {
    return std::ranges::all_of(keys, [&](const json &key) { return object.contains(key.get<std::string>()); });
}

class Validator {
public:
    explicit Validator(const json &root) : root_(root) {}

    bool allows(const json &schema, const json &value, Seen &seen) const {
        if (schema.is_boolean()) return schema;
        for (const auto &[keyword, argument] : schema.items())
            if (!keyword_allows(keyword, argument, value, seen)) return false;
        // These look at the keys that no other keyword has looked at.
        for (const char *keyword : {"additionalProperties", "unevaluatedProperties"})
            if (schema.contains(keyword) && value.is_object() && !others_allow(schema[keyword], value, seen)) return false;
        return true;
    }

private:
    bool keyword_allows(const std::string &keyword, const json &argument, const json &value, Seen &seen) const {
        if (keyword == "$ref") return allows(referred(argument, root_), value, seen);
        if (keyword == "type") return is_of_type(value, argument);
        if (keyword == "const") return value == argument;
        if (keyword == "enum") return std::ranges::any_of(argument, [&](const json &other) { return value == other; });
        if (keyword == "oneOf") return count_allowing(argument, value, seen) == 1;
        if (keyword == "anyOf") return count_allowing(argument, value, seen) > 0;
        if (keyword == "not") return count_allowing(json::array({argument}), value, seen) == 0;
        if (keyword == "pattern")
            return !value.is_string() || std::regex_search(value.get<std::string>(), std::regex(argument.get<std::string>()));
        if (keyword == "minLength") return !value.is_string() || value.get<std::string>().size() >= argument;
        if (keyword == "maxLength") return !value.is_string() || value.get<std::string>().size() <= argument;
        if (keyword == "minimum") return !value.is_number() || value >= argument;
        if (keyword == "maximum") return !value.is_number() || value <= argument;
        if (keyword == "exclusiveMinimum") return !value.is_number() || value > argument;
        if (keyword == "minItems") return !value.is_array() || value.size() >= argument;
        if (keyword == "maxItems") return !value.is_array() || value.size() <= argument;
        if (keyword == "uniqueItems") return !value.is_array() || std::set<json>(value.begin(), value.end()).size() == value.size();
        if (keyword == "items") return !value.is_array() || count_allowed(argument, value) == value.size();
        if (keyword == "properties") return !value.is_object() || properties_allow(argument, value, seen);
        if (keyword == "required") return !value.is_object() || has_all(value, argument);
        if (keyword == "dependentRequired") {
            for (const auto &[key, others] : argument.items())
                if (value.contains(key) && !has_all(value, others)) return false;
            return true;
        }
        static const std::set<std::string> others = {
            "additionalProperties", "unevaluatedProperties", "$schema", "$defs", "title", "description", "default"};
        if (!others.contains(keyword)) throw std::runtime_error("the schema has the keyword " + keyword);
        return true;
    }

    std::size_t count_allowing(const json &schemas, const json &value, Seen &seen) const {
        std::size_t count = 0;
        for (const json &schema : schemas) {
            Seen by_this;
            if (!allows(schema, value, by_this)) continue;
            seen.merge(by_this);
            ++count;
        }
        return count;
    }

    std::size_t count_allowed(const json &schema, const json &values) const {
        return std::size_t(std::ranges::count_if(values, [&](const json &value) {
            Seen of_value;
            return allows(schema, value, of_value);
        }));
    }

    bool properties_allow(const json &properties, const json &object, Seen &seen) const {
        for (const auto &[key, schema] : properties.items()) {
            if (!object.contains(key)) continue;
            Seen of_value;
            if (!allows(schema, object[key], of_value)) return false;
            seen.insert(key);
        }
        return true;
    }

    bool others_allow(const json &schema, const json &object, Seen &seen) const {
        for (const auto &[key, item] : object.items()) {
            Seen of_value;
            if (!seen.contains(key) && !allows(schema, item, of_value)) return false;
            seen.insert(key);
        }
        return true;
    }

    const json &root_;
};

}  // namespace

bool allows(const json &schema, const json &value, const json &root) {
    Seen seen;
    return Validator(root).allows(schema, value, seen);
}

const json &resolved(const json &schema, const json &root) { return schema.contains("$ref") ? referred(schema["$ref"], root) : schema; }

}  // namespace halcyon
