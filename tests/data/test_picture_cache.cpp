#include "runtime/data/picture_cache.h"

#include "runtime/data/npy.h"
#include "tests/data/picture_files.h"

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sys/mount.h>
#include <thread>
#include <unistd.h>

using namespace halcyon;
namespace fs = std::filesystem;

namespace {

/// Pictures in two classes, and a folder for their cache.
struct Cached {
    TemporaryFolder folder, cache;
    DataRequest request = request_for(folder.path(), 2);

    Cached() {
        for (int i = 0; i < 10; ++i)
            write_picture(folder / ("train/" + std::string(i % 2 ? "a/" : "b/") + std::to_string(i) + ".png"), std::uint8_t(i));
        write_picture(folder / "test/b/1.png", 99);
        request.cache = cache.path();
    }

    DataRequest in_memory() const {
        DataRequest uncached = request;
        uncached.cache.clear();
        return uncached;
    }

    /// The folders of sets.
    std::vector<fs::path> sets() const { return {fs::directory_iterator(cache.path()), {}}; }
    fs::path set() const {
        REQUIRE(sets().size() == 1);
        return sets()[0];
    }
};

/// 64 KiB of disk at a folder.
struct SmallDisk {
    fs::path place;
    bool mounted;

    explicit SmallDisk(fs::path at) : place(std::move(at)), mounted(mount("none", place.c_str(), "tmpfs", 0, "size=64k") == 0) {}
    SmallDisk(const SmallDisk &) = delete;
    SmallDisk &operator=(const SmallDisk &) = delete;
    ~SmallDisk() {
        if (mounted) umount(place.c_str());
    }
};

bool same(const Dataset &a, const Dataset &b) {
    return std::ranges::equal(a.pixels.bytes(), b.pixels.bytes()) && a.labels == b.labels && a.names == b.names &&
           a.class_names == b.class_names && a.h == b.h && a.w == b.w && a.c == b.c && a.classes == b.classes;
}

const std::vector<std::string> all_files = {"classes.json",       "pictures.json",    "test/images.npy",  "test/labels.npy",
                                            "test/manifest.json", "train/images.npy", "train/labels.npy", "train/manifest.json"};

}  // namespace

TEST_CASE("A cache has the records that decoding gives, and is reused") {
    Cached cached;
    const Dataset expected = load(cached.in_memory());
    CHECK(!expected.pixels.are_mapped());
    cached.request.threads = 1;
    const Dataset made = load(cached.request);
    load(cached.request, Split::test);
    CHECK(made.pixels.are_mapped());
    CHECK(same(made, expected));
    CHECK(files_in(cached.set()) == all_files);
    const auto written = fs::last_write_time(cached.set() / "train/images.npy");
    const auto source = open_source(cached.request);
    CHECK(same(source->load(Split::train, no_progress), expected));
    CHECK(source->notes().empty());
    CHECK(source->sizes(Split::train)->w.median == 8);
    CHECK(fs::last_write_time(cached.set() / "train/images.npy") == written);
    CHECK(read_bytes(cached.set() / "classes.json") == "[\"a\",\"b\"]\n");
    CHECK(nlohmann::json::parse(read_bytes(cached.set() / "train/manifest.json")).at("root") == cached.folder.path().string());
}

TEST_CASE("The folder of a cache is a set of its own") {
    const Cached cached;
    const Dataset expected = load(cached.request);
    load(cached.request, Split::test);
    const auto source = open_source(request_for(cached.set(), 2));
    CHECK(source->pictures() == PictureOptions());
    Dataset data = source->load(Split::train, no_progress);
    data.names = expected.names;
    CHECK(same(data, expected));
    CHECK(source->load(Split::test, no_progress).labels == std::vector<std::uint16_t>{1});
}

