// The reference schedules: the plainest loops that need no memory, the yardstick of every other schedule and the last entry of every menu.
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

void reference(Augment<uint8_t> &);
void reference(Augment<float> &);
void reference(InputForward &);
void reference(NormalizationFold &);
void reference(Conv2dForward &);
void reference(Conv2dPoolForward<Conv2dForward> &);
void reference(Conv2dPoolForward<Conv2dForwardWinograd> &);
void reference(Conv2dDropoutForward<Conv2dForward> &);
void reference(Conv2dSoftmaxCrossEntropy<Conv2dForward> &);
void reference(Conv2dFold &);
void reference(Conv2dFoldBackward &);
void reference(WinogradWeights &);
void reference(Conv2dForwardWinograd &);
void reference(Conv2dBackwardData &);
void reference(Conv2dDropoutBackwardData<Conv2dBackwardData> &);
void reference(Conv2dReluDropoutBackwardData<Conv2dBackwardData> &);
void reference(Conv2dBackwardWeights &);
void reference(Conv2dPoolBackwardWeights &);
void reference(ReluForward &);
void reference(ReluBackward &);
void reference(BatchNormStats &);
void reference(BatchNormFold &);
void reference(BatchNormForward &);
void reference(BatchNormStatsForward &);
void reference(BatchNormBackwardStats &);
void reference(BatchNormBackwardData &);
void reference(BatchNormBackward &);
void reference(BatchNormPoolForward &);
void reference(BatchNormPoolDropoutForward &);
void reference(BatchNormStatsPoolDropoutForward &);
void reference(BatchNormPoolBackwardStats &);
void reference(BatchNormPoolBackwardData &);
void reference(BatchNormPoolBackward &);
void reference(MaxPool2dForward &);
void reference(MaxPool2dBackward &);
void reference(Dropout &);
void reference(Add &);
void reference(SoftmaxCrossEntropyForward &);
void reference(SoftmaxCrossEntropyBackward &);
void reference(SoftmaxCrossEntropy &);
void reference(Adam &);
void reference(Sgd &);

/// A batch norm's sums are made by tasks of so many channels: what one keeps of each fits the stack whatever the number of channels.
inline const Halide::Var task{"task"}, channel{"channel"};
constexpr int task_channels = 64;

/// Has the `output` of a batch norm's pass made by the tasks that make the sums it needs, of which `first` is an output.
template<typename Pass>
void pass_of_channels(const Pass &pass, Halide::Func output, Halide::Func first) {
    output.split(pass.c, task, channel, task_channels, Halide::TailStrategy::GuardWithIf)
        .reorder(channel, pass.x, pass.y, pass.n, task)
        .parallel(task);
    output.compute_with(first, task);
}

}  // namespace halcyon
