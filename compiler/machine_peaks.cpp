#include "compiler/machine_peaks.h"

#include <algorithm>

namespace halcyon {

double MachinePeaks::bandwidth_for(double bytes) const {
    for (const Bandwidth &level : bandwidths)
        if (bytes <= static_cast<double>(level.bytes)) return level.gb_per_second;
    return bandwidths.back().gb_per_second;
}

double MachinePeaks::bound(double flops, double bytes) const {
    return std::max(flops / (gflops * 1e9), bytes / (bandwidth_for(bytes) * 1e9));
}

}  // namespace halcyon
