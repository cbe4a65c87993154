// What the kernels' `user_context` points to: every call of theirs into the runtime (parallel loops, errors, memory) arrives at a session,
// so that two networks in one program share nothing.
#pragma once

#include "runtime/devices/cuda.h"
#include "runtime/engine/threads.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

class Session {
public:
    /// `threads` >= 1 counts the caller of the kernels.
    explicit Session(int threads) : threads_(threads) {}

    ThreadPool &threads() { return threads_; }

    /// Keeps what a kernel says of its failure: the first message since take_error(), which is the cause of those that follow. Called from
    /// any thread; never throws, because kernels cannot be unwound.
    void report(std::string_view message) noexcept;

    /// The message kept, which is then forgotten; "" where there is none.
    std::string take_error();

    /// From here on the number of tasks of every parallel loop of the kernels is added to `tasks`, in the order that the loops begin; null:
    /// no more.
    void record_loops(std::vector<int> *tasks) { loops_ = tasks; }

    /// Runs a parallel loop of a kernel, like ThreadPool::parallel_for().
    int parallel_for(int min, int extent, ThreadPool::Task task, void *context);

    /// The CUDA context of the session's kernels and their stream. The first call opens them where `create`; null where there are none, and
    /// the reason is then reported.
    void *cuda_context(bool create);
    void *cuda_stream() const { return cuda_.stream(); }

    /// Counts a call of halide_malloc.
    void count_allocation() noexcept { allocations_.fetch_add(1, std::memory_order_relaxed); }

    /// Calls of halide_malloc so far.
    std::int64_t allocations() const noexcept { return allocations_.load(std::memory_order_relaxed); }

private:
    ThreadPool threads_;
    std::mutex mutex_;
    std::string error_;
    std::vector<int> *loops_ = nullptr;
    std::atomic<std::int64_t> allocations_ = 0;
    CudaStream cuda_;
};

}  // namespace halcyon
