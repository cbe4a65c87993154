#include "runtime/data/class_folders.h"

#include "plan/text.h"
#include "runtime/data/picture.h"
#include "runtime/data/picture_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <stdexcept>
#include <sys/stat.h>
#include <utility>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

constexpr std::array split_names = {
    std::pair{std::string_view("train"), Split::train},
    std::pair{std::string_view("training"), Split::train},
    std::pair{std::string_view("training_set"), Split::train},
    std::pair{std::string_view("val"), Split::validation},
    std::pair{std::string_view("valid"), Split::validation},
    std::pair{std::string_view("validation"), Split::validation},
    std::pair{std::string_view("validation_set"), Split::validation},
    std::pair{std::string_view("test"), Split::test},
    std::pair{std::string_view("testing"), Split::test},
    std::pair{std::string_view("test_set"), Split::test},
};

[[noreturn]] void fail(const fs::path &path, const std::string &reason) {
    throw std::runtime_error(fmt::format("{}: {}", path.string(), reason));
}

/// What a folder holds, sorted by bytes.
struct Entries {
    std::vector<std::string> folders, pictures;

    explicit Entries(const fs::path &folder) {
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
};

using FolderNumber = std::pair<dev_t, ino_t>;

FolderNumber number_of(const fs::path &folder) {
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0) throw fs::filesystem_error("stat", folder, {errno, std::generic_category()});
    return {status.st_dev, status.st_ino};
}

/// Adds the paths of the pictures below `folder`, each behind `prefix`. Folders that were `seen` are those that links lead back to.
void find_pictures(const fs::path &folder, const std::string &prefix, std::set<FolderNumber> &seen, std::vector<std::string> &found) {
    if (!seen.insert(number_of(folder)).second) return;
    const Entries entries(folder);
    for (const std::string &name : entries.pictures) found.push_back(prefix + name);
    for (const std::string &name : entries.folders) find_pictures(folder / name, prefix + name + "/", seen, found);
}

/// The pictures of a class: their paths from `root` on.
std::vector<std::string> pictures_of(const fs::path &root, const std::string &folder) {
    std::set<FolderNumber> seen = {number_of(root)};
    std::vector<std::string> found;
    find_pictures(root / folder, folder + "/", seen, found);
    std::ranges::sort(found);
    return found;
}

/// Whether there are folders in it, and no pictures beside them.
bool holds_folders_alone(const fs::path &folder) {
    const Entries entries(folder);
    return !entries.folders.empty() && entries.pictures.empty();
}

/// The folders of the splits.
std::map<Split, std::string> find_splits(const fs::path &root, const Entries &entries) {
    std::map<Split, std::string> splits;
    for (const std::string &folder : entries.folders) {
        std::string lower = folder;
        std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const auto named = std::ranges::find(split_names, lower, [](const auto &name) { return name.first; });
        if (named == split_names.end() || !holds_folders_alone(root / folder)) continue;
        const auto [other, added] = splits.emplace(named->second, folder);
        if (!added) fail(root, fmt::format("both {}/ and {}/ could be meant; put their pictures into one of them", other->second, folder));
    }
    if (!splits.empty() && !splits.contains(Split::train))
        fail(root, fmt::format("there is {0}/ but no train/ beside it; name the folder of the training images so, or give {0}/ itself",
                               splits.begin()->second));
    return splits;
}

/// The classes of a folder that were found by its subfolders' names.
std::vector<std::string> find_classes(const fs::path &folder) {
    const Entries entries(folder);
    constexpr std::string_view expected = "each class needs a subfolder with its name, which holds its pictures, such as cat/1.jpg";
    if (entries.folders.empty() && !entries.pictures.empty()) fail(folder, fmt::format("pictures without classes: {}", expected));
    if (entries.folders.empty()) fail(folder, fmt::format("no folders of pictures here: {}", expected));
    for (const std::string &name : entries.folders)
        if (printable(name) != name)  // weights files and JSON hold UTF-8
            fail(folder / name, "a class's name must be UTF-8 without control characters; rename the folder");
    return entries.folders;
}

std::vector<LabelledFile> find_training_files(const fs::path &root, const std::string &prefix, const std::vector<std::string> &classes) {
    std::vector<LabelledFile> files;
    for (std::size_t label = 0; label < classes.size(); ++label) {
        const std::string folder = prefix + classes[label];
        std::vector<std::string> pictures = pictures_of(root, folder);
        if (pictures.empty())
            fail(root / folder, "this class has no pictures (.jpg, .jpeg, .png, .webp, .bmp); add some, or remove the folder");
        for (std::string &picture : pictures) files.push_back({std::move(picture), static_cast<std::uint16_t>(label)});
    }
    return files;
}

/// Of another split; its classes have the numbers of the training images'.
std::vector<LabelledFile> find_other_files(const fs::path &root, const std::string &split, const std::vector<std::string> &classes) {
    std::vector<LabelledFile> files;
    for (const std::string &name : Entries(root / split).folders) {
        std::vector<std::string> pictures = pictures_of(root, fmt::format("{}/{}", split, name));
        if (pictures.empty()) continue;
        const auto found = std::ranges::lower_bound(classes, name);
        if (found == classes.end() || *found != name)
            fail(root / split / name,
                 fmt::format("there is no such class among the training images, whose classes are {}", listed_classes(classes)));
        const auto label = static_cast<std::uint16_t>(found - classes.begin());
        for (std::string &picture : pictures) files.push_back({std::move(picture), label});
    }
    return files;
}

}  // namespace

bool is_class_folders(const fs::path &folder) {
    constexpr int deepest = 4;  // a split's folder, a class's, two more
    std::error_code error;
    if (!fs::is_directory(folder, error)) return false;
    const auto holds_pictures = [](const auto &self, const fs::path &path, int depth) -> bool {
        const Entries entries(path);
        return !entries.pictures.empty() || (depth < deepest && std::ranges::any_of(entries.folders, [&](const std::string &name) {
                                                 return self(self, path / name, depth + 1);
                                             }));
    };
    return holds_pictures(holds_pictures, folder, 0);
}

std::unique_ptr<Source> open_class_folders(const DataRequest &request) {
    const fs::path &root = request.path;
    if (!fs::is_directory(root)) fail(root, "is no folder; class folders are a folder with a subfolder of pictures for each class");
    PictureSet set;
    set.root = root;
    const std::map<Split, std::string> splits = find_splits(root, Entries(root));
    const std::string train = splits.empty() ? "" : splits.at(Split::train) + "/";
    set.class_names = find_classes(splits.empty() ? root : root / splits.at(Split::train));
    require_labels_for(set.class_names.size(), root);
    set.files[Split::train] = find_training_files(root, train, set.class_names);

    std::vector<std::string> others;
    for (const auto &[split, folder] : splits) {
        if (split == Split::train) continue;
        std::vector<LabelledFile> files = find_other_files(root, folder, set.class_names);
        if (files.empty()) continue;
        set.files[split] = std::move(files);
        others.push_back(folder + "/");
    }
    set.description = fmt::format("class folders, {} classes", set.class_names.size());
    if (!others.empty()) set.description += fmt::format(", with {}", fmt::join(others, " and "));
    return open_pictures(std::move(set), request);
}

}  // namespace halcyon
