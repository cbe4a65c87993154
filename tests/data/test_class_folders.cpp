#include "runtime/data/class_folders.h"

#include "runtime/weights/safetensors.h"
#include "tests/data/picture_files.h"

#include <array>
#include <atomic>

using namespace halcyon;
namespace fs = std::filesystem;
using Names = std::vector<std::string>;
using Labels = std::vector<std::uint16_t>;

TEST_CASE("The subfolders of a folder are classes, sorted by bytes") {
    const TemporaryFolder folder;
    write_picture(folder / "b/2.png", 20);
    write_picture(folder / "b/10.png", 10);
    write_picture(folder / "b/deeper/still/1.PNG", 30);
    write_picture(folder / "B/1.png", 40);
    write_picture(folder / "\xc3\xa9t\xc3\xa9/\xff.png", 50);  // a file's name may be any bytes
    const auto source = open_source(request_for(folder.path(), 3));
    CHECK(source->description() == "class folders, 3 classes");
    CHECK(source->has(Split::train));
    CHECK(!source->has(Split::validation));
    CHECK(!source->has(Split::test));
    const Dataset data = source->load(Split::train, no_progress);
    CHECK(data.class_names == Names{"B", "b", "\xc3\xa9t\xc3\xa9"});
    CHECK(data.names == Names{"B/1.png", "b/10.png", "b/2.png", "b/deeper/still/1.PNG", "\xc3\xa9t\xc3\xa9/\xff.png"});
    CHECK(data.labels == Labels{0, 1, 1, 1, 2});
    CHECK(reds(data) == std::vector<int>{40, 10, 20, 30, 50});
    CHECK((data.h == 4 && data.w == 4 && data.c == 3 && data.classes == 3));
}

TEST_CASE("What is hidden and what is no picture is passed over") {
    const TemporaryFolder folder;
    write_picture(folder / "a/1.png", 1);
    write_picture(folder / "b/1.png", 2);
    write_picture(folder / "b/.2.png", 3);
    write_picture(folder / ".git/1.png", 4);
    write_picture(folder / "__MACOSX/b/1.png", 5);
    write_picture(folder / "beside.png", 6);
    for (const char *name : {"a/.DS_Store", "a/Thumbs.db", "a/desktop.ini", "a/notes.txt", "README.md"}) write_bytes(folder / name, "x");
    CHECK(load(request_for(folder.path(), 2)).names == Names{"a/1.png", "b/1.png"});
}

TEST_CASE("train/ with val/ and test/ beside it are splits") {
    const auto [train, val, test] =
        GENERATE(as<std::array<std::string, 3>>(), std::array<std::string, 3>{"train", "val", "test"},
                 std::array<std::string, 3>{"training", "validation", "testing"},
                 std::array<std::string, 3>{"training_set", "valid", "test_set"}, std::array<std::string, 3>{"Train", "Val", "Test"});
    const TemporaryFolder folder;
    write_picture(folder / (train + "/a/1.png"), 1);
    write_picture(folder / (train + "/b/1.png"), 2);
    write_picture(folder / (train + "/c/1.png"), 3);
    write_picture(folder / (val + "/c/1.png"), 4);  // a class may be missing there; the others keep their numbers
    write_picture(folder / (test + "/b/1.png"), 5);
    write_picture(folder / (test + "/c/1.png"), 6);
    fs::create_directories(folder / (test + "/not there"));
    const auto source = open_source(request_for(folder.path(), 3));
    CHECK(source->description() == "class folders, 3 classes, with " + val + "/ and " + test + "/");
    CHECK(source->load(Split::train, no_progress).labels == Labels{0, 1, 2});
    CHECK(source->load(Split::validation, no_progress).labels == Labels{2});
    const Dataset tested = source->load(Split::test, no_progress);
    CHECK(tested.labels == Labels{1, 2});
    CHECK(tested.class_names == Names{"a", "b", "c"});
    CHECK(tested.names == Names{test + "/b/1.png", test + "/c/1.png"});
}

TEST_CASE("A class may be called train, and test pictures may have no classes") {
    const TemporaryFolder folder;
    SECTION("a class") {
        for (const char *name : {"bus/1.png", "car/1.png", "train/1.png"}) write_picture(folder / name, 1);
        CHECK(load(request_for(folder.path(), 3)).class_names == Names{"bus", "car", "train"});
    }
    SECTION("no classes") {
        for (const char *name : {"train/a/1.png", "train/b/1.png", "test/1.png"}) write_picture(folder / name, 1);
        const auto source = open_source(request_for(folder.path(), 2));
        CHECK(!source->has(Split::test));
        CHECK(source->description() == "class folders, 2 classes");
    }
}

