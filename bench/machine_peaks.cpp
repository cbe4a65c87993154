#include "bench/machine_peaks.h"

#include "runtime/engine/machine.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <functional>

extern "C" {
double fma_loop_sse41(long iterations);
double fma_loop_avx2(long iterations);
double fma_loop_avx512(long iterations);
}

namespace halcyon {
namespace {

using Loop = double (*)(long);

Loop widest_fma_loop() {
    if (cpu_has("avx512_skylake")) return fma_loop_avx512;
    if (cpu_has("avx2") && cpu_has("fma")) return fma_loop_avx2;
    return fma_loop_sse41;
}

/// The best of 20: anything else on the machine can only slow it down. `work` returns what it did, each thread calls it once.
double best_rate(ThreadPool &threads, const std::function<double(int)> &work) {
    using Clock = std::chrono::steady_clock;
    struct Context {
        const std::function<double(int)> &work;
        std::vector<double> done;
    } context{work, std::vector<double>(static_cast<std::size_t>(threads.size()))};
    double best = 0;
    const ThreadPool::Step awake(threads);
    for (int repeat = 0; repeat < 20; repeat++) {
        const Clock::time_point begin = Clock::now();
        threads.parallel_for(
            0, threads.size(),
            [](void *opaque, int thread) {
                auto *c = static_cast<Context *>(opaque);
                c->done[static_cast<std::size_t>(thread)] = c->work(thread);
                return 0;
            },
            &context);
        const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        double done = 0;
        for (const double part : context.done) done += part;
        best = std::max(best, done / seconds);
    }
    return best;
}

/// Scales arrays of `bytes` in all, in place: as much is written as is read.
double measure_bandwidth(ThreadPool &threads, std::int64_t bytes) {
    const auto floats = static_cast<std::size_t>(bytes / threads.size()) / sizeof(float);
    std::vector<std::vector<float>> arrays(static_cast<std::size_t>(threads.size()), std::vector<float>(floats, 1.0f));
    const auto passes = std::max<std::int64_t>(1, (std::int64_t(64) << 20) / bytes);
    return best_rate(threads, [&](int thread) {
        std::vector<float> &array = arrays[static_cast<std::size_t>(thread)];
        for (std::int64_t pass = 0; pass < passes; pass++)
            for (float &value : array) value = value * 0.5f + 0.5f;
        return 2.0 * static_cast<double>(passes) * static_cast<double>(array.size() * sizeof(float));
    });
}

/// What the caches of a level hold together for so many threads, or a common size where the system does not say. Google Benchmark reads
/// what one cache shares; sysconf would add up all of a socket's L3, 256 MiB on an EPYC whose cores reach 32 MiB each.
std::int64_t cache_bytes(int level, int threads, std::int64_t common) {
    for (const benchmark::CPUInfo::CacheInfo &cache : benchmark::CPUInfo::Get().caches)
        if (cache.level == level && cache.type != "Instruction") {
            const int sharing = std::max(1, cache.num_sharing);
            return std::int64_t(cache.size) * ((threads + sharing - 1) / sharing);
        }
    return common;
}

}  // namespace

MachinePeaks measure_machine_peaks(ThreadPool &threads) {
    const std::int64_t l2 = cache_bytes(2, threads.size(), (512 << 10) * threads.size());
    const std::int64_t l3 = std::max<std::int64_t>(cache_bytes(3, threads.size(), 16 << 20), 2 * l2);
    MachinePeaks peaks;
    peaks.gflops = best_rate(threads, [](int) { return widest_fma_loop()(500'000); }) / 1e9;
    // Half a cache is measured: what else lives there must not push it out.
    peaks.bandwidths = {{"L2", l2, measure_bandwidth(threads, l2 / 2) / 1e9},
                        {"L3", l3, measure_bandwidth(threads, l3 / 2) / 1e9},
                        {"memory", INT64_MAX, measure_bandwidth(threads, 4 * l3) / 1e9}};
    return peaks;
}

}  // namespace halcyon
