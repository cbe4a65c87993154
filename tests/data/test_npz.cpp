#include "plan/files.h"
#include "runtime/data/npy.h"
#include "runtime/data/npz.h"
#include "runtime/data/zip.h"

#include "tests/catch.h"
#include "tests/data/arrays.h"
#include "tests/data/files.h"

#include <cmath>
#include <functional>
#include <zlib.h>

using namespace halcyon;
using namespace halcyon::tests;
namespace fs = std::filesystem;

namespace {

const fs::path arrays = ARRAYS;  // make_arrays.py made them

/// A .npy file's bytes.
template<typename T>
std::string npy(std::string_view type, std::vector<std::size_t> shape, const std::vector<T> &values) {
    return npy_header(type, shape) + std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
}

std::string bytes_npy(std::vector<std::size_t> shape) {
    std::size_t values = 1;
    for (const std::size_t extent : shape) values *= extent;
    return npy("|u1", std::move(shape), std::vector<std::uint8_t>(values, 7));
}

void write_folder(const fs::path &folder, const std::string &images, const std::string &labels) {
    fs::create_directories(folder);
    write_bytes(folder / "images.npy", images);
    write_bytes(folder / "labels.npy", labels);
}

}  // namespace

TEST_CASE("npz: what NumPy wrote, stored and deflated") {
    for (const char *name : {"stored.npz", "deflated.npz"}) {
        CAPTURE(name);
        const auto source = open_source(request_of(arrays / name));
        CHECK(source->description() == "NumPy arrays");
        CHECK((source->has(Split::train) && source->has(Split::test) && !source->has(Split::validation)));
        const Dataset train = source->load(Split::train, {});
        CHECK(is_formula(train, 5, 4, 3, 2));
        CHECK((train.classes == 3 && train.class_names == std::vector<std::string>{"0", "1", "2"}));
        CHECK(is_formula(source->load(Split::test, {}), 2, 4, 3, 2));
    }
}

TEST_CASE("npz: other names, grey images, doubles") {
    const auto source = open_source(request_of(arrays / "medical.npz"));
    CHECK((source->has(Split::validation) && !source->has(Split::test)));
    CHECK(is_formula(source->load(Split::train, {}), 5, 4, 3, 1));
    CHECK(is_formula(source->load(Split::validation, {}), 1, 4, 3, 1));

    const Dataset doubles = load(arrays / "doubles.npz");
    CHECK(doubles.pixels.are_floats());
    CHECK(is_formula(doubles, 5, 4, 3, 1));
}

TEST_CASE("npy: every version of the format, bytes and floats, mapped") {
    const TemporaryFolder folder;
    for (const char *name : {"version1.npy", "version2.npy", "version3.npy", "floats.npy"}) {
        CAPTURE(name);
        write_folder(folder.path(), read_bytes(arrays / name), read_bytes(arrays / "labels.npy"));
        const auto source = open_source(request_of(folder.path()));
        CHECK(source->description() == "NumPy arrays in files");
        const Dataset data = source->load(Split::train, {});
        CHECK(data.pixels.are_mapped());
        CHECK(is_formula(data, 5, 4, 3, 2));
    }
}

