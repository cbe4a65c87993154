// The embedded data set, for a first run without any download.
#pragma once

#include "runtime/data/source.h"

namespace halcyon {

constexpr int synthetic_train_images = 5000;
constexpr int synthetic_test_images = 1000;

/// What the images are to be like; by default as CIFAR-10's.
struct SyntheticForm {
    int h = 32, w = 32, c = 3, classes = 10;
};

/// Classes of textures and shapes, in turn. Place, phase, size and colours are random, and every image comes with its negative: in ten
/// classes 20k + 10 + i is that of 20k + i. Each class is then symmetric about mid-grey: the softmax regression on pixels that fits the
/// training images best is the one with all weights zero, which is chance, whereas a convolutional network learns them in a few epochs. A
/// pure function of the arguments; the splits share no image.
///
/// Patterns grow with the image's shorter side. Ten classes are ten patterns, fewer the first of them. The next 90 are two patterns each,
/// beside or above each other. From the 101st on they come again in other sizes: the more of them, the harder. Below 8x8 pixels patterns
/// can hardly be told apart. Throws std::runtime_error where the memory is too small for the images.
Dataset make_synthetic(Split split, int images, std::uint32_t seed = 1, const SyntheticForm &form = {});

/// The number of images of a split, if nothing else is said: 5000 or 1000, for more classes than ten up to 20000 or 4000; fewer where these
/// would take more than 256 MiB, but always two of each class.
int synthetic_images(Split split, const SyntheticForm &form);

inline Dataset make_synthetic(Split split) { return make_synthetic(split, synthetic_images(split, {})); }

/// In the form that the model takes.
std::unique_ptr<Source> open_synthetic(const DataRequest &request);

}  // namespace halcyon
