// Pictures that are files, and their classes: what class folders and lists become. Their records lie in memory, or in a cache on the disk.
#pragma once

#include "runtime/data/source.h"

#include <cstdint>
#include <map>

namespace halcyon {

struct LabelledFile {
    std::string path;  // from PictureSet::root on
    std::uint16_t label = 0;
    std::vector<float> targets = {};  // in the label's place, where the set has such
};

struct PictureSet {
    std::string description;  // "class folders, 5 classes"
    std::filesystem::path root;
    std::vector<std::string> class_names;              // or what the targets are called
    int targets = 0;                                   // numbers a picture; 0: labels
    std::map<Split, std::vector<LabelledFile>> files;  // of the splits there are, none empty; a split's records are in this order
};

/// A source that decodes them on `request.threads` threads. Each split can be loaded once: the list of its files becomes the names of the
/// images, for a set of millions of them is not to be held twice. Files that cannot be read are found in all splits before load() throws.
std::unique_ptr<Source> open_pictures(PictureSet set, const DataRequest &request);

/// "cat, dog, horse": the first of the names, and "..." where there are more.
std::string listed_classes(const std::vector<std::string> &names);

/// Throws std::runtime_error where there are more classes than labels of 16 bits tell apart. `where` names the data.
void require_labels_for(std::size_t classes, const std::filesystem::path &where);

}  // namespace halcyon