TEST_CASE("npy: splits in subfolders, names of classes, labels of any integers") {
    const TemporaryFolder folder;
    const std::string images = read_bytes(arrays / "version1.npy");
    write_folder(folder / "train", images, npy<std::uint16_t>("<u2", {5}, {0, 1, 2, 0, 1}));
    write_folder(folder / "validation", images, npy<std::int8_t>("|i1", {5, 1}, {0, 1, 2, 0, 1}));
    write_folder(folder / "test", images, npy<std::int32_t>("<i4", {5}, {0, 1, 2, 0, 1}));
    write_bytes(folder / "classes.json", R"(["ant", "bee", "cow"])");
    const auto source = open_source(request_of(folder.path()));
    for (const Split split : {Split::train, Split::validation, Split::test}) {
        CHECK(source->has(split));
        const Dataset data = source->load(split, {});
        CHECK(is_formula(data, 5, 4, 3, 2));
        CHECK(data.class_names == std::vector<std::string>{"ant", "bee", "cow"});
    }

    // A split may lack the last classes where the names, or the model, say how many there are.
    write_bytes(folder / "test/labels.npy", npy<std::int32_t>("<i4", {5}, {0, 1, 0, 0, 1}));
    for (const int classes : {0, 3}) CHECK(load(folder.path(), Split::test, classes).classes == 3);
    write_bytes(folder / "classes.json", R"(["ant", "bee", "cow", "dog"])");
    CHECK(load(folder.path(), Split::test, 0).classes == 4);
    CHECK(one_line_with(message_of([&] { load(folder.path(), Split::test, 3); }), {"classes.json: 4 names for 3 classes"}));

    write_bytes(folder / "classes.json", R"(["ant", "bee"])");
    CHECK(one_line_with(message_of([&] { load(folder.path(), Split::train, 0); }), {"classes.json: 2 names for 3 classes"}));
    CHECK(one_line_with(message_of([&] { source->load(Split::train, {}); }), {"classes.json: 2 names for 3 classes"}));
    write_bytes(folder / "classes.json", R"({"ant": 0})");
    CHECK(one_line_with(message_of([&] { source->load(Split::train, {}); }), {"classes.json: is no list of names"}));
}

TEST_CASE("npz: targets where the model takes them, with a number for each unit") {
    DataRequest request = request_of(arrays / "multi_label.npz", 0);
    request.h = 5, request.w = 4, request.c = 3, request.targets = 10, request.unit_labels = true;
    const Dataset train = open_source(request)->load(Split::train, {});
    CHECK((train.size() == 128 && train.units == 10 && train.labels.empty()));
    CHECK((train.class_names.size() == 10 && train.class_names.back() == "9"));
    bool equal = train.targets.size() == 128 * 10;
    for (std::size_t n = 0; equal && n < 128; ++n)
        for (std::size_t unit = 0; equal && unit < 10; ++unit)
            equal = train.targets[n * 10 + unit] == float(train.pixels.bytes()[n * 60 + unit] / 255);
    CHECK(equal);
    CHECK(train.targets_of(127).size() == 10);
    CHECK(all_records(train).size() == 128);
    check_fits(train, request, "here");
    request.targets = 5;
    CHECK(message_of([&] { check_fits(train, request, "here"); })
              .starts_with("here: images of 5x4x3 with 10 targets, but the model takes "
                           "5x4x3 with 5 targets; "));
    CHECK(message_of([&] { open_source(request)->load(Split::train, {}); }) ==
          (arrays / "multi_label.npz").string() + ": y_train: the model takes targets of shape (N, 5), not (128, 10)");
    request.path.clear();
    CHECK(message_of([&] {
              open_source(request);
          }).starts_with("no --data: synthetic gives labels, but the model takes 5 targets an image; "));
    request.path = arrays / "regression.npz", request.targets = 3, request.unit_labels = false;
    const Dataset lights = open_source(request)->load(Split::test, {});
    CHECK((lights.size() == 32 && lights.targets[5] == float(lights.pixels.bytes()[60 + 2] / 255.0)));
    CHECK(one_line_with(message_of([&] { load(arrays / "multi_label.npz"); }),
                        {"labels are of shape (N) or (N, 1), not (128, 10)", "numpy.argmax(y, axis=1)", "categorical_crossentropy"}));
}

