// The pictures that names on a command line stand for.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

/// The paths of the pictures in a folder and in all below it, from the folder on, sorted by bytes: the files whose names end as a picture's
/// do (is_picture_name()). Hidden files and folders and __MACOSX are passed over; symbolic links are followed, but to each folder once.
/// Throws std::filesystem::filesystem_error where a folder cannot be read.
std::vector<std::string> find_pictures(const std::filesystem::path &folder);

/// A file, or why there is none.
struct PictureFile {
    std::string path;
    std::string failure;  // one line that names the path; "" where there is a file to be read
};

/// The files that `names` stand for, in their order: of a folder its pictures, of a pattern that no file is called ("photos/*.jpg",
/// glob(7)) what it matches, sorted by bytes, else the name itself. A folder without pictures, or one that cannot be read, is one failure.
std::vector<PictureFile> picture_files(std::span<const std::string> names);

}  // namespace halcyon
