#include "runtime/data/idx.h"

#include "tests/catch.h"
#include "tests/data/arrays.h"
#include "tests/data/files.h"

#include <zlib.h>

using namespace halcyon;
using namespace halcyon::tests;
namespace fs = std::filesystem;

namespace {

const fs::path arrays = ARRAYS;  // make_arrays.py made them

std::string big_endian(std::uint32_t value) {
    return {char(value >> 24 & 255), char(value >> 16 & 255), char(value >> 8 & 255), char(value & 255)};
}

/// An IDX file of make_arrays.py's images, (N, 4, 3).
std::string images_idx(int images) {
    std::string bytes = big_endian(0x803) + big_endian(std::uint32_t(images)) + big_endian(4) + big_endian(3);
    for (int n = 0; n < images; ++n)
        for (int y = 0; y < 4; ++y)
            for (int x = 0; x < 3; ++x) bytes += char(value_of(n, y, x, 0));
    return bytes;
}

std::string labels_idx(int images) {
    std::string bytes = big_endian(0x801) + big_endian(std::uint32_t(images));
    for (int n = 0; n < images; ++n) bytes += char(n % 3);
    return bytes;
}

void write_gz(const fs::path &images, const fs::path &labels) {
    fs::copy_file(arrays / "images-idx3-ubyte.gz", images);
    fs::copy_file(arrays / "labels-idx1-ubyte.gz", labels);
}

}  // namespace

TEST_CASE("idx: MNIST's files, in the folder or in raw/, with a hyphen or a full stop") {
    const TemporaryFolder folder;
    const std::string inner = GENERATE("", "raw", "gzip"), dot = GENERATE("-", ".");
    fs::create_directories(folder / inner);
    write_bytes(folder / inner / ("train-images" + dot + "idx3-ubyte"), images_idx(5));
    write_bytes(folder / inner / ("train-labels" + dot + "idx1-ubyte"), labels_idx(5));
    const auto source = open_source(request_of(folder.path(), 10));
    CHECK(source->description() == "IDX files (MNIST's form)");
    CHECK((source->has(Split::train) && !source->has(Split::test) && !source->has(Split::validation)));
    const Dataset train = source->load(Split::train, {});
    CHECK(is_formula(train, 5, 4, 3, 1));
    CHECK((train.pixels.are_mapped() && train.classes == 10 && train.class_names.back() == "9"));

    write_bytes(folder / inner / ("t10k-images" + dot + "idx3-ubyte"), images_idx(2));
    write_bytes(folder / inner / ("t10k-labels" + dot + "idx1-ubyte"), labels_idx(2));
    CHECK(is_formula(load(folder.path(), Split::test), 2, 4, 3, 1));
}

