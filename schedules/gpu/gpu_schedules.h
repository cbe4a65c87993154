// The tuned entries for devices, by algorithm.
#pragma once

#include "generators/layers/add.h"
#include "generators/layers/augment.h"
#include "generators/layers/batch_norm.h"
#include "generators/layers/batch_norm_pool.h"
#include "generators/layers/conv2d.h"
#include "generators/layers/conv2d_dropout.h"
#include "generators/layers/conv2d_softmax_cross_entropy.h"
#include "generators/layers/conv2d_staged.h"
#include "generators/layers/dropout.h"
#include "generators/layers/input.h"
#include "generators/layers/max_pool2d.h"
#include "generators/layers/optimizers.h"
#include "generators/layers/relu.h"
#include "generators/layers/softmax_cross_entropy.h"
#include "plan/menu.h"

#include <concepts>
#include <string>
#include <vector>

namespace halcyon {

template<typename Stages>
struct NamedSchedule {
    std::string entry;
    void (*apply)(Stages &, const Shape &, const Set &);
};

/// True of algorithms that are for devices alone, or on the host for the reference.
template<typename Stages>
constexpr bool for_devices = std::derived_from<Stages, StagedSum> || std::same_as<Stages, Conv2dBackwardWeightsStaged>;
template<typename Convolution>
constexpr bool for_devices<Conv2dDropoutForward<Convolution>> = true;
template<typename Convolution>
constexpr bool for_devices<Conv2dDropoutBackwardData<Convolution>> = true;
template<typename Convolution>
constexpr bool for_devices<Conv2dReluDropoutBackwardData<Convolution>> = true;
template<typename Convolution>
constexpr bool for_devices<Conv2dSoftmaxCrossEntropy<Convolution>> = true;
template<>
constexpr bool for_devices<SoftmaxCrossEntropy> = true;
template<>
constexpr bool for_devices<BatchNormStatsForward> = true;
template<>
constexpr bool for_devices<BatchNormBackward> = true;
template<>
constexpr bool for_devices<BatchNormStatsPoolDropoutForward> = true;
template<>
constexpr bool for_devices<BatchNormPoolBackward> = true;

/// The device entries of the kernel that computes `Stages`: none, but for the algorithms below.
template<typename Stages>
std::vector<NamedSchedule<Stages>> gpu_schedules() {
    return {};
}

template<>
std::vector<NamedSchedule<Augment<uint8_t>>> gpu_schedules();
template<>
std::vector<NamedSchedule<Augment<float>>> gpu_schedules();
template<>
std::vector<NamedSchedule<InputForward>> gpu_schedules();
template<>
std::vector<NamedSchedule<Conv2dForwardStaged>> gpu_schedules();
template<>
std::vector<NamedSchedule<Conv2dDropoutForward<Conv2dForwardStaged>>> gpu_schedules();
template<>
std::vector<NamedSchedule<Conv2dSoftmaxCrossEntropy<Conv2dForwardStaged>>> gpu_schedules();
template<>
std::vector<NamedSchedule<Conv2dBackwardDataStaged>> gpu_schedules();
template<>
std::vector<NamedSchedule<Conv2dDropoutBackwardData<Conv2dBackwardDataStaged>>> gpu_schedules();
template<>
std::vector<NamedSchedule<Conv2dReluDropoutBackwardData<Conv2dBackwardDataStaged>>> gpu_schedules();
template<>
std::vector<NamedSchedule<Conv2dBackwardWeightsStaged>> gpu_schedules();
template<>
std::vector<NamedSchedule<Conv2dFold>> gpu_schedules();
template<>
std::vector<NamedSchedule<Conv2dFoldBackward>> gpu_schedules();
template<>
std::vector<NamedSchedule<ReluForward>> gpu_schedules();
template<>
std::vector<NamedSchedule<ReluBackward>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormStats>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormForward>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormStatsForward>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormBackwardStats>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormBackwardData>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormBackward>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormPoolForward>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormPoolDropoutForward>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormStatsPoolDropoutForward>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormPoolBackwardStats>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormPoolBackwardData>> gpu_schedules();
template<>
std::vector<NamedSchedule<BatchNormPoolBackward>> gpu_schedules();
template<>
std::vector<NamedSchedule<MaxPool2dForward>> gpu_schedules();
template<>
std::vector<NamedSchedule<MaxPool2dBackward>> gpu_schedules();
template<>
std::vector<NamedSchedule<Dropout>> gpu_schedules();
template<>
std::vector<NamedSchedule<Add>> gpu_schedules();
template<>
std::vector<NamedSchedule<SoftmaxCrossEntropyForward>> gpu_schedules();
template<>
std::vector<NamedSchedule<SoftmaxCrossEntropyBackward>> gpu_schedules();
template<>
std::vector<NamedSchedule<SoftmaxCrossEntropy>> gpu_schedules();
template<>
std::vector<NamedSchedule<Adam>> gpu_schedules();
template<>
std::vector<NamedSchedule<Sgd>> gpu_schedules();

}  // namespace halcyon
