#include "runtime/engine/threads.h"

#include "runtime/engine/machine.h"
#include "tests/catch.h"
#include "tests/runtime/small_stacks.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace halcyon;
using namespace halcyon::tests;
using namespace std::chrono_literals;

namespace {

/// parallel_for with a lambda: int(int index).
template<typename Body>
int loop(ThreadPool &pool, int min, int extent, Body body) {
    return pool.parallel_for(
        min, extent, [](void *context, int index) -> int { return (*static_cast<Body *>(context))(index); }, &body);
}

/// The CPU time of this process, all its threads together.
std::chrono::microseconds cpu_time() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto of = [](const timeval &t) { return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec); };
    return of(usage.ru_utime) + of(usage.ru_stime);
}

/// Where the tasks of a loop wait for each other, so that every thread runs one.
struct Meeting {
    int guests;
    std::atomic<int> arrived = 0;

    /// False where somebody does not come.
    bool wait_for_all() {
        ++arrived;
        const auto deadline = std::chrono::steady_clock::now() + 5s;
        while (arrived < guests && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
        return std::chrono::steady_clock::now() < deadline;
    }
};

bool flushes_denormals() {
    volatile float small = 1e-30F;
    return small * 1e-10F == 0.0F;  // 1e-40 is denormal
}

}  // namespace

TEST_CASE("a parallel loop runs every index once") {
    const int threads = GENERATE(1, 2, 5);
    const int extent = GENERATE(0, 1, 2, 7, 1000);
    CAPTURE(threads, extent);
    ThreadPool pool(threads);
    CHECK(pool.size() == threads);
    constexpr int min = -3;
    for (const bool in_step : {false, true}) {
        std::deque<std::atomic<int>> visits(std::size_t(extent) + 2);  // one guard at each end
        const auto body = [&](int index) { return ++visits.at(std::size_t(index - min + 1)), 0; };
        if (in_step) {
            const ThreadPool::Step step(pool);
            CHECK(loop(pool, min, extent, body) == 0);
        } else {
            CHECK(loop(pool, min, extent, body) == 0);
        }
        CHECK(visits.front() == 0);
        CHECK(visits.back() == 0);
        CHECK(std::all_of(visits.begin() + 1, visits.end() - 1, [](int count) { return count == 1; }));
    }
}

TEST_CASE("what one loop wrote is seen in the next") {
    ThreadPool pool(3);
    const ThreadPool::Step step(pool);
    constexpr int cells = 64, rounds = 500;
    std::vector<int> now(cells, 0), next(cells);
    for (int round = 0; round < rounds; ++round) {
        loop(pool, 0, cells, [&](int i) { return next[std::size_t(i)] = now[std::size_t((i + 1) % cells)] + 1, 0; });
        std::swap(now, next);
    }
    CHECK(now == std::vector<int>(cells, rounds));
}

TEST_CASE("the threads of a loop run at the same time, and it returns when all are done") {
    ThreadPool pool(3);
    Meeting meeting{pool.size()};
    std::atomic<int> met = 0, finished = 0;
    const auto caller = std::this_thread::get_id();
    loop(pool, 0, pool.size(), [&](int) {
        met += meeting.wait_for_all();
        if (std::this_thread::get_id() != caller) std::this_thread::sleep_for(20ms);
        return ++finished, 0;
    });
    CHECK(met == pool.size());
    CHECK(finished == pool.size());
}

TEST_CASE("every thread begins with its own part of a loop") {
    ThreadPool pool(2);
    const auto caller = std::this_thread::get_id();
    for (int round = 0; round < 100; ++round) {
        Meeting meeting{pool.size()};
        std::atomic<int> first_of_worker = 0;
        loop(pool, 10, 6, [&](int index) {
            int none = 0;
            if (std::this_thread::get_id() != caller && first_of_worker.compare_exchange_strong(none, index)) ++meeting.arrived;
            if (index == 10) meeting.wait_for_all();
            return 0;
        });
        REQUIRE(first_of_worker == 13);
    }
}

TEST_CASE("a thread that has done its part of a loop goes on with the others'") {
    ThreadPool pool(3);
    Meeting meeting{9};
    std::atomic<bool> waited = false;
    loop(pool, 0, 9, [&](int index) {
        if (index == 0)
            waited = meeting.wait_for_all();
        else
            ++meeting.arrived;
        return 0;
    });
    CHECK(waited);
}

TEST_CASE("a task's error is returned, and the next loop is clean") {
    ThreadPool pool(GENERATE(1, 3));
    CHECK(loop(pool, 0, 100, [](int index) { return index == 57 ? -9 : 0; }) == -9);
    CHECK(loop(pool, 0, 100, [](int) { return 0; }) == 0);
}

