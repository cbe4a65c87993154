#include "runtime/data/cifar10.h"

#include "tests/catch.h"
#include "tests/data/files.h"

#include <cstdlib>
#include <sys/stat.h>

using namespace halcyon;

namespace {

constexpr int image_bytes = 3072;

/// The byte `i` of the image of record `number`.
std::uint8_t byte_of(int number, int i) { return std::uint8_t(number * 31 + i * 7 + i / 1024 * 3); }

std::string record(int label, int number) {
    std::string bytes(1, char(label));
    for (int i = 0; i < image_bytes; i++) bytes += char(byte_of(number, i));
    return bytes;
}

/// Training files of one to five records and a test file of two, in `folder`.
void write_small_cifar(const std::filesystem::path &folder) {
    std::filesystem::create_directories(folder);
    int number = 0;
    for (int file = 1; file <= 5; file++) {
        std::string bytes;
        for (int i = 0; i < file; i++, number++) bytes += record(number % 10, number);
        write_bytes(folder / ("data_batch_" + std::to_string(file) + ".bin"), bytes);
    }
    write_bytes(folder / "test_batch.bin", record(9, 100) + record(0, 101));
}

}  // namespace

TEST_CASE("CIFAR-10's files are read in their order, images apart from labels") {
    const TemporaryFolder folder;
    const std::string inner = GENERATE("", "cifar-10-batches-bin");
    write_small_cifar(folder / inner);

    const Dataset train = load_cifar10(folder.path(), Split::train);
    REQUIRE(train.size() == 15);
    CHECK((train.h == 32 && train.w == 32 && train.c == 3 && train.classes == 10));
    const std::span<const std::uint8_t> images = train.pixels.bytes();
    REQUIRE(images.size() == std::size_t(15 * image_bytes));
    for (int i = 0; i < 15; i++) {
        CHECK(train.labels[i] == i % 10);
        for (int c = 0; c < 3; c++)
            for (const int pixel : {0, 1, 32, 1022, 1023}) CHECK(images[i * image_bytes + 3 * pixel + c] == byte_of(i, 1024 * c + pixel));
    }
    const Dataset test = load_cifar10(folder.path(), Split::test);
    CHECK(test.labels == std::vector<std::uint16_t>{9, 0});
}

TEST_CASE("A file longer than one chunk is read whole") {
    const TemporaryFolder folder;
    std::string bytes;
    for (int i = 0; i < 150; i++) bytes += record(i % 10, i);
    write_bytes(folder / "test_batch.bin", bytes);
    const Dataset test = load_cifar10(folder.path(), Split::test);
    REQUIRE(test.size() == 150);
    bool equal = true;
    for (int i = 0; i < 150; i++) equal = equal && test.labels[i] == i % 10 && test.pixels.bytes()[i * image_bytes + 1] == byte_of(i, 1024);
    CHECK(equal);
}