TEST_CASE("Links are followed, but not in circles") {
    const TemporaryFolder folder, elsewhere;
    write_picture(folder / "a/1.png", 1);
    write_picture(elsewhere / "far/2.png", 2);
    fs::create_directory_symlink(elsewhere / "far", folder / "b");
    fs::create_directory_symlink(folder / "a", folder / "a/again");
    fs::create_directory_symlink(folder.path(), folder / "a/up");
    CHECK(load(request_for(folder.path(), 2)).names == Names{"a/1.png", "b/2.png"});
}

TEST_CASE("Folders that hold no classes are refused in one line") {
    const TemporaryFolder folder;
    DataRequest request = request_for(folder.path(), 2);
    SECTION("an empty folder") {
        CHECK(one_line_with(refusal_of(request),
                            {folder.path().string(), "no images are recognised", "a subfolder of pictures for each class"}));
        request.format = "folder";
        CHECK(one_line_with(refusal_of(request), {folder.path().string(), "no folders of pictures", "cat/1.jpg"}));
    }
    SECTION("pictures without classes") {
        write_picture(folder / "1.png", 1);
        CHECK(one_line_with(refusal_of(request), {folder.path().string(), "pictures without classes", "subfolder"}));
    }
    SECTION("a class without pictures") {
        write_picture(folder / "a/1.png", 1);
        fs::create_directories(folder / "b/c");
        write_bytes(folder / "b/1.gif", "GIF89a");
        CHECK(one_line_with(refusal_of(request), {folder / "b", "no pictures", ".jpg"}));
    }
    SECTION("a class that is not trained on") {
        for (const char *name : {"train/a/1.png", "train/b/1.png", "val/c/1.png"}) write_picture(folder / name, 1);
        CHECK(one_line_with(refusal_of(request), {folder / "val/c", "no such class", "a, b"}));
    }
    SECTION("nothing to train on") {
        for (const char *name : {"val/a/1.png", "test/a/1.png"}) write_picture(folder / name, 1);
        CHECK(one_line_with(refusal_of(request), {folder.path().string(), "no train/ beside it"}));
    }
    SECTION("two folders for one split") {
        for (const char *name : {"train/a/1.png", "val/a/1.png", "valid/a/1.png"}) write_picture(folder / name, 1);
        CHECK(one_line_with(refusal_of(request), {folder.path().string(), "val/ and valid/"}));
    }
    SECTION("a name that is no UTF-8") {
        for (const char *name : {"a/1.png", "\xe9t\xe9/1.png"}) write_picture(folder / name, 1);
        CHECK(one_line_with(refusal_of(request), {"\xe9t\xe9", "UTF-8", "rename"}));
    }
    SECTION("another number of classes") {
        for (char name = 'a'; name <= 'l'; ++name) write_picture(folder / (std::string(1, name) + "/1.png"), 1);
        CHECK(one_line_with(refusal_of(request),
                            {folder.path().string(), "12 classes (a, b, c, d, e, f, g, h, i, j, ...)", "the model has 2"}));
    }
    SECTION("no folder") {
        request.path = folder / "file";
        request.format = "folder";
        write_bytes(request.path, "x");
        CHECK(one_line_with(refusal_of(request), {request.path.string(), "is no folder"}));
    }
}

