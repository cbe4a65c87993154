#include "runtime/data/pixel_csv.h"

#include "tests/catch.h"
#include "tests/data/arrays.h"
#include "tests/data/files.h"

#include <functional>

using namespace halcyon;
using namespace halcyon::tests;
namespace fs = std::filesystem;

namespace {

using Value = std::function<std::string(int)>;

std::string whole(int value) { return std::to_string(value); }

/// The values of make_arrays.py's image `n`, (4, 3, c).
std::string values_of(int n, int c, const std::string &separator, const Value &text = whole) {
    std::string row;
    for (int y = 0; y < 4; ++y)
        for (int x = 0; x < 3; ++x)
            for (int k = 0; k < c; ++k) row += (row.empty() ? "" : separator) + text(value_of(n, y, x, k));
    return row;
}

std::string header(int values) {
    std::string row = "label";
    for (int i = 0; i < values; ++i) row += ",pixel" + std::to_string(i);
    return row + '\n';
}

/// Rows with the label first.
std::string table(int images, int c = 1, const std::string &end = "\n") {
    std::string rows;
    for (int n = 0; n < images; ++n) rows += std::to_string(n % 3) + ',' + values_of(n, c, ",") + end;
    return rows;
}

DataRequest request_for(const fs::path &path, int c = 1) {
    DataRequest request = request_of(path);
    request.h = 4;
    request.w = 3;
    request.c = c;
    return request;
}

Dataset load_csv(const fs::path &path, int c = 1, Split split = Split::train) { return open_source(request_for(path, c))->load(split, {}); }

}  // namespace

TEST_CASE("pixel CSV: with a header and without, the label first or last, in colours") {
    const TemporaryFolder folder;
    const fs::path path = folder / "x.csv";
    write_bytes(path, header(12) + table(5));
    CHECK(open_source(request_for(path))->description() == "pixels in a CSV file");
    CHECK(is_formula(load_csv(path), 5, 4, 3, 1));
    CHECK(load_csv(path).class_names == std::vector<std::string>{"0", "1", "2"});
    write_bytes(path, table(5, 1, "\r\n"));
    CHECK(is_formula(load_csv(path), 5, 4, 3, 1));
    write_bytes(path, table(5, 3));
    CHECK(is_formula(load_csv(path, 3), 5, 4, 3, 3));

    std::string last = values_of(0, 1, ",", [](int) { return "pixel"; }) + ", Label \n", middle = "a,label,b,c,d,e,f,g,h,i,j,k,l\n";
    for (int n = 0; n < 5; ++n) {
        last += values_of(n, 1, ",") + ',' + std::to_string(n % 3) + '\n';
        const std::string values = values_of(n, 1, ",");
        const std::size_t first = values.find(',');
        middle += values.substr(0, first) + ',' + std::to_string(n % 3) + values.substr(first) + '\n';
    }
    write_bytes(path, last);
    CHECK(is_formula(load_csv(path), 5, 4, 3, 1));
    write_bytes(path, middle);
    CHECK(is_formula(load_csv(path), 5, 4, 3, 1));
}

TEST_CASE("pixel CSV: numbers in quotes and with spaces, and numbers that are no bytes") {
    const TemporaryFolder folder;
    const fs::path path = folder / "x.csv";
    std::string quoted, floats;
    for (int n = 0; n < 5; ++n) {
        quoted += '"' + std::to_string(n % 3) + "\",\"" + values_of(n, 1, "\",\" ") + "\"\n";
        floats += std::to_string(n % 3) + ".0," + values_of(n, 1, ",", [](int value) { return std::to_string(value - 300); }) + '\n';
    }
    write_bytes(path, quoted);
    CHECK(is_formula(load_csv(path), 5, 4, 3, 1));
    write_bytes(path, header(12) + "0,1,2,3,4,5,6,7,8,9,10,11,256\n");
    CHECK(load_csv(path).pixels.floats().back() == 256);
    write_bytes(path, floats);
    const Dataset data = load_csv(path);
    REQUIRE(data.pixels.are_floats());
    bool equal = true;
    for (int i = 0; i < 60; ++i)
        equal = equal && data.pixels.floats()[std::size_t(i)] == float(value_of(i / 12, i / 3 % 4, i % 3, 0) - 300);
    CHECK(equal);
}