TEST_CASE("The names of the classes come from batches.meta.txt, or are the published ones") {
    const TemporaryFolder folder;
    write_small_cifar(folder.path());
    const std::vector<std::string> published = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
    CHECK(load_cifar10(folder.path(), Split::test).class_names == published);

    write_bytes(folder / "batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\r\nj\n\n");
    CHECK(load_cifar10(folder.path(), Split::test).class_names ==
          std::vector<std::string>{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"});

    write_bytes(folder / "batches.meta.txt", "a\nb\n");
    const std::string message = message_of([&] { load_cifar10(folder.path(), Split::test); });
    CHECK(one_line_with(message, {"batches.meta.txt: 2 class names instead of 10"}));
}

TEST_CASE("What is wrong with CIFAR-10's files is said in one line") {
    const TemporaryFolder folder;
    write_small_cifar(folder.path());
    std::filesystem::path data = folder.path();
    std::vector<std::string> expected;
    SECTION("no folder") {
        data = folder / "nowhere";
        expected = {"nowhere: no such folder", "cs.toronto.edu"};
    }
    SECTION("a missing file") {
        std::filesystem::remove(folder / "data_batch_3.bin");
        expected = {"data_batch_3.bin: No such file", "cs.toronto.edu"};
    }
    SECTION("a truncated file") {
        std::filesystem::resize_file(folder / "data_batch_2.bin", 6145);
        expected = {"data_batch_2.bin: 6145 bytes are no whole number of records of 3073 bytes", "truncated"};
    }
    SECTION("an empty file") {
        std::filesystem::resize_file(folder / "data_batch_5.bin", 0);
        expected = {"data_batch_5.bin: is an empty file, not CIFAR-10's records", "cs.toronto.edu"};
    }
    SECTION("a Git LFS pointer") {
        write_bytes(folder / "data_batch_5.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 30730000\n");
        expected = {"data_batch_5.bin: is a Git LFS pointer", "git lfs pull"};
    }
    SECTION("the version for Python") {
        write_bytes(folder / "data_batch_5.bin", "\x80\x02}q\x01(U\x0b"
                                                 "batch_labelq\x02");
        expected = {"data_batch_5.bin: is a Python pickle", "binary version"};
    }
    SECTION("a pipe") {
        std::filesystem::remove(folder / "data_batch_3.bin");
        mkfifo((folder / "data_batch_3.bin").c_str(), 0600);
        expected = {"data_batch_3.bin: is no regular file"};
    }
    SECTION("a device") {
        std::filesystem::remove(folder / "data_batch_3.bin");
        std::filesystem::create_symlink("/dev/zero", folder / "data_batch_3.bin");
        expected = {"data_batch_3.bin: is no regular file"};
    }
    SECTION("a folder in a file's place") {
        std::filesystem::remove(folder / "data_batch_3.bin");
        std::filesystem::create_directory(folder / "data_batch_3.bin");
        expected = {"data_batch_3.bin: is a folder, not a file"};
    }
    SECTION("a file in the folder's place") {
        data = folder / "test_batch.bin";
        expected = {"test_batch.bin: is no folder", "cs.toronto.edu"};
    }
    SECTION("more images than can be numbered") {
        std::filesystem::resize_file(folder / "data_batch_1.bin", std::uintmax_t{3073} << 31);  // a hole
        expected = {folder.path().string(), "2147483662 images are too many"};
    }
    SECTION("a pipe for the names") {
        mkfifo((folder / "batches.meta.txt").c_str(), 0600);
        expected = {"batches.meta.txt: is no regular file"};
    }
    SECTION("names that a terminal would obey") {
        write_bytes(folder / "batches.meta.txt", "a\nb\n\x1b[31mred\nd\ne\nf\ng\nh\ni\nj\n");
        expected = {"batches.meta.txt: the class name", "red", "control characters"};
    }
    SECTION("names in Latin-1") {
        write_bytes(folder / "batches.meta.txt", "a\nb\nM\xe4"
                                                 "dchen\nd\ne\nf\ng\nh\ni\nj\n");
        expected = {"batches.meta.txt: the class name", "UTF-8"};
    }
    SECTION("a label over 9") {
        write_bytes(folder / "data_batch_4.bin", record(3, 0) + record(4, 1) + record(10, 2) + record(5, 3));
        expected = {"data_batch_4.bin: record 2 has the label 10"};
    }
    const std::string message = message_of([&] { load_cifar10(data, Split::train); });
    INFO(message);
    CHECK(one_line_with(message, expected));
}

TEST_CASE("The published CIFAR-10") {
    const char *folder = std::getenv("CIFAR10_DIR");
    if (!folder) {
        WARN("skipped: set CIFAR10_DIR to the folder with data_batch_1.bin");
        return;
    }
    for (Split split : {Split::train, Split::test}) {
        const int images = split == Split::train ? 50000 : 10000;
        const Dataset data = load_cifar10(folder, split);
        REQUIRE(data.size() == images);
        std::vector<int> counts(10);
        for (const int label : data.labels) counts[label]++;
        CHECK(counts == std::vector<int>(10, images / 10));
        CHECK(data.class_names[9] == "truck");
        CHECK(data.labels[0] == (split == Split::train ? 6 : 3));  // a frog, a cat
    }
}
