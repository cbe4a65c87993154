#include "runtime/data/csv.h"

#include "tests/catch.h"
#include "tests/data/files.h"

using namespace halcyon;

namespace {

using Fields = std::vector<std::string>;

std::vector<Fields> table_of(std::string_view text) {
    CsvReader reader(text, "x.csv");
    std::vector<Fields> table;
    while (const auto row = reader.next()) table.push_back(reader.fields(*row));
    return table;
}

std::string refusal_of(std::string_view text) {
    return message_of([&] { table_of(text); });
}

}  // namespace

// The expected tables are what Python's csv.reader gives, its empty rows left out.
TEST_CASE("CSV: fields, quotes, line ends") {
    using Table = std::vector<Fields>;
    CHECK(table_of("a,b\n1,2\n") == Table{{"a", "b"}, {"1", "2"}});
    CHECK(table_of("a,b\r\n1,2\r\n") == Table{{"a", "b"}, {"1", "2"}});
    CHECK(table_of("\xEF\xBB\xBF"
                   "a,b\n1,2") == Table{{"a", "b"}, {"1", "2"}});
    CHECK(table_of("a,,\n\n\r\n,b\n") == Table{{"a", "", ""}, {"", "b"}});
    CHECK(table_of("\"a,b\",\"c\"\"d\",\"\",\"\"\"\"\n") == Table{{"a,b", "c\"d", "", "\""}});
    CHECK(table_of("\"\"\"a\",\"\"\"\"\"\",b\n") == Table{{"\"a", "\"\"", "b"}});
    CHECK(table_of("\"two\nlines\",1\nnext,2\n") == Table{{"two\nlines", "1"}, {"next", "2"}});
    CHECK(table_of("5\" disc,1\n6\"\",2\n") == Table{{"5\" disc", "1"}, {"6\"\"", "2"}});
    CHECK(table_of(" a , b \n") == Table{{" a ", " b "}});
    CHECK(table_of("a;b\n1,5;2\n") == Table{{"a", "b"}, {"1,5", "2"}});
    CHECK(table_of("a\tb\n1\t2\n") == Table{{"a", "b"}, {"1", "2"}});
    CHECK(table_of("a\n1\n") == Table{{"a"}, {"1"}});
    CHECK(table_of("\n\n").empty());
}

TEST_CASE("CSV: rows know their lines") {
    CsvReader reader("h\n\"a\n\nb\",1\n\nlast", "x.csv");
    CHECK(reader.next()->line == 1);
    CHECK(reader.next()->line == 2);
    const auto last = reader.next();
    CHECK(last->line == 6);
    CHECK(last->text == "last");
    CHECK_FALSE(reader.next());
}

TEST_CASE("CSV: what is wrong is said in one line, with the line's number") {
    CHECK(one_line_with(refusal_of("a,b\n1,\"2\n3,4\n"), {"x.csv: line 2: a quoted field does not end"}));
    CHECK(one_line_with(refusal_of("a,b\n\"1\"x,2\n"), {"x.csv: line 2: text follows a closing quote"}));
    CHECK(one_line_with(refusal_of(std::string_view("a,b\n1,\0", 7)), {"x.csv: line 2: holds a zero byte"}));
    CHECK(one_line_with(refusal_of(""), {"x.csv: is an empty file, not a CSV file"}));
    CHECK(one_line_with(refusal_of("PK\x03\x04...."), {"x.csv: is a zip archive", "save the table as CSV"}));
    CHECK(one_line_with(refusal_of("version https://git-lfs.github.com/spec/v1\n"), {"x.csv: is a Git LFS pointer", "git lfs pull"}));
    CHECK(one_line_with(refusal_of(std::string_view("\xFF\xFE"
                                                    "a\0,\0",
                                                    6)),
                        {"x.csv: is text in UTF-16", "UTF-8"}));
    CHECK(one_line_with(refusal_of(std::string(std::size_t{1} << 22, ',')), {"x.csv: line 1: has more than 4194304 fields"}));
}

TEST_CASE("CSV: numbers and names in fields") {
    CHECK(number_in(" 12 ") == 12);
    CHECK(number_in("-0.5e1") == -5);
    for (const char *none : {"", " ", "x", "1x", "1 2", "nan", "inf", "1e999", "0x10"}) CHECK_FALSE(number_in(none));
    CHECK(folded(" Usage\t") == "usage");
}
