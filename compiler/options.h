// Reads the keys of one JSON object, says what is wrong with them, and knows which ones nobody asked for.
#pragma once

#include <nlohmann/json.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// The largest size a model file may name; it keeps every product of two sizes within 64 bits.
constexpr int largest_size = 1'000'000;

/// The largest magnitude of a number that values are multiplied by, or that is added to them; of a scale, its inverse too.
constexpr double most_value = 1e12;

/// Halide indexes a buffer with 32 bits, so that an image's activation, a slab of weights and a workspace must stay below 2^31 bytes.
constexpr std::int64_t most_floats = (std::int64_t{1} << 29) - 1;

/// Every reader throws std::invalid_argument with a reason that names the key. Readers with `otherwise` allow the key to be missing.
class Options {
public:
    /// Throws where `value` is no object; `what` names it in messages: "a layer".
    Options(const nlohmann::json &value, std::string what);

    bool has(const char *key);

    /// A whole number from 1 to largest_size.
    int size(const char *key);
    int size(const char *key, int otherwise);
    /// One size, or two as [rows, columns]; one stands for both.
    std::array<int, 2> sizes(const char *key);
    std::array<int, 2> sizes(const char *key, std::array<int, 2> otherwise);
    /// What lies around rows and columns, each a whole number from 0 to largest_size: [top, bottom, left, right].
    std::array<int, 4> margins(const char *key);
    /// The same as Keras has it: one number, [rows, columns] or [[top, bottom], [left, right]].
    std::array<int, 4> margins_of_axes(const char *key, std::array<int, 4> otherwise);
    /// Three sizes: [rows, columns, channels].
    std::array<int, 3> shape(const char *key);
    /// One size, or three as [rows, columns, channels]; -1 stands for at most one of them.
    std::vector<int> target_shape(const char *key);
    /// One axis from `first` to `last`, or a list of such, each once, in their order.
    std::vector<int> axes(const char *key, int first, int last, std::vector<int> otherwise);
    /// A number from `low` to `high`.
    double number(const char *key, double low, double high);
    double number(const char *key, double otherwise, double low, double high);
    /// A number that `accepts` takes; `range` says in words which those are.
    double number(const char *key, double otherwise, bool (*accepts)(double), const char *range);
    /// One such number, or a list of them.
    std::vector<double> numbers(const char *key, double low, double high);
    std::string text(const char *key);
    std::vector<std::string> texts(const char *key);
    std::string choice(const char *key, const std::vector<std::string> &choices, const std::string &otherwise);
    /// true or false.
    bool flag(const char *key, bool otherwise);
    const nlohmann::json &array(const char *key);
    const nlohmann::json &object(const char *key);
    bool holds_object(const char *key);
    bool holds_array(const char *key);

    /// Throws where there is a key that no reader asked for.
    void finish() const;

private:
    const nlohmann::json &get(const char *key);

    const nlohmann::json &json_;
    std::string what_;
    std::vector<std::string> known_;
};

/// The value of a key that is one of `names`, or an object of its options with the name as its "type". Without such a key it is
/// `otherwise`.
struct NamedOptions {
    NamedOptions(Options &options, const char *key, const std::vector<std::string> &names, const std::string &otherwise = "");

    Options own;  // none where the name stands alone; to be finished
    std::string name;
};

}  // namespace halcyon
