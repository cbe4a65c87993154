// NumPy's arrays: an .npz archive, or a folder of .npy files.
#pragma once

#include "runtime/data/source.h"

namespace halcyon {

// The arrays are called x_train and y_train (x_val, x_test), as Keras's mnist.npz has them, or train_images and train_labels (val_, test_),
// as MedMNIST has them, or images and labels: these are trained on. In an archive capitals count for nothing. In a folder they are files,
// "images.npy", which may also lie in the subfolders train, validation (or val) and test: "train/images.npy".
//
// Images are (N, H, W) or (N, H, W, C), of bytes, of float32, or of float64, which become float32. Labels are (N) or (N, 1), of any type of
// integers. Where the model takes targets these are (N, units), of integers, floats or bools; where these are shares of classes either is
// right. A classes.json, a list of names, gives the classes their names; it lies beside the images or in the folder above. Images of a
// folder, of bytes or float32, stay in their file: a set may be larger than the memory.

bool is_npz(const std::filesystem::path &path);
std::unique_ptr<Source> open_npz(const DataRequest &request);

bool is_npy_folder(const std::filesystem::path &path);
std::unique_ptr<Source> open_npy_folder(const DataRequest &request);

}  // namespace halcyon
