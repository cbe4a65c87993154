// Places buffers with lifetimes in one arena.
#pragma once

#include <cstdint>
#include <vector>

namespace halcyon {

/// A buffer of `bytes` that must keep its place from call `first` to call `last`, both included.
struct Lifetime {
    std::int64_t bytes = 0;
    int first = 0, last = 0;
};

struct MemoryPlan {
    std::vector<std::int64_t> offsets;  // of each buffer, multiples of buffer_alignment
    std::int64_t bytes = 0;             // the arena's size, a multiple of buffer_alignment
};

/// Greedy by size: the largest first, each into the smallest gap that holds it among the buffers placed already that live at the same
/// time. (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020, find this within a few percent of the lower
/// bound.)
MemoryPlan plan_memory(const std::vector<Lifetime> &lifetimes);

/// The most bytes alive during one call, each buffer rounded up to buffer_alignment: no plan is smaller.
std::int64_t most_alive(const std::vector<Lifetime> &lifetimes);

}  // namespace halcyon