TEST_CASE("npy: shares of the classes, or labels, where the model takes shares") {
    const TemporaryFolder folder;
    DataRequest request = request_of(folder.path(), 3);
    request.h = request.w = 3, request.c = 1, request.targets = 3, request.class_shares = true;
    const auto loaded = [&](const std::string &labels) {
        write_folder(folder.path(), bytes_npy({2, 3, 3}), labels);
        Dataset data = open_source(request)->load(Split::train, {});
        check_fits(data, request, "here");
        CHECK((data.size() == 2 && data.classes == 3));
        return data;
    };
    const Dataset soft = loaded(npy("<f4", {2, 3}, std::vector<float>{0.25F, 0.75F, 0, 0.5F, 0, 0.5F}));
    CHECK(soft.targets == std::vector<float>{0.25F, 0.75F, 0, 0.5F, 0, 0.5F});
    CHECK(soft.labels == std::vector<std::uint16_t>{1, 0});  // of equal ones the first
    CHECK(std::holds_alternative<std::span<const float>>(soft.answers()));
    const Dataset one_hot = loaded(npy("|b1", {2, 3}, std::vector<std::uint8_t>{0, 0, 1, 0, 1, 0}));
    CHECK((one_hot.labels == std::vector<std::uint16_t>{2, 1} && one_hot.targets == std::vector<float>{0, 0, 1, 0, 1, 0}));
    for (const std::string &numbers :
         {npy("<i8", {2}, std::vector<std::int64_t>{2, 0}), npy("|u1", {2, 1}, std::vector<std::uint8_t>{2, 0})}) {
        const Dataset labels = loaded(numbers);
        CHECK((labels.labels == std::vector<std::uint16_t>{2, 0} && labels.targets.empty()));
        CHECK(std::holds_alternative<std::span<const std::uint16_t>>(labels.answers()));
    }
    const auto wrong = [&](const std::string &labels, const std::string &what) {
        CHECK(one_line_with(message_of([&] { loaded(labels); }), {what}));
    };
    wrong(npy("<f4", {1, 2}, std::vector<float>{0, 1}), "the model takes targets of shape (N, 3), not (1, 2)");
    wrong(npy("<f4", {2, 3}, std::vector<float>{0, 1, 0, 0, -1, 0}), "image 1 has the target -1; targets are labels from 0 to 1");
    wrong(npy("<i8", {2}, std::vector<std::int64_t>{2, 3}), "image 1 has the label 3, but the model's 3 classes are 0 to 2");
}

TEST_CASE("npy: targets of all types, and what is wrong with them") {
    const TemporaryFolder folder;
    const auto loaded = [&](const std::string &targets, int units, bool labels) {
        write_folder(folder.path(), bytes_npy({2, 3, 3}), targets);
        DataRequest request = request_of(folder.path(), 0);
        request.targets = units, request.unit_labels = labels;
        return open_source(request)->load(Split::train, {});
    };
    const std::vector<float> ones = {0, 1, 1, 0};
    CHECK(loaded(npy("|b1", {2, 2}, std::vector<std::uint8_t>{0, 1, 1, 0}), 2, true).targets == ones);
    CHECK(loaded(npy("<i8", {2, 2}, std::vector<std::int64_t>{0, 1, 1, 0}), 2, true).targets == ones);
    CHECK(loaded(npy("<f4", {2, 2}, ones), 2, true).targets == ones);
    CHECK(loaded(npy("<f8", {2}, std::vector<double>{-3, 0.5}), 1, false).targets == std::vector<float>{-3, 0.5F});
    write_bytes(folder.path() / "classes.json", R"(["indoors", "people"])");
    CHECK(loaded(npy("<f4", {2, 2}, ones), 2, true).class_names == std::vector<std::string>{"indoors", "people"});

    const auto wrong = [&](const std::string &targets, int units, bool labels, const std::string &what) {
        const std::string message = message_of([&] { loaded(targets, units, labels); });
        CAPTURE(message);
        CHECK(one_line_with(message, {what}));
    };
    wrong(npy("<f4", {2, 1}, std::vector<float>{0, 0}), 1, true, "classes.json: 2 names for 1 targets");
    fs::remove(folder.path() / "classes.json");
    wrong(npy("<f4", {1, 4}, ones), 4, true, "labels.npy: 1 rows of targets for 2 images");
    wrong(npy("<f4", {4}, ones), 2, true, "labels.npy: the model takes targets of shape (N, 2), not (4,)");
    wrong(npy("<f4", {2, 2}, std::vector<float>{0, 1, 1, 1.5F}), 2, true,
          "labels.npy: image 1 has the target 1.5; targets are labels from 0 to 1");
    wrong(npy("<f4", {2, 2}, std::vector<float>{0, std::nanf(""), 1, 1}), 2, false,
          "labels.npy: image 0 has the target nan; targets are finite numbers");
    wrong(npy("<c8", {2}, std::vector<double>{0, 1}), 1, false, "labels.npy: targets are numbers, not \"<c8\"");
}

