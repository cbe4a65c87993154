#include "tests/pages.h"

#include "tests/catch.h"
#include "tests/schema.h"

#include <algorithm>
#include <iterator>
#include <regex>
#include <sstream>
#include <stdexcept>

namespace halcyon {
namespace {

using nlohmann::json;

using Cells = std::vector<std::string>;

std::vector<std::string> matches(const std::string &text, const std::regex &pattern, int group) {
    return {std::sregex_token_iterator(text.begin(), text.end(), pattern, group), {}};
}

Cells cells_of(const std::string &line) {
    static const std::regex cell(R"(\| *((?:[^|\\]|\\.)*?) *(?=\|))");
    return matches(line, cell, 1);
}

std::vector<std::string> code_of(const std::string &cell) {
    static const std::regex code("`([^`]*)`");
    return matches(cell, code, 1);
}

/// A table by the names of its columns.
class Table {
public:
    explicit Table(Cells columns) : columns_(std::move(columns)) {}

    bool has(const std::string &column) const { return std::ranges::find(columns_, column) != columns_.end(); }

    /// "" where there is no such column.
    std::string cell(const Cells &row, const std::string &column) const {
        const auto place = std::size_t(std::ranges::find(columns_, column) - columns_.begin());
        return place < row.size() ? row[place] : "";
    }

private:
    Cells columns_;
};

/// The lines below a heading, up to the next one that is not below it.
std::vector<std::string> lines_below(const std::string &page, const std::string &heading) {
    std::istringstream text(page);
    std::vector<std::string> lines;
    std::size_t level = 0;
    for (std::string line; std::getline(text, line);) {
        const std::size_t sharps = line.find_first_not_of('#');
        if (level > 0 && sharps > 0 && sharps <= level) break;
        if (level > 0) lines.push_back(line);
        if (sharps > 0 && sharps != std::string::npos && line.substr(sharps) == " " + heading) level = sharps;
    }
    if (level == 0) throw std::runtime_error("the page has no heading " + heading);
    return lines;
}

/// The things of a row, whose example is of one of them.
std::vector<Thing> read_things(const Cells &row, const Table &table) {
    const std::vector<std::string> names = code_of(row.front()), examples = code_of(table.cell(row, "example"));
    if (names.empty() || examples.size() != 1) throw std::runtime_error(row.front() + " has no name, or not one example");
    const auto is_its = [&](const std::string &name) { return examples[0].find('"' + name + '"') != std::string::npos; };
    if (std::ranges::none_of(names, is_its)) throw std::runtime_error("the example of " + row.front() + " is of another");
    Thing thing;
    thing.example = json::parse(examples[0].starts_with('{') ? examples[0] : "{" + examples[0] + "}");
    if (!examples[0].starts_with('{')) {
        thing.member = thing.example.begin().key();
        thing.example = json(thing.example.begin().value());
    }
    std::vector<Thing> things;
    for (const std::string &name : names) {
        things.push_back(thing);
        things.back().name = name;
    }
    return things;
}

PageKey read_key(const std::string &standard) {
    const std::vector<std::string> code = code_of(standard);
    if (code.empty()) return {.is_required = standard == "required"};
    if (json::accept(code[0])) return {.standard = json::parse(code[0])};
    return {.standard_of = code[0]};
}

/// Whether keys are of a thing: of those that are named, of "all", or of "all but" those.
bool is_among(const std::string &name, const std::string &of) {
    const std::vector<std::string> named = code_of(of);
    const bool is_named = std::ranges::find(named, name) != named.end();
    return of.starts_with("all") ? !is_named : is_named;
}

/// A key's default, where it has one: its own is taken before that of what it refers to.
std::optional<json> default_of(const json &schema, const json &root) {
    for (const json &having : {schema, resolved(schema, root)})
        if (having.contains("default")) return std::optional<json>(having["default"]);
    return {};
}

std::set<std::string> names_of(const Keys &keys) {
    std::set<std::string> names;
    for (const auto &[name, key] : keys) names.insert(name);
    return names;
}

json without(json object, const std::string &key) {
    object.erase(key);
    return object;
}

json with(json object, const std::string &key, const json &value) {
    object[key] = value;
    return object;
}

}  // namespace

std::set<std::string> PageSection::names() const {
    std::set<std::string> names;
    for (const Thing &thing : things) names.insert(thing.name);
    return names;
}

Keys PageSection::keys_of(const Thing &thing) const {
    Keys all = thing.keys;
    all.insert(keys.begin(), keys.end());
    return all;
}

PageSection read_section(const std::string &page, const std::string &heading) {
    PageSection section;
    std::size_t first = 0;  // of the last table of things
    std::optional<Table> table;
    for (const std::string &line : lines_below(page, heading)) {
        if (!line.starts_with("|")) {
            table.reset();
            continue;
        }
        const Cells row = cells_of(line);
        if (!table) {
            table.emplace(row);
            if (table->has("example")) first = section.things.size();
        } else if (line.starts_with("|---")) {
            continue;
        } else if (table->has("example")) {
            std::ranges::move(read_things(row, *table), std::back_inserter(section.things));
        } else if (table->has("key")) {
            const PageKey key = read_key(table->cell(row, "default"));
            for (const std::string &name : code_of(row.front())) {
                if (!table->has("of")) section.keys[name] = key;
                for (std::size_t i = first; table->has("of") && i < section.things.size(); ++i)
                    if (is_among(section.things[i].name, table->cell(row, "of"))) section.things[i].keys[name] = key;
            }
        }
    }
    return section;
}

std::vector<std::string> json_blocks(const std::string &page) {
    static const std::regex block("```json\n([^`]*)```");
    return matches(page, block, 1);
}

std::set<std::string> listed(const std::string &message) {
    static const std::regex list(R"((?:; known are|; .* has|; there are| must be) (.*?)(?:, not .*)?$)"), word(R"([\w$]+)");
    std::smatch found;
    if (!std::regex_search(message, found, list)) return {};
    const std::vector<std::string> words = matches(found[1], word, 0);
    std::set<std::string> items(words.begin(), words.end());
    items.erase("or");
    return items;
}

std::string refusal(const Read &read, const json &object) {
    try {
        read(object);
    } catch (const std::exception &error) {
        return error.what();
    }
    return "";
}

void check_reader(const Keys &keys, const json &example, const Read &read, const json &also) {
    CAPTURE(example.dump());
    CHECK(refusal(read, example) == "");
    json bare = example;
    for (const auto &[name, key] : keys)
        if (key.standard || !key.standard_of.empty()) bare.erase(name);
    bare.update(also);
    CAPTURE(bare.dump());
    CHECK(refusal(read, bare) == "");
    CHECK(listed(refusal(read, with(bare, "?", 0))) == names_of(keys));
    for (const auto &[name, key] : keys) {
        CAPTURE(name);
        if (key.is_required) CHECK(refusal(read, without(bare, name)).find(name) != std::string::npos);
        const std::optional<json> &standard = key.standard_of.empty() ? key.standard : keys.at(key.standard_of).standard;
        if (standard) CHECK((read(with(bare, name, *standard)) == read(without(bare, name))));
    }
}

void check_schema(const Keys &keys, const json &object, const json &root) {
    std::set<std::string> known, required, required_by_page;
    for (const auto &[name, schema] : object["properties"].items()) known.insert(name);
    for (const json &name : object.value("required", json::array())) required.insert(name);
    for (const auto &[name, key] : keys)
        if (key.is_required) required_by_page.insert(name);
    CHECK(known == names_of(keys));
    CHECK(required == required_by_page);
    for (const auto &[name, key] : keys) {
        CAPTURE(name);
        if (known.contains(name)) CHECK((default_of(object["properties"][name], root) == key.standard));
    }
}

const json &alternative(const json &alternatives, const std::string &key, const std::string &name, const json &root) {
    const auto is_its = [&](const json &object) { return object.contains("properties") && allows(object["properties"][key], name, root); };
    const auto found = std::ranges::find_if(alternatives, is_its);
    if (found == alternatives.end()) throw std::runtime_error("the schema has no " + name);
    return *found;
}

}  // namespace halcyon
