#include "runtime/data/class_folders.h"

#include "plan/errors.h"
#include "plan/text.h"
#include "runtime/data/picture_files.h"
#include "runtime/data/picture_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <utility>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

constexpr std::array splits_by_name = {
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

/// Whether there are folders in it, and no pictures beside them.
bool holds_folders_alone(const fs::path &folder) {
    const FolderEntries entries(folder);
    return !entries.folders.empty() && entries.pictures.empty();
}

/// The folders of the splits.
std::map<Split, std::string> find_splits(const fs::path &root, const FolderEntries &entries) {
    std::map<Split, std::string> splits;
    for (const std::string &folder : entries.folders) {
        std::string lower = folder;
        std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const auto named = std::ranges::find(splits_by_name, lower, [](const auto &name) { return name.first; });
        if (named == splits_by_name.end() || !holds_folders_alone(root / folder)) continue;
        const auto [other, added] = splits.emplace(named->second, folder);
        if (!added)
            fail_for(root, fmt::format("both {}/ and {}/ could be meant; put their pictures into one of them", other->second, folder));
    }
    if (!splits.empty() && !splits.contains(Split::train))
        fail_for(root, fmt::format("there is {0}/ but no train/ beside it; name the folder of the training images so, or give {0}/ itself",
                                   splits.begin()->second));
    return splits;
}

/// The classes of a folder that were found by its subfolders' names.
std::vector<std::string> find_classes(const fs::path &folder) {
    const FolderEntries entries(folder);
    constexpr std::string_view expected = "each class needs a subfolder with its name, which holds its pictures, such as cat/1.jpg";
    if (entries.folders.empty() && !entries.pictures.empty()) fail_for(folder, fmt::format("pictures without classes: {}", expected));
    if (entries.folders.empty()) fail_for(folder, fmt::format("no folders of pictures here: {}", expected));
    for (const std::string &name : entries.folders)
        if (printable(name) != name)  // weights files and JSON hold UTF-8
            fail_for(folder / name, "a class's name must be UTF-8 without control characters; rename the folder");
    return entries.folders;
}

std::vector<LabelledFile> find_training_files(const fs::path &root, const std::string &prefix, const std::vector<std::string> &classes) {
    std::vector<LabelledFile> files;
    for (std::size_t label = 0; label < classes.size(); ++label) {
        const std::string folder = prefix + classes[label];
        std::vector<std::string> pictures = find_pictures(root, folder);
        if (pictures.empty())
            fail_for(root / folder, "this class has no pictures (.jpg, .jpeg, .png, .webp, .bmp); add some, or remove the folder");
        for (std::string &picture : pictures) files.push_back({std::move(picture), static_cast<std::uint16_t>(label)});
    }
    return files;
}

/// Of another split; its classes have the numbers of the training images'.
std::vector<LabelledFile> find_other_files(const fs::path &root, const std::string &split, const std::vector<std::string> &classes) {
    std::vector<LabelledFile> files;
    for (const std::string &name : FolderEntries(root / split).folders) {
        std::vector<std::string> pictures = find_pictures(root, fmt::format("{}/{}", split, name));
        if (pictures.empty()) continue;
        const auto found = std::ranges::lower_bound(classes, name);
        if (found == classes.end() || *found != name)
            fail_for(root / split / name,
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
        const FolderEntries entries(path);
        return !entries.pictures.empty() || (depth < deepest && std::ranges::any_of(entries.folders, [&](const std::string &name) {
                                                 return self(self, path / name, depth + 1);
                                             }));
    };
    return holds_pictures(holds_pictures, folder, 0);
}

std::unique_ptr<Source> open_class_folders(const DataRequest &request) {
    const fs::path &root = request.path;
    if (!fs::is_directory(root)) fail_for(root, "is no folder; class folders are a folder with a subfolder of pictures for each class");
    PictureSet set;
    set.root = root;
    const std::map<Split, std::string> splits = find_splits(root, FolderEntries(root));
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
