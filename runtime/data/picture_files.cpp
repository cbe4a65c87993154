#include "runtime/data/picture_files.h"

#include "runtime/data/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <glob.h>
#include <set>
#include <sys/stat.h>
#include <system_error>
#include <utility>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

/// What tells folders apart, whatever paths lead to them.
using FolderNumber = std::pair<dev_t, ino_t>;

FolderNumber number_of(const fs::path &folder) {
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0) throw fs::filesystem_error("stat", folder, {errno, std::generic_category()});
    return {status.st_dev, status.st_ino};
}

/// Adds the pictures in `folder` and below, each behind `prefix`, but for folders that were `seen`.
void add_pictures(const fs::path &folder, const std::string &prefix, std::set<FolderNumber> &seen, std::vector<std::string> &found) {
    if (!seen.insert(number_of(folder)).second) return;
    const FolderEntries entries(folder);
    for (const std::string &name : entries.pictures) found.push_back(prefix + name);
    for (const std::string &name : entries.folders) add_pictures(folder / name, prefix + name + "/", seen, found);
}

bool is_folder(const fs::path &path) {
    std::error_code not_there;
    return fs::is_directory(path, not_there);
}

void add_folder(const std::string &folder, std::vector<PictureFile> &files) {
    const auto fail = [&](const std::string &reason) { files.push_back({folder, fmt::format("{}: {}", folder, reason)}); };
    try {
        const std::vector<std::string> pictures = find_pictures(folder);
        for (const std::string &picture : pictures) files.push_back({(fs::path(folder) / picture).string(), ""});
        if (pictures.empty()) fail("there are no pictures in this folder: no name ends in .jpg, .jpeg, .png, .webp or .bmp");
    } catch (const fs::filesystem_error &error) {
        fail(fmt::format("{} cannot be read: {}", error.path1().string(), error.code().message()));
    }
}

/// What a pattern matches; nothing where it is none.
std::vector<std::string> matches_of(const std::string &pattern) {
    struct Matches : glob_t {
        Matches() : glob_t{} {}
        Matches(const Matches &) = delete;
        Matches &operator=(const Matches &) = delete;
        ~Matches() { ::globfree(this); }
    } matches;
    if (pattern.find_first_of("*?[") == std::string::npos || ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &matches) != 0) return {};
    std::vector<std::string> paths(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
    std::ranges::sort(paths);
    return paths;
}

}  // namespace

FolderEntries::FolderEntries(const fs::path &folder) {
    for (const fs::directory_entry &entry : fs::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with('.') || name == "__MACOSX") continue;
        std::error_code dangling;
        if (entry.is_directory(dangling))
            folders.push_back(name);
        else if (is_picture_name(name))
            pictures.push_back(name);
    }
    std::ranges::sort(folders);
    std::ranges::sort(pictures);
}

std::vector<std::string> find_pictures(const fs::path &root, const std::string &folder) {
    std::set<FolderNumber> seen;
    std::vector<std::string> found;
    if (folder.empty()) {
        add_pictures(root, "", seen, found);
    } else {
        seen.insert(number_of(root));
        add_pictures(root / folder, folder + "/", seen, found);
    }
    std::ranges::sort(found);
    return found;
}

std::vector<PictureFile> picture_files(std::span<const std::string> names) {
    std::vector<PictureFile> files;
    for (const std::string &name : names) {
        std::error_code error;
        std::vector<std::string> paths;
        if (!fs::exists(name, error)) paths = matches_of(name);
        if (paths.empty()) paths = {name};
        for (const std::string &path : paths) {
            if (is_folder(path))
                add_folder(path, files);
            else
                files.push_back({path, ""});
        }
    }
    return files;
}

}  // namespace halcyon