TEST_CASE("npy: a header is what NumPy writes") {
    const std::string file = read_bytes(arrays / "version1.npy");
    const std::vector<std::size_t> shape = {5, 4, 3, 2};
    CHECK(npy_header("|u1", shape) == file.substr(0, 128));
    const std::vector<std::size_t> one = {5};
    CHECK(npy_header("<i8", one) == read_bytes(arrays / "labels.npy").substr(0, 128));
    CHECK_THROWS_AS(npy_header("|u1", std::vector<std::size_t>(33, 1)), std::invalid_argument);

    // Python 2's numbers, another order, other quotes.
    std::string text = "\x93NUMPY\x01";
    const std::string dictionary = "{\"shape\":(2L,), 'descr':'<f4','fortran_order':False}";
    text += '\0' + std::string(1, char(dictionary.size())) + '\0' + dictionary;
    const NpyHeader header = read_npy_header(*plain_stream(std::as_bytes(std::span(text))));
    CHECK((header.type == "<f4" && header.shape == std::vector<std::size_t>{2} && header.begin == text.size()));
}

TEST_CASE("npy: what is wrong with arrays is said in one line") {
    const TemporaryFolder folder;
    std::string images = bytes_npy({2, 3, 3}), labels = npy<std::uint8_t>("|u1", {2}, {0, 1});
    std::vector<std::string> expected;
    const auto replaced = [](std::string text, const std::string &old, const std::string &by) {
        return text.replace(text.find(old), old.size(), by);
    };
    SECTION("Fortran's order") {
        images = read_bytes(arrays / "fortran.npy");
        expected = {"images.npy: is in Fortran's order", "numpy.ascontiguousarray"};
    }
    SECTION("objects") {
        images = read_bytes(arrays / "objects.npy");
        expected = {"images.npy: holds Python objects (a pickle)", "astype"};
    }
    SECTION("records") {
        images = read_bytes(arrays / "records.npy");
        expected = {"images.npy: is an array of records"};
    }
    SECTION("another type") {
        images = npy<std::int64_t>("<i8", {2, 1, 1}, {0, 1});
        expected = {"images.npy: images are bytes (uint8), float32 or float64, not \"<i8\""};
    }
    SECTION("two dimensions") {
        images = bytes_npy({2, 9});
        expected = {"images.npy: images are of shape (N, H, W) or (N, H, W, C), not (2, 9)"};
    }
    SECTION("no images") {
        images = bytes_npy({0, 3, 3});
        expected = {"images.npy: holds no images"};
    }
    SECTION("no pixels") {
        images = bytes_npy({2, 0, 3});
        expected = {"images.npy: its images are 0x3x1: they have no pixels"};
    }
    SECTION("cut off") {
        images.pop_back();
        expected = {"images.npy: is cut off: an array of shape (2, 3, 3) has 18 bytes"};
    }
    SECTION("cut off in the header") {
        images.resize(60);
        expected = {"images.npy: is cut off"};
    }
    SECTION("too long") {
        images += '\0';
        expected = {"images.npy: holds more than its header says"};
    }
    SECTION("more values than there are bytes") {
        images = npy_header("|u1", std::vector<std::size_t>{2, 999999999, 999999999});
        expected = {"images.npy: is cut off"};
    }
    SECTION("more values than can be counted") {
        images = npy_header("|u1", std::vector<std::size_t>{999999999, 999999999, 999999999});
        expected = {"images.npy: has a damaged .npy header (more values than there can be)"};
    }
    SECTION("a damaged header") {
        images = replaced(images, "False", "Maybe");
        expected = {"images.npy: has a damaged .npy header (no True or False"};
    }
    SECTION("a key twice") {
        images = replaced(images, "'shape'", "'descr'");
        expected = {"images.npy: has a damaged .npy header (the key descr)"};
    }
    SECTION("another version") {
        images[6] = 4;
        expected = {"images.npy: is a .npy file of version 4.0"};
    }
    SECTION("no array") {
        images = "version https://git-lfs.github.com/spec/v1\n";
        expected = {"images.npy: is a Git LFS pointer", "git lfs pull"};
    }
    SECTION("empty") {
        images = "";
        expected = {"images.npy: is an empty file"};
    }
    SECTION("NaN") {
        images = npy<float>("<f4", {2, 1, 2}, {0, 1, 2, NAN});
        expected = {"images.npy: image 1 holds a value that is NaN"};
    }
    SECTION("doubles that no float holds") {
        images = npy<double>("<f8", {2, 1, 2}, {0, 1e300, 2, 0});
        expected = {"images.npy: image 0 holds a value that is infinite"};
    }
    SECTION("fewer labels") {
        labels = npy<std::uint8_t>("|u1", {1}, {0});
        expected = {"labels.npy: 1 labels for 2 images"};
    }
    SECTION("one-hot labels") {
        labels = npy<std::uint8_t>("|u1", {2, 2}, {0, 1, 1, 0});
        expected = {"labels.npy: labels are of shape (N) or (N, 1), not (2, 2)", "argmax"};
    }
    SECTION("labels that are floats") {
        labels = npy<float>("<f4", {2}, {0, 1});
        expected = {"labels.npy: labels are integers, not \"<f4\""};
    }
    SECTION("a label beyond the classes") {
        labels = npy<std::uint8_t>("|u1", {2}, {0, 3});
        expected = {"labels.npy: image 1 has the label 3, but the model's 3 classes are 0 to 2"};
    }
    SECTION("a negative label") {
        labels = npy<std::int64_t>("<i8", {2}, {-1, 0});
        expected = {"labels.npy: image 0 has the label -1; labels are numbers from 0 to 65535"};
    }
    write_folder(folder.path(), images, labels);
    const std::string message = message_of([&] { load(folder.path()); });
    INFO(message);
    CHECK(one_line_with(message, expected));
}

