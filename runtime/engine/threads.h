// The thread pool behind the kernels' parallel loops. Halide's own sleeps between them and takes about 60 us to wake, as much as a small
// kernel; these workers stay awake between the loops of a step, and asleep outside one.
#pragma once

#include "plan/stack.h"

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <vector>

namespace halcyon {

/// Computes with denormals as zero while it lives: activations and gradients that die out would otherwise take a slow path in the CPU.
class FlushDenormals {
public:
    FlushDenormals();
    ~FlushDenormals();
    FlushDenormals(const FlushDenormals &) = delete;
    FlushDenormals &operator=(const FlushDenormals &) = delete;

private:
    unsigned saved_;
};

/// A thread with a stack for kernels, whatever the limits of the process (`ulimit -s`). Its destructor waits until it has done its work.
class KernelThread {
public:
    /// `work` must not throw. Throws std::runtime_error where the system has no thread or no memory for it.
    explicit KernelThread(std::function<void()> work);
    ~KernelThread();
    KernelThread(const KernelThread &) = delete;
    KernelThread &operator=(const KernelThread &) = delete;

private:
    std::function<void()> work_;
    pthread_t thread_{};
};

/// Bytes of stack that this thread has left; 0 where it is on one that the system does not know, such as a coroutine's.
std::int64_t stack_left();

/// Calls `work`, which calls kernels, and throws what it throws: on this thread, or, where that has too little stack left, on one that is
/// started for it, which has this one's floating-point modes.
template<typename Work>
void on_kernel_stack(Work &&work) {
    if (stack_left() >= kernel_stack_bytes) return work();
    std::exception_ptr error;
    {
        const KernelThread thread([&] {
            try {
                work();
            } catch (...) {
                error = std::current_exception();
            }
        });
    }
    if (error) std::rethrow_exception(error);
}

/// A fixed number of threads, the caller's among them. One thread at a time may call it, apart from nested calls.
class ThreadPool {
public:
    /// One index of a loop; nonzero is an error code.
    using Task = int (*)(void *context, int index);

    /// As many as Linux has CPUs at most.
    static constexpr int most_threads = 8192;

    /// `threads`, 1 .. most_threads, counts the caller: the pool starts one fewer. Throws std::invalid_argument for any other number,
    /// std::runtime_error where the system has not so many.
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool &) = delete;
    ThreadPool &operator=(const ThreadPool &) = delete;

    int size() const { return static_cast<int>(workers_.size()) + 1; }

    /// Calls task(context, index) once for each of min .. min+extent-1, in any order and on any thread, and returns when all are done: 0,
    /// or one of the nonzero results. A call from inside a task runs in that task's thread, in order.
    int parallel_for(int min, int extent, Task task, void *context);

    /// While it lives the workers wait for the next loop awake, for spin_time at most after each, and the caller flushes denormals (the
    /// workers always do). One within another changes nothing.
    class Step {
    public:
        explicit Step(ThreadPool &pool);
        ~Step();
        Step(const Step &) = delete;
        Step &operator=(const Step &) = delete;

    private:
        ThreadPool &pool_;
        bool outermost_;
        FlushDenormals flush_denormals_;
    };

private:
    ThreadPool() = default;
    void work(int thread);
    std::uint32_t wait_for_signal(std::uint32_t seen) const;
    void run_share(int share);
    void run_tasks(int thread);

    static constexpr std::size_t cache_line = 64;

    // What workers watch: the caller raises the signal at the start of a step and of a loop, and at the end of the pool.
    alignas(cache_line) std::atomic<std::uint32_t> signal_ = 0;
    std::atomic<bool> spin_ = false, stop_ = false;

    // The loop. A worker counts itself in before it looks whether the loop is open, and out when it finds no index left. So once the caller
    // has closed the loop and the count is zero, every index is done and no worker reads these fields, and a worker that woke late holds
    // nobody up.
    alignas(cache_line) std::atomic<bool> open_ = false;
    std::atomic<bool> busy_ = false;
    Task task_ = nullptr;
    void *context_ = nullptr;
    std::atomic<int> result_ = 0;
    alignas(cache_line) std::atomic<int> inside_ = 0;

    // A thread begins with its own share of the indices, the same part of every loop, so that it finds in its caches what it wrote in the
    // loop before; when that is done it takes what is left of the others'.
    struct alignas(cache_line) Share {
        std::atomic<std::int64_t> next = 0;
        std::int64_t end = 0;
    };
    std::vector<Share> shares_;

    bool may_spin_ = false;  // not with more threads than the hardware has: one that spins keeps another from working
    std::deque<KernelThread> workers_;
};

}  // namespace halcyon