TEST_CASE("idx: compressed files; of both the plain ones are read") {
    const TemporaryFolder folder;
    write_gz(folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte.gz");
    const Dataset compressed = load(folder.path());
    CHECK(is_formula(compressed, 5, 4, 3, 1));
    CHECK_FALSE(compressed.pixels.are_mapped());
    write_bytes(folder / "train-images-idx3-ubyte", images_idx(4));
    write_bytes(folder / "train-labels-idx1-ubyte", labels_idx(4));
    CHECK(is_formula(load(folder.path()), 4, 4, 3, 1));

    // Several members, one after the other, are one file.
    const std::string member = read_bytes(arrays / "labels-idx1-ubyte.gz");
    write_bytes(folder / "train-labels-idx1-ubyte.gz", member + member);
    fs::remove(folder / "train-labels-idx1-ubyte");
    CHECK(one_line_with(message_of([&] { load(folder.path()); }), {"train-labels-idx1-ubyte.gz: 5 labels for 4 images"}));
    fs::remove(folder / "train-images-idx3-ubyte");
    CHECK(one_line_with(message_of([&] { load(folder.path()); }), {"train-labels-idx1-ubyte.gz: holds more than its header says"}));
}

TEST_CASE("idx: several sets in one folder, of which one is named by its images") {
    const TemporaryFolder folder;
    for (const std::string set : {"emnist-digits-", "emnist-letters-"}) {
        write_gz(folder / (set + "train-images-idx3-ubyte.gz"), folder / (set + "train-labels-idx1-ubyte.gz"));
        write_gz(folder / (set + "test-images-idx3-ubyte.gz"), folder / (set + "test-labels-idx1-ubyte.gz"));
    }
    CHECK(one_line_with(message_of([&] { load(folder.path()); }), {"holds several sets (emnist-digits-*, emnist-letters-*); give --data"}));
    const auto source = open_source(request_of(folder / "emnist-letters-train-images-idx3-ubyte.gz"));
    CHECK(source->description() == "IDX files emnist-letters-*");
    CHECK(is_formula(source->load(Split::train, {}), 5, 4, 3, 1));
    CHECK(is_formula(source->load(Split::test, {}), 5, 4, 3, 1));
}

TEST_CASE("idx: what is wrong is said in one line") {
    const TemporaryFolder folder;
    std::string images = images_idx(5), labels = labels_idx(5), end;
    std::vector<std::string> expected;
    SECTION("cut off") {
        images.pop_back();
        expected = {"train-images-idx3-ubyte: is cut off: its header says 60 values"};
    }
    SECTION("cut off in the header") {
        images.resize(10);
        expected = {"train-images-idx3-ubyte: is cut off"};
    }
    SECTION("too long") {
        images += '\0';
        expected = {"train-images-idx3-ubyte: holds more than its header says"};
    }
    SECTION("more values than can be counted") {
        images = big_endian(0x803) + big_endian(~0u) + big_endian(~0u) + big_endian(~0u);
        expected = {"train-images-idx3-ubyte: is cut off"};
    }
    SECTION("no images") {
        images = images_idx(0);
        labels = labels_idx(0);
        expected = {"train-images-idx3-ubyte: holds no images"};
    }
    SECTION("fewer labels") {
        labels = labels_idx(4);
        expected = {"train-labels-idx1-ubyte: 4 labels for 5 images"};
    }
    SECTION("a label beyond the classes") {
        labels.back() = 26;
        expected = {"train-labels-idx1-ubyte: image 4 has the label 26, but the model's 3 classes are 0 to 2"};
    }
    SECTION("labels in the images' place") {
        images = labels;
        expected = {"train-images-idx3-ubyte: is not an IDX file of bytes in 3 dimensions"};
    }
    SECTION("a Git LFS pointer") {
        images = "version https://git-lfs.github.com/spec/v1\n";
        expected = {"train-images-idx3-ubyte: is a Git LFS pointer", "git lfs pull"};
    }
    SECTION("empty") {
        labels = "";
        expected = {"train-labels-idx1-ubyte: is an empty file"};
    }
    SECTION("a page in an archive's place") {
        images = "<!DOCTYPE html><title>404</title>";
        end = ".gz";
        expected = {"train-images-idx3-ubyte.gz: is an HTML page, not a gzip archive"};
    }
    SECTION("a damaged archive") {
        images = read_bytes(arrays / "images-idx3-ubyte.gz");
        images[images.size() - 20] = char(images[images.size() - 20] ^ 0x55);
        end = ".gz";
        expected = {"train-images-idx3-ubyte.gz: is damaged"};
    }
    SECTION("an archive that is cut off") {
        images = read_bytes(arrays / "images-idx3-ubyte.gz");
        images.pop_back();
        end = ".gz";
        expected = {"train-images-idx3-ubyte.gz: is cut off"};
    }
    SECTION("an archive that claims more than it can hold") {
        const std::string header = big_endian(0x803) + big_endian(1 << 20) + big_endian(1 << 10) + big_endian(1 << 10);
        const gzFile file = gzopen((folder / "bomb").c_str(), "wb");
        gzwrite(file, header.data(), unsigned(header.size()));
        gzclose(file);
        images = read_bytes(folder / "bomb");
        end = ".gz";
        expected = {"train-images-idx3-ubyte.gz: is cut off: its header says 1099511627776 values"};
    }
    write_bytes(folder / ("train-images-idx3-ubyte" + end), images);
    write_bytes(folder / "train-labels-idx1-ubyte", labels);
    const std::string message = message_of([&] { load(folder.path()); });
    INFO(message);
    CHECK(one_line_with(message, expected));
}

TEST_CASE("idx: labels are missing") {
    const TemporaryFolder folder;
    write_bytes(folder / "train-images-idx3-ubyte", images_idx(5));
    CHECK(one_line_with(message_of([&] { load(folder.path()); }), {"train-images-idx3-ubyte: there are no labels beside it"}));
}
