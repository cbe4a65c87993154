// The benchmarks of a compiled model, registered with Google Benchmark. Each has its row, still without a time, in the results.
#pragma once

#include "bench/results.h"
#include "plan/plan.h"
#include "runtime/engine/session.h"
#include "runtime/model.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

struct BenchOptions {
    std::vector<int> batches = {64};
    int threads = 1;
};

/// The seconds that `work` takes.
template<typename Work>
double seconds_of(Work &&work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Every compiled kernel of every set that this machine can run, for each batch. All but `results` must outlive the run; `plan` is the
/// model's.
void register_kernels(const halcyon_model &model, const Plan &plan, const BenchOptions &options, Session &session, Results &results);

/// A step of training and an inference for every set that this machine can run, for each batch.
void register_steps(const halcyon_model &model, const Plan &plan, const BenchOptions &options, Results &results);

/// oneDNN's convolutions on the shapes of the model's, for each batch, as a set "onednn" whose entries are its implementations. Only where
/// the build has HALCYON_BENCH_ONEDNN.
void register_onednn(const Plan &plan, const BenchOptions &options, Results &results);

}  // namespace halcyon
