// Comma-separated values: RFC 4180, and what spreadsheets and people make of it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// A row as the file has it, without its line's end. Where a quoted field holds line breaks a row is several lines.
struct CsvRow {
    std::string_view text;
    std::size_t line = 0;  // of its first character, from 1
};

/// The rows of a file, one after the other; empty lines are passed over. Lines end in LF or CR LF, a byte order mark before the first is
/// passed over. Fields are separated by commas, or, where the first row has none, by semicolons or tabs. What is wrong throws
/// std::runtime_error, "<file>: line 7: what is wrong".
class CsvReader {
public:
    /// `text` must outlive the reader and its rows; `file` is what messages call it. Throws where it is no text.
    CsvReader(std::string_view text, std::string file);

    /// The next row; nothing behind the last. Throws where a quoted field does not end, and for a zero byte.
    std::optional<CsvRow> next();

    /// A row's fields, those in quotes without them, "" in them as one quote. Throws where text follows a closing quote.
    std::vector<std::string> fields(const CsvRow &row) const;

    char separator() const { return separator_; }

    /// Throws std::runtime_error, "<file>: line 7: <reason>".
    [[noreturn]] void fail(const CsvRow &row, std::string_view reason) const;

private:
    std::size_t end_of_row(const CsvRow &row) const;

    std::string_view rest_;  // what no row has been made of
    std::size_t line_ = 1;   // of its first character
    std::string file_;
    char separator_ = ',';
};

/// A field without spaces around it.
std::string_view trimmed(std::string_view field);

/// A field as a name is compared: without spaces around it, in lower case.
std::string folded(std::string_view field);

/// The number that a field is, spaces around it apart; nothing where it is none, or has no finite value.
std::optional<double> number_in(std::string_view field);

}  // namespace halcyon
