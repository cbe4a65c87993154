#include "runtime/engine/threads.h"

#include "runtime/engine/machine.h"

#include <fmt/format.h>

#include <xmmintrin.h>

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace halcyon {
namespace {

// Longer than the serial work between two loops of a step, shorter than anyone would notice on an idle machine.
constexpr std::chrono::microseconds spin_time{100};

// MXCSR: results that are denormal become zero (FTZ, bit 15), operands that are count as zero (DAZ, bit 6).
constexpr unsigned flush_to_zero = 1U << 15, denormals_are_zero = 1U << 6;

// Of a thread of ours: the thread's own variables and what calls the kernels lie there too.
constexpr std::size_t thread_stack_bytes = kernel_stack_bytes + (1 << 20);

/// From the lowest address of this thread's stack to its end; nothing where the system does not tell.
struct Stack {
    std::uintptr_t begin = 0, end = 0;

    Stack() {
        pthread_attr_t attributes;
        if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
        void *lowest = nullptr;
        std::size_t bytes = 0;
        if (pthread_attr_getstack(&attributes, &lowest, &bytes) == 0) {
            begin = reinterpret_cast<std::uintptr_t>(lowest);
            end = begin + bytes;
        }
        pthread_attr_destroy(&attributes);
    }
};

/// Spins until `done()`, for spin_time at most; returns done().
template<typename Done>
bool spin_until(Done &&done) {
    const auto deadline = std::chrono::steady_clock::now() + spin_time;
    while (!done()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        _mm_pause();
    }
    return true;
}

}  // namespace

FlushDenormals::FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | flush_to_zero | denormals_are_zero); }
FlushDenormals::~FlushDenormals() { _mm_setcsr(saved_); }

KernelThread::KernelThread(std::function<void()> work) : work_(std::move(work)) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, thread_stack_bytes);
    const auto call = [](void *function) -> void * {
        (*static_cast<std::function<void()> *>(function))();
        return nullptr;
    };
    const int error = pthread_create(&thread_, &attributes, call, &work_);
    pthread_attr_destroy(&attributes);
    if (error)
        throw std::runtime_error(
            fmt::format("a thread with {} MiB of stack cannot be started ({})", thread_stack_bytes >> 20, std::strerror(error)));
}

KernelThread::~KernelThread() { pthread_join(thread_, nullptr); }

std::int64_t stack_left() {
    thread_local const Stack stack;  // of the main thread the system reads /proc/self/maps
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    return here > stack.begin && here < stack.end ? static_cast<std::int64_t>(here - stack.begin) : 0;
}

// Delegating, so that the destructor runs for the threads that were started before one could not be.
ThreadPool::ThreadPool(int threads) : ThreadPool() {
    if (threads < 1 || threads > most_threads)
        throw std::invalid_argument(fmt::format("{} threads: there must be 1 to {}", threads, most_threads));
    shares_ = std::vector<Share>(threads);
    may_spin_ = threads <= hardware_threads();
    try {
        for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
    } catch (const std::runtime_error &error) {
        throw std::runtime_error(fmt::format("{} threads: {}: use fewer", threads, error.what()));
    }
}

ThreadPool::~ThreadPool() {
    stop_ = true;
    ++signal_;
    signal_.notify_all();
}

ThreadPool::Step::Step(ThreadPool &pool) : pool_(pool), outermost_(pool.may_spin_ && !pool.spin_) {
    if (!outermost_) return;
    pool.spin_ = true;
    ++pool.signal_;
    pool.signal_.notify_all();
}

ThreadPool::Step::~Step() {
    if (outermost_) pool_.spin_ = false;
}

int ThreadPool::parallel_for(int min, int extent, Task task, void *context) {
    if (workers_.empty() || extent <= 1 || busy_.load(std::memory_order_relaxed)) {
        int result = 0;
        for (int i = 0; i < extent; ++i)
            if (const int code = task(context, min + i)) result = code;
        return result;
    }

    busy_.store(true, std::memory_order_relaxed);
    task_ = task;
    context_ = context;
    result_ = 0;
    const std::int64_t threads = size();
    for (std::int64_t i = 0; i < threads; ++i) {
        shares_[i].next.store(min + extent * i / threads, std::memory_order_relaxed);
        shares_[i].end = min + extent * (i + 1) / threads;
    }
    open_ = true;
    ++signal_;
    signal_.notify_all();

    run_tasks(0);

    open_ = false;
    if (const auto finished = [this] { return inside_ == 0; }; !may_spin_ || !spin_until(finished))
        while (const int inside = inside_) inside_.wait(inside);
    busy_.store(false, std::memory_order_relaxed);
    return result_;
}

void ThreadPool::run_share(int share) {
    auto &[next, end] = shares_[share];
    while (next.load(std::memory_order_relaxed) < end) {
        const std::int64_t index = next.fetch_add(1, std::memory_order_relaxed);
        if (index >= end) return;
        if (const int code = task_(context_, static_cast<int>(index))) result_ = code;
    }
}

void ThreadPool::run_tasks(int thread) {
    for (int i = 0; i < size(); ++i) run_share((thread + i) % size());
}

void ThreadPool::work(int thread) {
    const FlushDenormals flush_denormals;
    std::uint32_t seen = 0;
    while (true) {
        seen = wait_for_signal(seen);
        if (stop_) return;
        ++inside_;
        if (open_) run_tasks(thread);
        if (--inside_ == 0) inside_.notify_one();
    }
}

std::uint32_t ThreadPool::wait_for_signal(std::uint32_t seen) const {
    const auto awake = [&] { return signal_ != seen || !spin_; };
    if (spin_) spin_until(awake);
    signal_.wait(seen);
    return signal_;
}

}  // namespace halcyon
