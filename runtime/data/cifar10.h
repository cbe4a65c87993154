// The published CIFAR-10 files.
#pragma once

#include "runtime/data/source.h"

namespace halcyon {

/// Reads CIFAR-10's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): data_batch_1.bin to data_batch_5.bin for training,
/// test_batch.bin for testing, from `folder` or its subfolder cifar-10-batches-bin. A file is any whole number of records of 3073 bytes,
/// not none: the label, then the image in planes. The names of the classes come from batches.meta.txt, or are the published ones where that
/// file is absent. Throws std::runtime_error, one line that names the file (and the record), where a file is missing, no file, cannot be
/// read, is truncated or holds a label over 9, where a name is not printable UTF-8, and where the memory is too small for the images.
Dataset load_cifar10(const std::filesystem::path &folder, Split split);

/// Whether some of these files are there.
bool is_cifar10(const std::filesystem::path &folder);

std::unique_ptr<Source> open_cifar10(const DataRequest &request);

}  // namespace halcyon