TEST_CASE("npy: labels are missing") {
    const TemporaryFolder folder;
    write_bytes(folder / "images.npy", bytes_npy({2, 3, 3}));
    CHECK(one_line_with(message_of([&] { load(folder.path()); }), {"images.npy: there is no labels with its labels beside it"}));
}

TEST_CASE("npz: archives that are none, or hold something else") {
    const TemporaryFolder folder;
    const fs::path path = folder / "x.npz";
    std::string bytes = read_bytes(arrays / "stored.npz");
    std::vector<std::string> expected;
    SECTION("other arrays") {
        bytes = read_bytes(arrays / "others.npz");
        expected = {"x.npz: holds the arrays ", "other", "but not x_train and y_train"};
    }
    SECTION("no archive") {
        bytes = bytes_npy({1, 2, 2});
        expected = {"x.npz: is a NumPy array (.npy), not a zip archive"};
    }
    SECTION("a Git LFS pointer") {
        bytes = "version https://git-lfs.github.com/spec/v1\n";
        expected = {"x.npz: is a Git LFS pointer", "git lfs pull"};
    }
    SECTION("cut off") {
        bytes.resize(bytes.size() - 30);
        expected = {"x.npz: is a zip archive that is cut off or damaged"};
    }
    SECTION("a damaged value") {
        bytes[200] = char(bytes[200] ^ 1);  // the first member's values begin at 30 + 11 + 20 + 128
        expected = {"x.npz: x_train: is damaged: its checksum is another"};
    }
    SECTION("encrypted") {
        bytes[bytes.find("PK\x01\x02") + 8] = 1;
        expected = {"x.npz: its member x_train.npy is encrypted"};
    }
    SECTION("compressed in another way") {
        bytes[bytes.find("PK\x01\x02") + 10] = 12;
        expected = {"x.npz: its member x_train.npy is compressed in another way"};
    }
    write_bytes(path, bytes);
    const std::string message = message_of([&] { load(path); });
    INFO(message);
    CHECK(one_line_with(message, expected));
}

