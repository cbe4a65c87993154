#include "runtime/data/cifar100.h"

#include "tests/catch.h"
#include "tests/data/arrays.h"
#include "tests/data/files.h"

using namespace halcyon;
using namespace halcyon::tests;
namespace fs = std::filesystem;

namespace {

std::string record(int coarse, int fine, int number) {
    std::string bytes = {char(coarse), char(fine)};
    for (int i = 0; i < 3072; ++i) bytes += char(number * 31 + i * 7 + i / 1024 * 3);
    return bytes;
}

std::string lines(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "name" + std::to_string(i) + '\n';
    return text;
}

void write_small(const fs::path &folder) {
    fs::create_directories(folder);
    write_bytes(folder / "train.bin", record(19, 99, 0) + record(3, 7, 1) + record(0, 0, 2));
    write_bytes(folder / "test.bin", record(4, 50, 3));
    write_bytes(folder / "fine_label_names.txt", lines(100));
    write_bytes(folder / "coarse_label_names.txt", lines(20));
}

}  // namespace

TEST_CASE("CIFAR-100: fine labels and coarse ones, and their names") {
    const TemporaryFolder folder;
    write_small(folder / std::string(GENERATE("", "cifar-100-binary")));
    DataRequest request = request_of(folder.path(), 100);
    const auto fine = open_source(request);
    CHECK(fine->description() == "CIFAR-100, the 100 fine labels");
    CHECK((fine->has(Split::test) && !fine->has(Split::validation)));
    const Dataset train = fine->load(Split::train, {});
    CHECK(train.labels == std::vector<std::uint16_t>{99, 7, 0});
    CHECK((train.classes == 100 && train.class_names[99] == "name99"));
    for (const int c : {0, 1, 2}) CHECK(train.pixels.bytes()[3072 + 3 * 5 + c] == std::uint8_t(31 + (1024 * c + 5) * 7 + c * 3));
    CHECK(fine->load(Split::test, {}).labels == std::vector<std::uint16_t>{50});

    request.labels = "coarse";
    const Dataset coarse = open_source(request)->load(Split::train, {});
    CHECK(coarse.labels == std::vector<std::uint16_t>{19, 3, 0});
    CHECK((coarse.classes == 20 && coarse.class_names.size() == 20));
}

TEST_CASE("CIFAR-100: what is wrong is said in one line") {
    const TemporaryFolder folder;
    write_small(folder.path());
    DataRequest request = request_of(folder.path(), 100);
    std::vector<std::string> expected;
    SECTION("cut off") {
        fs::resize_file(folder / "train.bin", 3073);
        expected = {"train.bin: 3073 bytes are no whole number of records of 3074 bytes", "CIFAR-100 binary version"};
    }
    SECTION("a fine label over 99") {
        write_bytes(folder / "train.bin", record(1, 1, 0) + record(1, 100, 0));
        expected = {"train.bin: record 1 has the label 100, CIFAR-100's go from 0 to 99"};
    }
    SECTION("a coarse label over 19") {
        write_bytes(folder / "train.bin", record(20, 1, 0));
        request.labels = "coarse";
        expected = {"train.bin: record 0 has the label 20, CIFAR-100's go from 0 to 19"};
    }
    SECTION("the version for Python") {
        write_bytes(folder / "train.bin", "\x80\x02}q\x01(U\x0b"
                                          "batch_labelq\x02");
        expected = {"train.bin: is a Python pickle"};
    }
    SECTION("names are missing") {
        write_bytes(folder / "fine_label_names.txt", lines(99));
        expected = {"fine_label_names.txt: 99 class names instead of 100"};
    }
    SECTION("other labels") {
        request.labels = "medium";
        expected = {"--labels medium: labels are fine or coarse"};
    }
    SECTION("coarse labels of another source") {
        request.format = "cifar10";
        request.labels = "coarse";
        expected = {"--labels coarse is for CIFAR-100, but this is a folder with CIFAR-10's binary files"};
    }
    const std::string message = message_of([&] { open_source(request)->load(Split::train, {}); });
    INFO(message);
    CHECK(one_line_with(message, expected));
}