TEST_CASE("Another time, size, path, label or treatment is another set") {
    const Cached cached;
    load(cached.request);
    DataRequest request = cached.request;
    const fs::path picture = cached.folder / "train/a/1.png";
    SECTION("time") { fs::last_write_time(picture, fs::last_write_time(picture) + std::chrono::nanoseconds(1)); }
    SECTION("size") {
        const auto time = fs::last_write_time(picture);
        fs::resize_file(picture, fs::file_size(picture) + 1);
        fs::last_write_time(picture, time);
    }
    SECTION("path") { fs::rename(picture, cached.folder / "train/a/0.png"); }
    SECTION("label") { fs::rename(picture, cached.folder / "train/b/1.png"); }
    SECTION("another file") { write_picture(cached.folder / "train/a/11.png", 1); }
    SECTION("height") { request.h = 5; }
    SECTION("channels") { request.c = 1; }
    SECTION("resize") { request.pictures.resize = Resize::nearest; }
    SECTION("fit") { request.pictures.fit = Fit::pad; }
    SECTION("alpha") { request.pictures.alpha = Alpha::white; }
    SECTION("orientation") { request.pictures.apply_exif = true; }
    load(request);
    CHECK(cached.sets().size() == 2);
}

TEST_CASE("A damaged cache is made anew") {
    const Cached cached;
    const Dataset expected = load(cached.in_memory());  // no mapping of what is damaged
    load(cached.request);
    const fs::path train = cached.set() / "train";
    const std::string manifest = read_bytes(train / "manifest.json");
    const auto with = [&](const char *key, const nlohmann::json &value) {
        auto changed = nlohmann::json::parse(manifest);
        changed[key] = value;
        return changed.dump();
    };
    SECTION("an array is missing") { fs::remove(train / "labels.npy"); }
    SECTION("images are truncated") { fs::resize_file(train / "images.npy", fs::file_size(train / "images.npy") - 1); }
    SECTION("images are longer") { fs::resize_file(train / "images.npy", fs::file_size(train / "images.npy") + 1); }
    SECTION("the header differs") {
        std::string bytes = read_bytes(train / "images.npy");
        bytes[bytes.find("|u1") + 1] = 'i';
        write_bytes(train / "images.npy", bytes);
    }
    SECTION("a label differs") {
        std::string bytes = read_bytes(train / "labels.npy");
        bytes.back() = char(bytes.back() ^ 1);
        write_bytes(train / "labels.npy", bytes);
    }
    SECTION("no manifest") { fs::remove(train / "manifest.json"); }
    SECTION("no JSON") { write_bytes(train / "manifest.json", "{"); }
    SECTION("no object") { write_bytes(train / "manifest.json", "[]"); }
    SECTION("another version") { write_bytes(train / "manifest.json", with("version", 0)); }
    SECTION("another number of images") { write_bytes(train / "manifest.json", with("images", 9)); }
    SECTION("an impossible number") { write_bytes(train / "manifest.json", with("turned", -1)); }
    SECTION("skipped beyond the end") { write_bytes(train / "manifest.json", with("skipped", {{10, "?"}})); }
    SECTION("skipped in no order") { write_bytes(train / "manifest.json", with("skipped", {{1, "?"}, {1, "?"}})); }
    SECTION("a file in the folder's place") {
        fs::remove_all(train);
        write_bytes(train, "x");
    }
    const auto source = open_source(cached.request);
    CHECK(same(source->load(Split::train, no_progress), expected));
    REQUIRE(source->notes().size() == 1);
    CHECK(one_line_with(source->notes()[0], {train, "damaged", "made anew"}));
    CHECK(read_bytes(train / "manifest.json") == manifest);
    CHECK(files_in(cached.set()).size() == 5);
    const auto again = open_source(cached.request);
    again->load(Split::train, no_progress);
    CHECK(again->notes().empty());
}

TEST_CASE("A cache remembers what was skipped") {
    Cached cached;
    write_bytes(cached.folder / "train/a/2.jpg", "bad");
    CHECK(one_line_with(refusal_of(cached.request), {"1 of 12 pictures cannot be read"}));
    CHECK(files_in(cached.set()) ==
          std::vector<std::string>{"classes.json", "pictures.json", "test/images.npy", "test/labels.npy", "test/manifest.json"});
    cached.request.skip_bad_files = true;
    const Dataset made = load(cached.request);
    CHECK(made.size() == 10);
    const auto source = open_source(cached.request);
    CHECK(same(source->load(Split::train, no_progress), made));
    REQUIRE(source->bad_files().size() == 1);
    CHECK(source->bad_files()[0].path == cached.folder / "train/a/2.jpg");
    cached.request.skip_bad_files = false;
    CHECK(one_line_with(refusal_of(cached.request), {"1 of 12 pictures cannot be read"}));
}

