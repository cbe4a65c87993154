// What a machine can do at most, and so the least time that a kernel takes there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace halcyon {

struct Bandwidth {
    std::string level;     // "L2", "L3", "memory"
    std::int64_t bytes;    // that fit, in the caches of all threads together
    double gb_per_second;  // read and written, by all threads
};

struct MachinePeaks {
    double gflops = 0;                  // fp32, multiply and add, the widest vectors the CPU has, all threads
    std::vector<Bandwidth> bandwidths;  // nearest first

    /// Of the nearest level that `bytes` fit in.
    double bandwidth_for(double bytes) const;

    /// The least seconds that so many operations and bytes can take.
    double bound(double flops, double bytes) const;
};

/// Of two measurements of one machine, the faster of every figure.
MachinePeaks best_of(MachinePeaks a, const MachinePeaks &b);

}  // namespace halcyon
