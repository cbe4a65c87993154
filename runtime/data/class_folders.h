// Pictures that lie in a folder for each class.
#pragma once

#include "runtime/data/source.h"

namespace halcyon {

/// Whether a folder holds pictures, some folders down.
bool is_class_folders(const std::filesystem::path &folder);

/// The subfolders are the classes, sorted by the bytes of their names; all pictures below one are of its class, sorted by the bytes of
/// their paths, so that a run repeats on every file system. Where the folder holds train/ (or training/, training_set/) and that holds
/// folders alone, the classes are its subfolders, and val/ (valid/, validation/, validation_set/) and test/ (testing/, test_set/) beside it
/// are the other splits; a class has train/'s number in all of them. Hidden files and folders, __MACOSX and files that are no pictures by
/// their names are passed over. Symbolic links are followed, but to a folder once for each class.
///
/// Throws std::runtime_error, one line that names the folder, where there are no classes, a class without pictures to train on, one that
/// train/ does not have, one whose name is no printable UTF-8, or more than 65,536.
std::unique_ptr<Source> open_class_folders(const DataRequest &request);

}  // namespace halcyon
