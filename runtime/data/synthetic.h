// The embedded data set, for a first run without any download.
#pragma once

#include "runtime/data/source.h"

namespace halcyon {

constexpr int synthetic_train_images = 5000;
constexpr int synthetic_test_images = 1000;

/// Ten classes of textures and shapes in CIFAR-10's form (32x32x3), the classes in turn. Place, phase, size and colours are random, and
/// every image comes with its negative (20k + 10 + i is that of 20k + i). Each class is then symmetric about mid-grey: the softmax
/// regression on pixels that fits the training images best is the one with all weights zero, which is chance, whereas a convolutional
/// network learns them in a few epochs. A pure function of the arguments; the splits share no image.
Dataset make_synthetic(Split split, int images, std::uint32_t seed = 1);

/// The default number of images of a split.
inline Dataset make_synthetic(Split split) {
    return make_synthetic(split, split == Split::train ? synthetic_train_images : synthetic_test_images);
}

std::unique_ptr<Source> open_synthetic(const DataRequest &request);

}  // namespace halcyon