TEST_CASE("a loop inside a loop runs in its task's thread, in order") {
    ThreadPool pool(3);
    std::atomic<int> out_of_order = 0, inner_calls = 0;
    loop(pool, 0, 50, [&](int) {
        const auto thread = std::this_thread::get_id();
        int expected = 10;
        loop(pool, 10, 20, [&](int index) {
            ++inner_calls;
            if (index != expected++ || std::this_thread::get_id() != thread) ++out_of_order;
            return 0;
        });
        return 0;
    });
    CHECK(inner_calls == 50 * 20);
    CHECK(out_of_order == 0);
}

TEST_CASE("denormals are flushed in a step, and the caller's mode is restored") {
    ThreadPool pool(3);
    REQUIRE(!flushes_denormals());
    {
        const ThreadPool::Step step(pool);
        CHECK(flushes_denormals());
        Meeting meeting{pool.size()};
        std::atomic<int> flushing = 0;
        loop(pool, 0, pool.size(), [&](int) { return flushing += meeting.wait_for_all() && flushes_denormals(), 0; });
        CHECK(flushing == pool.size());
    }
    CHECK(!flushes_denormals());
}

TEST_CASE("a loop costs little in a step") {
    // Halide's own pool takes about 60 us to wake; half of it leaves room for a busy machine. Measured: below 1 us.
    ThreadPool pool(2);
    const ThreadPool::Step step(pool);
    std::vector<std::chrono::duration<double, std::micro>> costs(2001);
    for (auto &cost : costs) {
        const auto start = std::chrono::steady_clock::now();
        loop(pool, 0, 2, [](int) { return 0; });
        cost = std::chrono::steady_clock::now() - start;
    }
    std::nth_element(costs.begin(), costs.begin() + 1000, costs.end());
    CAPTURE(costs[1000].count());
    CHECK(costs[1000] < 30us);
}

TEST_CASE("an idle pool takes no CPU time") {
    ThreadPool pool(hardware_threads());
    const auto idle_cost = [] {
        const auto before = cpu_time();
        std::this_thread::sleep_for(100ms);
        return cpu_time() - before;
    };
    {
        const ThreadPool::Step step(pool);
        loop(pool, 0, 100, [](int) { return 0; });
        CHECK(idle_cost() < 10ms);  // the spinning is bounded inside a step too
    }
    CHECK(idle_cost() < 10ms);
}

TEST_CASE("a pool has 1 to 8192 threads") {
    for (const int threads : {0, -1, 8193, 1'000'000'000}) CHECK_THROWS_AS(ThreadPool(threads), std::invalid_argument);
}

TEST_CASE("every thread of a pool has a stack for kernels, whatever new threads get") {
    const SmallStacks small(1 << 20);
    ThreadPool pool(3);
    Meeting meeting{pool.size()};
    const auto caller = std::this_thread::get_id();
    std::atomic<int> deep = 0;
    loop(pool, 0, pool.size(), [&](int) {
        meeting.wait_for_all();
        if (std::this_thread::get_id() != caller) deep += stack_left() >= kernel_stack_bytes;
        return 0;
    });
    CHECK(deep == pool.size() - 1);
}

TEST_CASE("kernels run where there is stack for them") {
    struct Seen {
        bool same_thread = false, deep = false, flushes = false, throws = false;
    };
    const auto look = [] {
        Seen seen;
        const auto caller = std::this_thread::get_id();
        const FlushDenormals flush_denormals;
        on_kernel_stack([&] {
            seen.same_thread = std::this_thread::get_id() == caller;
            seen.deep = stack_left() >= kernel_stack_bytes;
            seen.flushes = flushes_denormals();
        });
        try {
            on_kernel_stack([] { throw std::runtime_error("from a kernel"); });
        } catch (const std::runtime_error &error) {
            seen.throws = error.what() == std::string("from a kernel");
        }
        return seen;
    };
    Seen on_small, on_large;
    {
        const SmallStacks small(1 << 20);
        std::thread([&] { on_small = look(); }).join();
        const KernelThread large([&] { on_large = look(); });
    }
    CHECK(!on_small.same_thread);
    CHECK(on_large.same_thread);
    for (const Seen &seen : {on_small, on_large}) {
        CHECK(seen.deep);
        CHECK(seen.flushes);
        CHECK(seen.throws);
    }
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)  // their own threads and maps want memory too
TEST_CASE("threads that cannot be started are an error, and those that were started end") {
    const pid_t child = fork();
    if (child == 0) {
        rlimit limit{};
        getrlimit(RLIMIT_AS, &limit);
        limit.rlim_cur = 1;
        setrlimit(RLIMIT_AS, &limit);  // no more mappings than there are
        try {
            const ThreadPool pool(1000);
        } catch (const std::runtime_error &error) {
            _exit(std::string_view(error.what()).ends_with("use fewer") ? 0 : 2);
        }
        _exit(1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}
#endif
