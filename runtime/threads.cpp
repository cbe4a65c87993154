#include "runtime/threads.h"

#include "runtime/machine.h"

#include <fmt/format.h>

#include <xmmintrin.h>

#include <chrono>
#include <stdexcept>
#include <system_error>

namespace halcyon {
namespace {

// Longer than the serial work between two loops of a step, shorter than anyone would notice on an idle machine.
constexpr std::chrono::microseconds spin_time{100};

// MXCSR: results that are denormal become zero (FTZ, bit 15), operands that are count as zero (DAZ, bit 6).
constexpr unsigned flush_to_zero = 1U << 15, denormals_are_zero = 1U << 6;

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

// Delegating, so that the destructor runs for the threads that were started before one could not be.
ThreadPool::ThreadPool(int threads) : ThreadPool() {
    if (threads < 1) throw std::invalid_argument(fmt::format("{} threads: there must be at least 1", threads));
    shares_ = std::vector<Share>(threads);
    may_spin_ = threads <= hardware_threads();
    try {
        for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
    } catch (const std::system_error &error) {
        throw std::runtime_error(fmt::format("{} threads cannot be started ({}): use fewer", threads, error.what()));
    }
}

ThreadPool::~ThreadPool() {
    stop_ = true;
    ++signal_;
    signal_.notify_all();
}

ThreadPool::Step::Step(ThreadPool &pool) : pool_(pool) {
    if (!pool.may_spin_) return;
    pool.spin_ = true;
    ++pool.signal_;
    pool.signal_.notify_all();
}

ThreadPool::Step::~Step() { pool_.spin_ = false; }

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
