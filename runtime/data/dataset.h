// Labelled images in memory, and the published CIFAR-10 files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace halcyon {

enum class Split { train, test };

/// Images of one size with their classes.
struct Dataset {
    int h = 0, w = 0, c = 0, classes = 0;
    std::vector<std::uint8_t> images;  // one record of c*h*w bytes an image, planar: (c, y, x), x innermost
    std::vector<std::uint8_t> labels;  // one an image, 0..classes-1
    std::vector<std::string> class_names;

    int size() const { return int(labels.size()); }
};

/// Reads CIFAR-10's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): data_batch_1.bin to data_batch_5.bin for training,
/// test_batch.bin for testing, from `folder` or its subfolder cifar-10-batches-bin. A file is any whole number of records of 3073 bytes,
/// not none. The names of the classes come from batches.meta.txt, or are the published ones where that file is absent. Throws
/// std::runtime_error, one line that names the file (and the record), where a file is missing, no file, cannot be read, is truncated or
/// holds a label over 9, where a name is not printable UTF-8, and where the memory is too small for the images.
Dataset load_cifar10(const std::filesystem::path &folder, Split split);

}  // namespace halcyon
