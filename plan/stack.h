// What kernels need of a thread's stack: what the menu lets them take, and so what the runtime gives them. Plain C++.
#pragma once

#include <cstdint>

namespace halcyon {

/// What a task keeps on its stack for its own stages to read takes at most so many bytes: transformed values, say. Entries refuse shapes
/// that need more.
constexpr std::int64_t task_stack_bytes = 1 << 20;

/// The stack that a thread needs to call a kernel: a task's values, the products that it makes of them, which take up to twice as much (two
/// vectors of channels made from one), and as much again for all frames. The largest measured is 2978 KiB, of a single image of 84x84x16
/// with AVX-512, whose thread keeps the transformed image and the products of a task.
constexpr std::int64_t kernel_stack_bytes = 4 * task_stack_bytes;

}  // namespace halcyon
