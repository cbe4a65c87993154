// One JSON object of a recipe or of a run's settings, read key by key.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

namespace halcyon {

/// Every key that is read is ticked off, so that one which nobody knows is found. Keys that are absent leave their values as they are.
/// Throws std::runtime_error, "<where>: <key> <what is wrong>"; both `values` and `where` must outlive the section.
class Section {
public:
    /// `prefix`: the keys that lead to this object; "" for the outermost.
    Section(const nlohmann::json &values, std::string prefix, const std::string &where);

    /// The value of a key, or null where it is absent.
    const nlohmann::json *find(const char *key);

    void text(const char *key, std::string &value);
    void flag(const char *key, bool &value);

    /// A key that must be there.
    void choice(const char *key, std::string &value, const std::vector<std::string> &choices);

    /// A number that `accepts` takes; `range` says in words which those are.
    void number(const char *key, double &value, bool (*accepts)(double), const char *range);

    /// The same for a value that was found.
    double checked(const nlohmann::json &given, const char *key, bool (*accepts)(double), const char *range) const;

    /// A whole number.
    template<typename T>
    void count(const char *key, T &value, std::uint64_t lowest, std::uint64_t highest = std::numeric_limits<T>::max()) {
        if (const nlohmann::json *given = find(key)) value = static_cast<T>(checked_count(*given, key, lowest, highest));
    }

    void refuse_unknown() const;

    /// For what is wrong with a key beside these.
    [[noreturn]] void fail(const std::string &key, const std::string &reason) const;

private:
    std::uint64_t checked_count(const nlohmann::json &given, const char *key, std::uint64_t lowest, std::uint64_t highest) const;

    const nlohmann::json &values_;
    std::string prefix_;
    const std::string &where_;
    std::set<std::string> known_;
};

/// A chance that 16 random bits decide, as the kernels do.
inline bool is_chance(double x) { return x == 0 || x == 1 || (x >= 1.0 / 65536 && x <= 65535.0 / 65536); }
constexpr const char *chance_range = "0, 1 or a number from 1/65536 to 65535/65536";

}  // namespace halcyon
