#include "runtime/data/npy.h"

#include "plan/file_kind.h"
#include "plan/text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <stdexcept>

namespace halcyon {
namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr std::size_t most_dimensions = 32, alignment = 64;
constexpr std::size_t fixed_bytes = magic.size() + 2;  // and the version

[[noreturn]] void bad_header(std::string_view what) {
    throw std::runtime_error(fmt::format("has a damaged .npy header ({}); save the array anew with numpy.save", what));
}

/// The header's text, a Python dictionary of three entries, read from the left.
class HeaderText {
public:
    explicit HeaderText(std::string_view text) : rest_(text) {}

    bool take(char c) {
        skip_spaces();
        if (!rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }

    void expect(char c) {
        if (!take(c)) bad_header(fmt::format("no '{}' where one must be", c));
    }

    std::string text() {
        skip_spaces();
        const char quote = rest_.empty() ? '\0' : rest_.front();
        const std::size_t end = rest_.find(quote, 1);
        if ((quote != '\'' && quote != '"') || end == rest_.npos) bad_header("no text where one must be");
        std::string value(rest_.substr(1, end - 1));
        rest_.remove_prefix(end + 1);
        return value;
    }

    bool truth() {
        skip_spaces();
        for (const std::string_view word : {"True", "False"}) {
            if (!rest_.starts_with(word)) continue;
            rest_.remove_prefix(word.size());
            return word == "True";
        }
        bad_header("no True or False where one must be");
    }

    /// A number, perhaps with the L that Python 2 wrote.
    std::size_t number() {
        skip_spaces();
        std::size_t digits = 0, value = 0;
        constexpr std::size_t most_digits = 18;  // which every 64-bit number has room for
        for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
            if (digits == most_digits) bad_header("a number is too large");
            value = 10 * value + static_cast<std::size_t>(rest_[digits] - '0');
        }
        if (digits == 0) bad_header("no number where one must be");
        rest_.remove_prefix(digits);
        take('L');
        return value;
    }

    std::vector<std::size_t> shape() {
        std::vector<std::size_t> shape;
        expect('(');
        while (!take(')')) {
            if (shape.size() == most_dimensions) bad_header("more dimensions than NumPy has");
            shape.push_back(number());
            if (take(')')) break;
            expect(',');
        }
        return shape;
    }

    bool at_end() {
        skip_spaces();
        return rest_.empty();
    }

private:
    void skip_spaces() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n"), rest_.size())); }

    std::string_view rest_;
};

NpyHeader parse(std::string_view text) {
    HeaderText header(text);
    std::optional<std::string> type;
    std::optional<std::vector<std::size_t>> shape;
    std::optional<bool> fortran_order;
    header.expect('{');
    while (!header.take('}')) {
        const std::string key = header.text();
        header.expect(':');
        if (key == "descr" && !type) {
            if (header.take('[')) throw std::runtime_error("is an array of records; save its fields as arrays of their own");
            type = header.text();
        } else if (key == "shape" && !shape) {
            shape = header.shape();
        } else if (key == "fortran_order" && !fortran_order) {
            fortran_order = header.truth();
        } else {
            bad_header(fmt::format("the key {}", printable(shortened(key, 40))));
        }
        if (header.take('}')) break;
        header.expect(',');
    }
    if (!type || !shape || !fortran_order) bad_header("a key is missing");
    if (!header.at_end()) bad_header("text follows it");
    if (type->ends_with("O"))
        throw std::runtime_error("holds Python objects (a pickle), not numbers; save an array of numbers: x.astype(\"uint8\")");
    // NumPy writes the shape of arrays that are both as C's.
    if (*fortran_order) throw std::runtime_error("is in Fortran's order; save numpy.ascontiguousarray(x)");
    return {*type, *shape, 0};
}

/// Throws where the array's bytes cannot be counted.
void check_countable(const NpyHeader &header) {
    std::size_t room = std::numeric_limits<std::ptrdiff_t>::max() / header.value_bytes();
    for (const std::size_t extent : header.shape) {
        if (extent > room) bad_header("more values than there can be");
        room /= std::max<std::size_t>(extent, 1);
    }
}

}  // namespace

std::size_t NpyHeader::value_bytes() const {
    const std::string_view digits = std::string_view(type).substr(std::min<std::size_t>(2, type.size()));
    std::size_t bytes = 0;
    for (const char c : digits.substr(0, 6)) bytes = c >= '0' && c <= '9' ? 10 * bytes + static_cast<std::size_t>(c - '0') : bytes;
    return std::max<std::size_t>(bytes, 1);
}

std::size_t NpyHeader::values() const { return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies()); }

std::string NpyHeader::shape_text() const { return fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : ""); }

NpyHeader read_npy_header(Stream &file) {
    constexpr std::size_t telling = 64;
    std::array<std::byte, telling> first{};
    const std::size_t most = file.most();
    const std::span<std::byte> fixed = std::span(first).first(std::min(fixed_bytes, most));
    file.read(fixed);
    if (!std::string_view(reinterpret_cast<const char *>(first.data()), fixed.size()).starts_with(magic)) {
        const std::span<std::byte> begin = std::span(first).first(std::min(telling, most));
        file.read(begin.subspan(fixed.size()));
        throw std::runtime_error(not_wanted(begin, "a NumPy array (.npy)", "save it with numpy.save or numpy.savez"));
    }
    if (fixed.size() < fixed_bytes) bad_header("it is cut off");
    const int version = std::to_integer<int>(first[magic.size()]), minor = std::to_integer<int>(first[magic.size() + 1]);
    if (version < 1 || version > 3 || minor != 0)
        throw std::runtime_error(fmt::format("is a .npy file of version {}.{}; known are 1.0, 2.0 and 3.0", version, minor));

    std::array<std::byte, 4> length{};
    const std::size_t length_bytes = version == 1 ? 2 : 4;
    file.read(std::span(length).first(length_bytes));
    std::size_t size = 0;
    for (std::size_t i = length_bytes; i-- > 0;) size = size << 8 | std::to_integer<std::size_t>(length[i]);
    constexpr std::size_t largest = std::size_t{64} << 10;  // headers of plain arrays have some 100 bytes
    if (size > largest) bad_header(fmt::format("it has {} bytes", size));
    std::string dictionary(size, '\0');
    file.read(std::as_writable_bytes(std::span(dictionary)));

    NpyHeader header = parse(dictionary);
    header.begin = fixed_bytes + length_bytes + size;
    check_countable(header);
    return header;
}

std::string npy_header(std::string_view type, std::span<const std::size_t> shape) {
    if (shape.size() > most_dimensions) throw std::invalid_argument("NumPy's arrays have 32 dimensions at most");
    std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}", type,
                                   NpyHeader{{}, {shape.begin(), shape.end()}}.shape_text());
    constexpr std::size_t length_bytes = 2;
    const std::size_t unpadded = fixed_bytes + length_bytes + text.size() + 1;
    text.append((alignment - unpadded % alignment) % alignment, ' ') += '\n';
    const char length[] = {static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
    return std::string(magic) + '\x01' + '\0' + std::string(length, length_bytes) + text;
}

}  // namespace halcyon