TEST_CASE("All bad files are named before anything else happens") {
    const TemporaryFolder folder;
    write_picture(folder / "train/a/1.png", 1);
    write_picture(folder / "train/a/2.png", 2);
    write_picture(folder / "train/b/1.png", 3);
    write_picture(folder / "test/b/1.png", 4);
    write_bytes(folder / "train/a/1.jpg", "no picture");
    fs::create_symlink(folder / "nowhere", folder / "train/b/broken.png");
    fs::resize_file(folder / "train/a/2.png", 40);
    write_bytes(folder / "test/b/2.webp", "");
    DataRequest request = request_for(folder.path(), 2);
    SECTION("refused") {
        const auto source = open_source(request);
        const std::string message = message_of([&] { source->load(Split::train, no_progress); });
        CHECK(one_line_with(message, {folder.path().string(), "4 of 7 pictures cannot be read", "--skip-bad-files"}));
        const std::vector<BadFile> bad = source->bad_files();
        REQUIRE(bad.size() == 4);
        CHECK(bad[0].path == folder / "train/a/1.jpg");
        CHECK(one_line_with(bad[0].reason, {"JPEG, PNG, WebP or BMP"}));
        CHECK(bad[1].path == folder / "train/a/2.png");
        CHECK(one_line_with(bad[1].reason, {"truncated"}));
        CHECK(bad[2].path == folder / "train/b/broken.png");
        CHECK(bad[2].reason == "cannot be read: No such file or directory");
        CHECK(bad[3].path == folder / "test/b/2.webp");
    }
    SECTION("skipped") {
        request.skip_bad_files = true;
        const auto source = open_source(request);
        const Dataset data = source->load(Split::train, no_progress);
        CHECK(data.names == Names{"train/a/1.png", "train/b/1.png"});
        CHECK(data.labels == Labels{0, 1});
        CHECK(reds(data) == std::vector<int>{1, 3});
        CHECK(source->bad_files().size() == 3);
        CHECK(source->load(Split::test, no_progress).names == Names{"test/b/1.png"});
        CHECK(source->bad_files().size() == 4);
    }
    SECTION("nothing is left") {
        request.skip_bad_files = true;
        write_bytes(folder / "test/b/1.png", "");
        CHECK(one_line_with(message_of([&] { load(request, Split::test); }), {folder.path().string(), "none of these pictures"}));
    }
}

TEST_CASE("Pictures that a camera turned are counted, or turned back") {
    const TensorFile golden = read_safetensors(PICTURES);
    const std::span<const std::byte> file = golden.tensors.at("jpeg_exif6/file").bytes;
    const TemporaryFolder folder;
    write_picture(folder / "a/1.png", 1);
    fs::create_directories(folder / "b");
    write_bytes(folder / "b/1.jpg", {reinterpret_cast<const char *>(file.data()), file.size()});
    DataRequest request = request_for(folder.path(), 2);
    const auto source = open_source(request);
    source->load(Split::train, no_progress);
    REQUIRE(source->notes().size() == 1);
    CHECK(one_line_with(source->notes()[0], {"1 pictures have an EXIF orientation", "--apply-exif"}));

    request.pictures.apply_exif = true;
    const auto turning = open_source(request);
    turning->load(Split::train, no_progress);
    CHECK(turning->notes().empty());
    CHECK(turning->sizes(Split::train)->h.largest == source->sizes(Split::train)->w.largest);
}

#ifndef __SANITIZE_ADDRESS__  // the sanitizer of undefined behaviour, which comes with it, looks at objects through a pipe
TEST_CASE("What the machine cannot do is no fault of a picture's") {
    const TemporaryFolder folder;
    for (const char *name : {"a/1.png", "b/1.png", "b/2.png"}) write_picture(folder / name, 1);
    DataRequest request = request_for(folder.path(), 2);
    request.skip_bad_files = GENERATE(false, true);
    const auto source = open_source(request);
    std::string message;
    {
        const NoMoreFiles none;
        message = message_of([&] { source->load(Split::train, no_progress); });
    }
    CHECK(one_line_with(message, {folder.path().string(), ".png: cannot be read: Too many open files"}));
    CHECK(source->bad_files().empty());
    CHECK(load(request).size() == 3);
}
#endif

TEST_CASE("Records do not depend on the number of threads, and progress is told by one thread at a time") {
    const TemporaryFolder folder;
    for (int i = 0; i < 60; ++i) write_picture(folder / ((i % 2 ? "a/" : "b/") + std::to_string(i) + ".png"), std::uint8_t(i), 3 + i, 50);
    write_bytes(folder / "a/7.png", "bad");
    DataRequest request = request_for(folder.path(), 2);
    request.skip_bad_files = true;
    std::vector<std::vector<std::uint8_t>> records;
    for (request.threads = 1; request.threads <= 3; ++request.threads) {
        std::atomic<int> inside = 0;
        const auto progress = [&](std::size_t done, std::size_t all) {
            CHECK(++inside == 1);
            CHECK((done <= all && all == 60));
            --inside;
        };
        const auto source = open_source(request);
        const Dataset data = source->load(Split::train, progress);
        records.emplace_back(data.pixels.bytes().begin(), data.pixels.bytes().end());
        CHECK(data.size() == 59);
        const PictureSizes sizes = *source->sizes(Split::train);
        CHECK((sizes.h.smallest == 3 && sizes.h.median == 33 && sizes.h.largest == 62 && sizes.w.median == 50));
    }
    CHECK(records[0] == records[1]);
    CHECK(records[0] == records[2]);
}
