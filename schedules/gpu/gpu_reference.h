// The reference schedules of devices: a thread per output element, whatever the shape. What is summed over the batch is summed by one
// thread in a fixed order, pixel by pixel or row by row first and then over those, so that the same bits come out on every run.
#pragma once

#include "generators/layers/add.h"
#include "generators/layers/augment.h"
#include "generators/layers/batch_norm.h"
#include "generators/layers/batch_norm_pool.h"
#include "generators/layers/conv2d.h"
#include "generators/layers/conv2d_dropout.h"
#include "generators/layers/conv2d_pool.h"
#include "generators/layers/conv2d_softmax_cross_entropy.h"
#include "generators/layers/conv2d_winograd.h"
#include "generators/layers/dropout.h"
#include "generators/layers/input.h"
#include "generators/layers/max_pool2d.h"
#include "generators/layers/optimizers.h"
#include "generators/layers/relu.h"
#include "generators/layers/softmax_cross_entropy.h"

namespace halcyon {

void gpu_reference(Augment<uint8_t> &);
void gpu_reference(Augment<float> &);
void gpu_reference(InputForward &);
void gpu_reference(NormalizationFold &);
void gpu_reference(Conv2dForward &);
void gpu_reference(Conv2dPoolForward<Conv2dForward> &);
void gpu_reference(Conv2dDropoutForward<Conv2dForward> &);
void gpu_reference(Conv2dSoftmaxCrossEntropy<Conv2dForward> &);
void gpu_reference(Conv2dFold &);
void gpu_reference(Conv2dFoldBackward &);
void gpu_reference(WinogradWeights &);
void gpu_reference(Conv2dBackwardData &);
void gpu_reference(Conv2dDropoutBackwardData<Conv2dBackwardData> &);
void gpu_reference(Conv2dReluDropoutBackwardData<Conv2dBackwardData> &);
void gpu_reference(Conv2dBackwardWeights &);
void gpu_reference(Conv2dPoolBackwardWeights &);
void gpu_reference(ReluForward &);
void gpu_reference(ReluBackward &);
void gpu_reference(BatchNormStats &);
void gpu_reference(BatchNormFold &);
void gpu_reference(BatchNormForward &);
void gpu_reference(BatchNormStatsForward &);
void gpu_reference(BatchNormBackwardStats &);
void gpu_reference(BatchNormBackwardData &);
void gpu_reference(BatchNormBackward &);
void gpu_reference(BatchNormPoolForward &);
void gpu_reference(BatchNormPoolDropoutForward &);
void gpu_reference(BatchNormStatsPoolDropoutForward &);
void gpu_reference(BatchNormPoolBackwardStats &);
void gpu_reference(BatchNormPoolBackwardData &);
void gpu_reference(BatchNormPoolBackward &);
void gpu_reference(MaxPool2dForward &);
void gpu_reference(MaxPool2dBackward &);
void gpu_reference(Dropout &);
void gpu_reference(Add &);
void gpu_reference(SoftmaxCrossEntropyForward &);
void gpu_reference(SoftmaxCrossEntropyBackward &);
void gpu_reference(SoftmaxCrossEntropy &);
void gpu_reference(Adam &);
void gpu_reference(Sgd &);

}  // namespace halcyon
