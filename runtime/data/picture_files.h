// The pictures that names on a command line stand for.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

/// What a folder holds, sorted by bytes: folders, and the files whose names end as a picture's do (is_picture_name()). Hidden ones and
/// __MACOSX are passed over. Throws std::filesystem::filesystem_error where the folder cannot be read.
struct FolderEntries {
    std::vector<std::string> folders, pictures;

    explicit FolderEntries(const std::filesystem::path &folder);
};

/// The paths of the pictures in root / folder and in all below it, from the root on, sorted by bytes. Symbolic links are followed, but to
/// each folder once, and not back to the root. Throws like FolderEntries.
std::vector<std::string> find_pictures(const std::filesystem::path &root, const std::string &folder = "");

/// A file, or why there is none.
struct PictureFile {
    std::string path;
    std::string failure;  // one line that names the path; "" where there is a file to be read
};

/// The files that `names` stand for, in their order: of a folder its pictures, of a pattern that no file is called ("photos/*.jpg",
/// glob(7)) what it matches, sorted by bytes, else the name itself. A folder without pictures, or one that cannot be read, is one failure.
std::vector<PictureFile> picture_files(std::span<const std::string> names);

}  // namespace halcyon
