#include "runtime/data/picture_files.h"

#include "tests/catch.h"
#include "tests/data/files.h"

#include <sys/stat.h>
#include <unistd.h>

using namespace halcyon;
namespace fs = std::filesystem;

namespace {

/// Makes empty files, and the folders that they need.
void make_files(const fs::path &root, const std::vector<std::string> &paths) {
    for (const std::string &path : paths) {
        fs::create_directories((root / path).parent_path());
        write_bytes(root / path, "");
    }
}

std::vector<std::string> paths_of(const std::vector<std::string> &names) {
    std::vector<std::string> paths;
    for (const PictureFile &file : picture_files(names)) {
        CHECK(file.failure.empty());
        paths.push_back(file.path);
    }
    return paths;
}

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("The pictures of a folder are those below it by their names, sorted by bytes") {
    const TemporaryFolder folder;
    make_files(folder.path(), {"b/2.png", "b/10.JPG", "a.webp", "B.bmp", "b.jpeg", "b/c/d.jpg", "notes.txt", ".hidden.png", ".git/x.png",
                               "__MACOSX/y.png", "png", "caf\xe9.png"});
    fs::create_directory_symlink(folder.path(), folder / "b/up");  // leads back
    fs::create_symlink(folder / "a.webp", folder / "link.png");
    CHECK(find_pictures(folder.path()) ==
          Paths{"B.bmp", "a.webp", "b.jpeg", "b/10.JPG", "b/2.png", "b/c/d.jpg", "caf\xe9.png", "link.png"});
}

TEST_CASE("Names stand for files, folders and patterns, in their order") {
    const TemporaryFolder folder;
    make_files(folder.path(), {"b.png", "a.png", "c.txt", "[x].png", "x.png", "deep/1.jpg", "deep/2.jpg"});
    const std::string root = folder.path().string() + "/";
    CHECK(paths_of({root + "c.txt", root + "b.png", root + "c.txt"}) == Paths{root + "c.txt", root + "b.png", root + "c.txt"});
    CHECK(paths_of({root + "deep", root + "deep/"}) ==
          Paths{root + "deep/1.jpg", root + "deep/2.jpg", root + "deep/1.jpg", root + "deep/2.jpg"});
    CHECK(paths_of({root + "?.png"}) == Paths{root + "a.png", root + "b.png", root + "x.png"});
    CHECK(paths_of({root + "d*"}) == Paths{root + "deep/1.jpg", root + "deep/2.jpg"});
    CHECK(paths_of({root + "[x].png"}) == Paths{root + "[x].png"});  // there is such a file
    CHECK(paths_of({root + "[ab].png"}) == Paths{root + "a.png", root + "b.png"});
    CHECK(paths_of({root + "*.gif", root + "none.png"}) == Paths{root + "*.gif", root + "none.png"});  // reading them fails
}

TEST_CASE("A folder without pictures is one failure beside the others' files") {
    const TemporaryFolder folder;
    make_files(folder.path(), {"texts/a.txt", "a.png"});
    const std::string texts = folder / "texts", picture = folder / "a.png";
    const std::vector<PictureFile> files = picture_files(Paths{texts, picture});
    REQUIRE(files.size() == 2);
    CHECK(files[0].path == texts);
    CHECK(one_line_with(files[0].failure, {texts + ": there are no pictures in this folder", ".webp"}));
    CHECK(files[1].path == picture);
    CHECK(files[1].failure.empty());
}

TEST_CASE("A folder that cannot be read is one failure") {
    if (geteuid() == 0) {
        WARN("skipped: root may read all folders");
        return;
    }
    const TemporaryFolder folder;
    make_files(folder.path(), {"open/1.png", "open/closed/2.png"});
    const std::string open = folder / "open", closed = folder / "open/closed";
    chmod(closed.c_str(), 0);
    const std::vector<PictureFile> files = picture_files(Paths{open});
    chmod(closed.c_str(), 0700);
    REQUIRE(files.size() == 1);
    CHECK(files[0].failure == open + ": " + closed + " cannot be read: Permission denied");
}
