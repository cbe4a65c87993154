// What a page says of the things that a model file or a recipe names, and how it is held to their reader and their schema. A table with a
// column "example" has a thing in each row; the table behind it has their keys, and says of which things they are. A table of keys that
// says of none has those of the whole section.
#pragma once

#include <nlohmann/json.hpp>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace halcyon {

/// What a page says of a key. One that need not be there and has no standard has one that JSON cannot say.
struct PageKey {
    bool is_required = false;
    std::optional<nlohmann::json> standard = {};
    std::string standard_of = {};  // the key that gives it its standard; "": none
};

using Keys = std::map<std::string, PageKey>;

struct Thing {
    std::string name;
    std::string member;      // what it is the value of, "kernel_initializer"; "": it stands alone
    nlohmann::json example;  // of those in its row
    Keys keys;
};

struct PageSection {
    std::vector<Thing> things;
    Keys keys;

    std::set<std::string> names() const;
    /// Those of the section too.
    Keys keys_of(const Thing &thing) const;
};

/// What stands in the tables below a heading, in the parts of its section too. Throws std::runtime_error where it is not as above.
PageSection read_section(const std::string &page, const std::string &heading);

/// The blocks of JSON of a page.
std::vector<std::string> json_blocks(const std::string &page);

/// The names or keys that a reader's message lists.
std::set<std::string> listed(const std::string &message);

/// What a reader makes of an object, in a form that equals that of an equal object. Throws a line that says what is wrong.
using Read = std::function<std::string(const nlohmann::json &)>;

/// The example of an object can be read. So can what is left of it without the keys that have a standard, and with `also`: there keys that
/// are required cannot be left out, those with a standard make no difference when they are given it, and the reader has no others.
void check_reader(const Keys &keys, const nlohmann::json &example, const Read &read, const nlohmann::json &also = nlohmann::json::object());

/// The message that `read` throws; "" where it throws none.
std::string refusal(const Read &read, const nlohmann::json &object);

/// The object's schema has the keys, requires the same and has the same standards. `root`: the schema that it is part of.
void check_schema(const Keys &keys, const nlohmann::json &object, const nlohmann::json &root);

/// Of objects that are told apart by the name that `key` has, the schema of one. Throws std::runtime_error where there is none.
const nlohmann::json &alternative(const nlohmann::json &alternatives, const std::string &key, const std::string &name,
                                  const nlohmann::json &root);

}  // namespace halcyon
