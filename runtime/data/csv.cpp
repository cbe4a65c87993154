#include "runtime/data/csv.h"

#include "plan/errors.h"
#include "plan/file_kind.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <span>
#include <stdexcept>

namespace halcyon {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

void check_is_text(std::string_view text, const std::string &file) {
    constexpr std::size_t telling = 512;
    const std::span<const std::byte> begin = std::as_bytes(std::span(text.substr(0, telling)));
    const std::string kind = kind_of(begin);
    constexpr std::string_view advice = "save the table as CSV in UTF-8";
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
        throw std::runtime_error(fmt::format("{}: is text in UTF-16, not a CSV file; {}", file, advice));
    if (!kind.empty() && kind != "a text file") fail_for(file, not_wanted(begin, "a CSV file", advice));
}

char separator_of(std::string_view first_line) {
    for (const char separator : {',', ';', '\t'})
        if (first_line.find(separator) != first_line.npos) return separator;
    return ',';
}

/// The field that `rest` begins with, which is left what follows it.
std::string take_bare(std::string_view &rest, char separator) {
    const std::string_view field = rest.substr(0, rest.find(separator));
    rest.remove_prefix(field.size());
    return std::string(field);
}

/// The same of one in quotes: from quote to quote; where another follows at once, the two stand for one, and the field goes on.
std::string take_quoted(std::string_view &rest) {
    std::string field;
    for (;;) {
        rest.remove_prefix(1);
        const std::string_view part = rest.substr(0, rest.find('"'));
        field += part;
        rest.remove_prefix(std::min(part.size() + 1, rest.size()));
        if (!rest.starts_with('"')) return field;
        field += '"';
    }
}

}  // namespace

CsvReader::CsvReader(std::string_view text, std::string file) : rest_(text), file_(std::move(file)) {
    check_is_text(text, file_);
    if (rest_.starts_with(byte_order_mark)) rest_.remove_prefix(byte_order_mark.size());
    separator_ = separator_of(rest_.substr(0, rest_.find('\n')));
}

void CsvReader::fail(const CsvRow &row, std::string_view reason) const {
    throw std::runtime_error(fmt::format("{}: line {}: {}", file_, row.line, reason));
}

/// Where the row that `rest_` begins with ends: at a line's end outside quotes. Only a quote at a field's beginning opens one.
std::size_t CsvReader::end_of_row(const CsvRow &row) const {
    const std::size_t line_end = std::min(rest_.find('\n'), rest_.size());
    if (rest_.substr(0, line_end).find('"') == rest_.npos) return line_end;
    enum { at_field, bare, quoted, closed } state = at_field;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
        const char c = rest_[i];
        if (state == quoted) {
            if (c == '"') state = closed;
        } else if (c == '\n') {
            return i;
        } else if (c == '"' && state != bare) {
            state = quoted;  // from closed: two quotes within a field
        } else {
            state = c == separator_ ? at_field : bare;
        }
    }
    if (state == quoted) fail(row, "a quoted field does not end; close it with a quote");
    return rest_.size();
}

std::optional<CsvRow> CsvReader::next() {
    while (!rest_.empty()) {
        CsvRow row{{}, line_};
        const std::size_t end = end_of_row(row);
        row.text = rest_.substr(0, end);
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        line_ += 1 + static_cast<std::size_t>(std::ranges::count(row.text, '\n'));
        if (row.text.ends_with('\r')) row.text.remove_suffix(1);
        if (row.text.find('\0') != row.text.npos) fail(row, "holds a zero byte, which no text has; the file is damaged, or no CSV");
        if (!row.text.empty()) return row;
    }
    return std::nullopt;
}

std::vector<std::string> CsvReader::fields(const CsvRow &row) const {
    constexpr std::size_t most = std::size_t{1} << 22;
    std::vector<std::string> fields;
    std::string_view rest = row.text;
    for (bool more = true; more;) {
        if (fields.size() == most) fail(row, fmt::format("has more than {} fields", most));
        fields.push_back(rest.starts_with('"') ? take_quoted(rest) : take_bare(rest, separator_));
        more = !rest.empty();
        if (more && rest.front() != separator_) fail(row, "text follows a closing quote; write a quote within a field twice");
        if (more) rest.remove_prefix(1);
    }
    return fields;
}

std::string_view trimmed(std::string_view field) {
    const std::size_t first = field.find_first_not_of(" \t");
    if (first == field.npos) return {};
    return field.substr(first, field.find_last_not_of(" \t") - first + 1);
}

std::string folded(std::string_view field) {
    std::string name(trimmed(field));
    for (char &c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return name;
}

std::optional<double> number_in(std::string_view field) {
    field = trimmed(field);
    double value = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc() || end != field.data() + field.size() || !std::isfinite(value)) return std::nullopt;
    return value;
}

}  // namespace halcyon