TEST_CASE("npz: every cut and every damaged byte of an archive is refused, or changes nothing") {
    const TemporaryFolder folder;
    const fs::path path = folder / "x.npz";
    const std::string name = GENERATE("stored.npz", "deflated.npz");
    const std::string bytes = read_bytes(arrays / name);
    const auto refused_or_whole = [&](const std::string &damaged) {
        write_bytes(path, damaged);
        bool whole = false;
        const std::string message = message_of([&] { whole = is_formula(load(path), 5, 4, 3, 2); });
        return whole || one_line_with(message, {"x.npz"});
    };
    bool right = true;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        write_bytes(path, bytes.substr(0, size));
        right = right && one_line_with(message_of([&] { load(path); }), {"x.npz"});
    }
    CHECK(right);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        std::string damaged = bytes;
        damaged[at] = char(damaged[at] ^ 0x41);
        right = right && refused_or_whole(damaged);
    }
    CHECK(right);
}

TEST_CASE("npz: an archive that claims more than it can hold takes no memory") {
    const TemporaryFolder folder;
    const fs::path path = folder / "x.npz";
    // The images' header says 2^40 bytes; the directory's sizes say as much. What is deflated could not hold them.
    const std::string header = npy_header("|u1", std::vector<std::size_t>{1 << 20, 1 << 10, 1 << 10});
    const auto little = [](std::uint64_t value, int bytes) {
        std::string text;
        for (int i = 0; i < bytes; ++i) text += char(value >> 8 * i & 255);
        return text;
    };
    std::string body(compressBound(header.size()), '\0');
    z_stream deflater{};
    deflateInit2(&deflater, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    deflater.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(header.data()));
    deflater.avail_in = uInt(header.size());
    deflater.next_out = reinterpret_cast<Bytef *>(body.data());
    deflater.avail_out = uInt(body.size());
    deflate(&deflater, Z_FINISH);
    body.resize(body.size() - deflater.avail_out);
    deflateEnd(&deflater);

    const std::string name = "images.npy", zip64 = little(1, 2) + little(8, 2) + little(std::uint64_t{1} << 40 | 128, 8);
    const std::string local = "PK\x03\x04" + little(45, 2) + little(0, 2) + little(8, 2) + little(0, 4) + little(0, 4) + little(0, 8) +
                              little(name.size(), 2) + little(0, 2) + name;
    const std::string member = "PK\x01\x02" + little(45, 2) + little(45, 2) + little(0, 2) + little(8, 2) + little(0, 4) + little(0, 4) +
                               little(body.size(), 4) + little(0xffffffff, 4) + little(name.size(), 2) + little(zip64.size(), 2) +
                               little(0, 2) + little(0, 2) + little(0, 2) + little(0, 4) + little(0, 4) + name + zip64;
    const std::string end = "PK\x05\x06" + little(0, 4) + little(1, 2) + little(1, 2) + little(member.size(), 4) +
                            little(local.size() + body.size(), 4) + little(0, 2);
    write_bytes(path, local + body + member + end);
    CHECK(one_line_with(message_of([&] { load(path); }), {"x.npz: images: is cut off: an array of shape (1048576, 1024, 1024)"}));
}

TEST_CASE("A mapped file's pixels lie within it") {
    const TemporaryFolder folder;
    write_bytes(folder / "x", "0123456789");
    const auto file = std::make_shared<const MappedFile>(folder / "x");
    const Pixels pixels = Pixels::of_mapped_bytes(file, 2, 8);
    CHECK((pixels.bytes().size() == 8 && pixels.bytes()[0] == '2' && pixels.floats().empty()));
    CHECK_THROWS_AS(Pixels::of_mapped_bytes(file, 3, 8), std::invalid_argument);
    CHECK_THROWS_AS(Pixels::of_mapped_bytes(file, 11, 0), std::invalid_argument);
    CHECK_THROWS_AS(Pixels::of_mapped_floats(file, 2, 2), std::invalid_argument);
    CHECK_THROWS_AS(Pixels::of_mapped_floats(file, 4, 2), std::invalid_argument);
    CHECK(Pixels::of_mapped_floats(file, 4, 1).floats().size() == 1);
    CHECK(one_line_with(message_of([&] { MappedFile{folder.path()}; }), {"is a folder, not a file"}));
    write_bytes(folder / "empty", "");
    CHECK(MappedFile(folder / "empty").bytes().empty());
}