TEST_CASE("Several may make a cache at once") {
    const Cached cached;
    const Dataset expected = load(cached.in_memory());
    std::vector<Dataset> made(4);
    {
        std::vector<std::jthread> threads;
        for (Dataset &data : made) threads.emplace_back([&] { data = open_source(cached.request)->load(Split::train, no_progress); });
    }
    for (const Dataset &data : made) CHECK(same(data, expected));
    CHECK(files_in(cached.set()).size() == 5);  // nothing half made is left
}

TEST_CASE("A cache that cannot be written is one line, and leaves nothing") {
    Cached cached;
    SECTION("no folder") {
        write_bytes(cached.cache / "file", "x");
        cached.request.cache = cached.cache / "file";
        CHECK(one_line_with(refusal_of(cached.request), {}));
    }
    SECTION("a disk that is too small, or full") {
        const SmallDisk disk(cached.cache.path());
        if (!disk.mounted) {
            WARN("skipped: a disk needs root");
            return;
        }
        const bool full = GENERATE(false, true);
        if (full) write_bytes(cached.cache / "filler", std::string(52 << 10, 'x'));  // three pages are left, and four files to write
        if (!full) cached.request.h = cached.request.w = 4000;
        const std::string message = refusal_of(cached.request);
        CAPTURE(message);
        CHECK(one_line_with(message, {cached.cache.path(), full ? "No space left" : "give another --cache"}));
        std::vector<std::string> left = files_in(cached.cache.path());
        std::erase(left, "filler");
        CHECK(left.empty());
    }
}

#ifndef __SANITIZE_ADDRESS__  // the sanitizer of undefined behaviour, which comes with it, looks at objects through a pipe
TEST_CASE("A cache that the machine cannot read now is not damaged") {
    const Cached cached;
    load(cached.request);
    const auto written = fs::last_write_time(cached.set() / "train/images.npy");
    const auto source = open_source(cached.request);
    std::string message;
    {
        const NoMoreFiles none;
        message = message_of([&] { source->load(Split::train, no_progress); });
    }
    CHECK(one_line_with(message, {cached.set() / "train", "cannot be read: Too many open files"}));
    const auto again = open_source(cached.request);
    again->load(Split::train, no_progress);
    CHECK(again->notes().empty());
    CHECK(fs::last_write_time(cached.set() / "train/images.npy") == written);
}
#endif

TEST_CASE("The default cache is where the system wants it") {
    const auto set = [](const char *name, const char *value) { value ? setenv(name, value, 1) : unsetenv(name); };
    const char *const xdg = std::getenv("XDG_CACHE_HOME"), *const home = std::getenv("HOME");
    const std::string xdg_before = xdg ? xdg : "", home_before = home ? home : "";
    set("XDG_CACHE_HOME", "/x");
    CHECK(default_cache("") == "/x/halcyon");
    set("XDG_CACHE_HOME", "relative");  // to be passed over, says the specification
    set("HOME", "/home/somebody");
    CHECK(default_cache("") == "/home/somebody/.cache/halcyon");
    set("XDG_CACHE_HOME", nullptr);
    set("HOME", nullptr);
    CHECK(one_line_with(message_of([] { default_cache("it is needed"); }), {"HOME", "it is needed"}));
    set("XDG_CACHE_HOME", xdg ? xdg_before.c_str() : nullptr);
    set("HOME", home ? home_before.c_str() : nullptr);
}

TEST_CASE("Pictures that do not fit into memory go to the default cache") {
    const TemporaryFolder folder;
    for (const char *name : {"a/1.png", "b/1.png"}) write_picture(folder / name, 1);
    DataRequest request = request_for(folder.path(), 2);
    request.h = request.w = 1 << 20;  // 3 TiB a picture
    CHECK(one_line_with(refusal_of(request), {"halcyon", "the decoded pictures need 6291456 MiB", "give another --cache"}));
}
