// What the binary files of CIFAR-10 and CIFAR-100 have in common (https://www.cs.toronto.edu/~kriz/cifar.html): records of some labels of
// one byte and an image of 32x32x3 bytes in planes.
#pragma once

#include "runtime/data/dataset.h"

#include <filesystem>
#include <string>
#include <vector>

namespace halcyon {

struct CifarFormat {
    const char *name;    // "CIFAR-10"
    const char *folder;  // what the published archive unpacks to
    int labels;          // bytes before the image
    int label;           // which of them is read
    int classes;
    const char *where_to_get_it;  // for messages
};

/// The folder of the files: `folder` or its subfolder of the format's name. Throws std::runtime_error where there is none.
std::filesystem::path cifar_folder(const CifarFormat &format, const std::filesystem::path &folder);

/// Reads these files of `folder`, one after the other. A file is any whole number of records, not none. Throws std::runtime_error, one line
/// that names the file (and the record), where one is missing, no file, cannot be read, is truncated or holds a label beyond the classes,
/// and where the memory is too small for the images. The classes get no names.
Dataset read_cifar(const CifarFormat &format, const std::filesystem::path &folder, const std::vector<std::string> &files);

/// The names of the classes, one a line. Throws std::runtime_error where they are more or fewer, or are not printable UTF-8.
std::vector<std::string> read_cifar_names(const CifarFormat &format, const std::filesystem::path &path);

}  // namespace halcyon
