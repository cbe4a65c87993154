// Builds a plan: compiles its kernels and makes one static library and one header of them.
#pragma once

#include "plan/plan.h"

#include <filesystem>

namespace halcyon {

struct BuildOptions {
    std::filesystem::path output;      // the folder that gets libhalcyon_<model>.a, halcyon_<model>.h, plan.json and objects/
    std::filesystem::path cache;       // kernel_gen's cache of objects by content; empty: none
    std::filesystem::path kernel_gen;  // the generator binary
    std::filesystem::path include;     // the folder that runtime/model.h lies in, as "runtime/model.h"
    int jobs = 1;                      // processes at a time
    bool verbose = false;              // a line per compiled kernel on standard output
};

struct BuildSummary {
    int kernels = 0;
    int compiled = 0;  // the others' objects had the same arguments and the same kernel_gen as last time
};

/// Starts kernel_gen once for every kernel whose object is missing or stale, by a stamp beside it. Files in `output` are replaced whole,
/// and only after everything has compiled; what a killed build left half-done is cleared away. Throws std::runtime_error with one line that
/// names the kernel and its schedule where one fails.
BuildSummary build_plan(const Plan &plan, const BuildOptions &options);

}  // namespace halcyon
