// What the benchmarks measured, and what it means beside the machine's peaks: a JSON document, and the table that a person reads.
#pragma once

#include "bench/machine_peaks.h"

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <vector>

namespace halcyon {

/// A kernel under one entry of one set.
struct KernelResult {
    std::string kernel, shape, set, entry;
    int batch = 0;                         // 0: the kernel does not see it
    int train_calls = 0, infer_calls = 0;  // in a step of the set's own plan; no calls: there to be compared
    double flops = 0, bytes = 0;           // of a call; bytes read and written
    double seconds = 0;                    // 0: has not run
    std::vector<int> tasks = {};           // of its parallel loops, in their order

    /// Its benchmark's: conv2d_fwd/h32w32c3_k32r3s3/x86_avx2/register_tile/64.
    std::string name() const;
};

/// A whole step under one set.
struct StepResult {
    std::string step, set;  // "train" or "infer"
    int batch = 0;
    double flops = 0;    // of its convolutions and products, counted as the direct algorithm's
    double seconds = 0;  // 0: has not run

    /// Its benchmark's: step/train/x86_avx2/64.
    std::string name() const;
};

struct Results {
    MachinePeaks peaks;                                     // of the host
    std::map<std::string, MachinePeaks> device_peaks = {};  // by set, of the devices that tell
    int threads = 1;
    std::string automatic;  // the set that `--schedule auto` takes here
    std::vector<KernelResult> kernels = {};
    std::vector<StepResult> steps = {};

    /// What a set's kernels are compared with; null for a device that does not tell.
    const MachinePeaks *peaks_of(const std::string &set) const;

    /// Gives the benchmark of this name its time.
    void record(const std::string &name, double seconds);
};

/// {"machine": {...}, "kernels": [...], "steps": [...]} of all that has run, every column of the table a key. The kernels that the
/// automatic set's plan calls come first, then all others, and in either part those first that lose most time against the machine's bound.
/// An algorithm that needs fewer operations than the one its FLOPs are counted by may pass 100 % and lose less than nothing.
nlohmann::ordered_json report(const Results &results);

/// The report as text.
std::string table(const nlohmann::ordered_json &report);

}  // namespace halcyon
