// The benchmarks of a compiled model, registered with Google Benchmark. Counters of each: "FLOP" and "bytes" of one iteration (kernels),
// "images/s" (steps).
#pragma once

#include "runtime/model.h"
#include "runtime/session.h"

#include <memory>

namespace halcyon {

struct BenchOptions {
    int batch = 64;
    int threads = 1;
};

/// Every compiled kernel of every set that this machine can run, named kernel/shape/set/entry. `session` must outlive the run.
void register_kernels(const halcyon_model &model, const BenchOptions &options, Session &session);

/// A step of training and an inference for every set that this machine can run, named step/train/set and step/infer/set.
void register_steps(const halcyon_model &model, const BenchOptions &options);

}  // namespace halcyon
