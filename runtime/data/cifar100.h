// The published CIFAR-100 files.
#pragma once

#include "runtime/data/source.h"

namespace halcyon {

// CIFAR-100's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): train.bin and test.bin, in the folder or its subfolder
// cifar-100-binary. A record has the label of one of 20 coarse classes, that of one of 100 fine ones, and the image in planes. The names of
// the classes come from coarse_label_names.txt and fine_label_names.txt; without the file they are numbers.

/// Whether these files are there.
bool is_cifar100(const std::filesystem::path &folder);

/// Reads the labels that `request.labels` names.
std::unique_ptr<Source> open_cifar100(const DataRequest &request);

}  // namespace halcyon
