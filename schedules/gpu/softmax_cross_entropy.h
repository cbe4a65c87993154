// How the loss is cut into threads where another layer's blocks make it.
#pragma once

#include "generators/layers/softmax_cross_entropy.h"

namespace halcyon {

/// A thread per image, `images` of them a block, which makes its probabilities one after the other.
void image_threads(SoftmaxCrossEntropy &f, int images);

}  // namespace halcyon
