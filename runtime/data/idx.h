// MNIST's files and those of its kind (http://yann.lecun.com/exdb/mnist): Fashion-MNIST, EMNIST, KMNIST.
#pragma once

#include "runtime/data/source.h"

namespace halcyon {

// The files are train-images-idx3-ubyte and train-labels-idx1-ubyte, and t10k- or test- ones, with .gz or without, with "-idx" or ".idx",
// whatever stands before "train" (EMNIST's "emnist-letters-"). They lie in the folder that is named, or in its subfolder raw or gzip. Where
// they are there twice the ones that are not compressed are read; those stay in their files. Images are (N, H, W) bytes, one channel.
//
// The files hold no names of classes. EMNIST's images are transposed, as they are published and as torchvision and TensorFlow Datasets give
// them.

/// Whether `path` is a folder with such files, or one of training images.
bool is_idx(const std::filesystem::path &path);

/// Throws std::runtime_error where a folder holds several sets; then one's images are to be named.
std::unique_ptr<Source> open_idx(const DataRequest &request);

}  // namespace halcyon