TEST_CASE("pixel CSV: FER2013's form and its splits") {
    const TemporaryFolder folder;
    const fs::path path = folder / "fer2013.csv";
    std::string rows = "emotion,pixels,Usage\n", mixed = "emotion, Usage, pixels\n";
    for (const char *usage : {"Training", "PublicTest", "PrivateTest"})
        for (int n = 0; n < 3; ++n) {
            rows += std::to_string(n % 3) + ',' + values_of(n, 1, " ") + ',' + usage + '\n';
            mixed += std::to_string(n % 3) + ',' + usage + ",\"" + values_of(n, 1, "  ") + "\"\n";
        }
    for (const std::string &text : {rows, mixed}) {
        write_bytes(path, text);
        const auto source = open_source(request_for(path));
        CHECK(source->description() == "pixels in a CSV file, in FER2013's form");
        for (const Split split : {Split::train, Split::validation, Split::test}) {
            CHECK(source->has(split));
            CHECK(is_formula(source->load(split, {}), 3, 4, 3, 1));
        }
    }
    write_bytes(path, rows.substr(0, rows.find("Training\n") + 9));
    CHECK_FALSE(open_source(request_for(path))->has(Split::test));
    DataRequest seven = request_for(path);
    seven.classes = 7;
    CHECK(open_source(seven)->load(Split::train, {}).class_names[3] == "happy");
}

TEST_CASE("pixel CSV: a folder with a training file and a test file") {
    const TemporaryFolder folder;
    const std::string name = GENERATE("sign_mnist_", "fashion-mnist_", "");
    write_bytes(folder / (name + "train.csv"), header(12) + table(5));
    CHECK_FALSE(open_source(request_for(folder.path()))->has(Split::test));
    write_bytes(folder / (name + "test.csv"), header(12) + table(2));
    const auto source = open_source(request_for(folder.path()));
    CHECK((source->has(Split::test) && !source->has(Split::validation)));
    CHECK(is_formula(source->load(Split::train, {}), 5, 4, 3, 1));
    CHECK(is_formula(source->load(Split::test, {}), 2, 4, 3, 1));

    // digit-recognizer's test file has no labels.
    write_bytes(folder / (name + "test.csv"), header(12).substr(6) + values_of(0, 1, ",") + '\n');
    CHECK_FALSE(open_source(request_for(folder.path()))->has(Split::test));
}

TEST_CASE("pixel CSV: tables of something else are not recognised") {
    const TemporaryFolder folder;
    for (const char *text : {"file,label\na.png,1\n", "a.png,1\nb.png,2\n", "id,x,y,label\n1,2,3,4\n", "", "PK\x03\x04"}) {
        write_bytes(folder / "x.csv", text);
        CHECK_FALSE(is_pixel_csv(folder / "x.csv"));
    }
    CHECK_FALSE(is_pixel_csv(folder.path()));
    CHECK_FALSE(is_pixel_csv(""));
}

TEST_CASE("pixel CSV: what is wrong is said in one line") {
    const TemporaryFolder folder;
    std::string text = header(12) + table(5);
    std::vector<std::string> expected;
    SECTION("other values than the model's") {
        text = header(13) + "1,0,0,0,0,0,0,0,0,0,0,0,0,0\n";
        expected = {"x.csv: rows of a label and 13 values, but the model takes 4x3x1 = 12"};
    }
    SECTION("cut off") {
        text.resize(text.size() - 10);
        expected = {"x.csv: line 6: ", "fields, but the first row has 13"};
    }
    SECTION("a field too many") {
        text += "1,0,0,0,0,0,0,0,0,0,0,0,0,0\n";
        expected = {"x.csv: line 7: 14 fields, but the first row has 13"};
    }
    SECTION("an empty value") {
        text += "1,0,0,0,0,0,0,0,0,0,0,0,\n";
        expected = {"x.csv: line 7: value 11 is \"\", no finite number"};
    }
    SECTION("NaN") {
        text += "1,0,0,nan,0,0,0,0,0,0,0,0,0\n";
        expected = {"x.csv: line 7: value 2 is \"nan\", no finite number"};
    }
    SECTION("a number that no float holds") {
        text += "1,0,0,1e300,0,0,0,0,0,0,0,0,0\n";
        expected = {"x.csv: image 5 holds a value that is infinite"};
    }
    SECTION("a label that is no number") {
        text += "cat,0,0,0,0,0,0,0,0,0,0,0,0\n";
        expected = {"x.csv: line 7: the label \"cat\" is no whole number"};
    }
    SECTION("a label beyond the classes") {
        text += "3,0,0,0,0,0,0,0,0,0,0,0,0\n";
        expected = {"x.csv: image 5 has the label 3, but the model's 3 classes are 0 to 2"};
    }
    SECTION("another usage") {
        text = "emotion,pixels,Usage\n1,0 0 0,Testing\n";
        expected = {"x.csv: line 2: the usage \"Testing\" is none of Training"};
    }
    SECTION("fewer values in one column") {
        text = "emotion,pixels\n1,0 0 0\n";
        expected = {"x.csv: line 2: 3 values, but the model takes 4x3x1 = 12"};
    }
    SECTION("nothing to train on") {
        text = "emotion,pixels,Usage\n1,0 0 0,PublicTest\n";
        expected = {"x.csv: holds no images to train on"};
    }
    write_bytes(folder / "x.csv", text);
    const std::string message = message_of([&] { load_csv(folder / "x.csv"); });
    INFO(message);
    CHECK(one_line_with(message, expected));
}
