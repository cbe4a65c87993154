#include "plan/machine_peaks.h"

#include <algorithm>
#include <cstddef>

namespace halcyon {

double MachinePeaks::bandwidth_for(double bytes) const {
    for (const Bandwidth &level : bandwidths)
        if (bytes <= static_cast<double>(level.bytes)) return level.gb_per_second;
    return bandwidths.back().gb_per_second;
}

double MachinePeaks::bound(double flops, double bytes) const {
    return std::max(flops / (gflops * 1e9), bytes / (bandwidth_for(bytes) * 1e9));
}

MachinePeaks best_of(MachinePeaks a, const MachinePeaks &b) {
    a.gflops = std::max(a.gflops, b.gflops);
    for (std::size_t i = 0; i < a.bandwidths.size(); i++)
        a.bandwidths[i].gb_per_second = std::max(a.bandwidths[i].gb_per_second, b.bandwidths[i].gb_per_second);
    return a;
}

}  // namespace halcyon
