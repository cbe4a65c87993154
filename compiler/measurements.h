// What `cifar10_bench --json` measured on a machine, for the plan to show beside what it knows of every call.
#pragma once

#include "plan/machine_peaks.h"
#include "plan/plan.h"

#include <map>
#include <string>
#include <vector>

namespace halcyon {

struct MeasuredKernel {
    std::vector<int> tasks;  // of its parallel loops, in their order; none: it runs on one thread
    double milliseconds = 0;
};

struct Measurements {
    std::string cpu;
    int threads = 0;
    MachinePeaks peaks;
    std::map<std::string, MeasuredKernel> kernels;  // by set, kernel, shape, entry and batch

    /// Null where the call was not measured, on this set for this batch.
    const MeasuredKernel *find(const std::string &set, const Call &call, int batch) const;
};

/// Throws std::runtime_error, one line that names the file, where it is not such a result.
Measurements read_measurements(const std::string &file);

}  // namespace halcyon
