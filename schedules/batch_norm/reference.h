// The reference schedules' loops over a batch norm's channels.
#pragma once

#include <Halide.h>

namespace halcyon {

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
