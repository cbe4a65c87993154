// Builds a plan: compiles its kernels and makes one library of them.
#pragma once

#include "plan/plan.h"

#include <filesystem>
#include <functional>
#include <string_view>

namespace halcyon {

struct BuildOptions {
    std::filesystem::path output;      // the folder that gets the library, its header halcyon_<model>.h, plan.json and objects/
    std::filesystem::path cache;       // kernel_gen's cache of objects by content; empty: none
    std::filesystem::path kernel_gen;  // the generator binary
    std::filesystem::path include;     // the folder that runtime/model.h lies in, as "runtime/model.h"
    int jobs = 1;                      // processes at a time
    bool shared = false;               // libhalcyon_<model>.so, for programs with Halide's runtime to load, instead of libhalcyon_<model>.a
    bool verbose = false;              // a line per compiled kernel on standard output
    std::function<void(int done, int kernels)> progress = {};  // called before the first kernel and after each, by one thread at a time
};

struct BuildSummary {
    int kernels = 0;
    int compiled = 0;  // the others' objects had the same arguments and the same kernel_gen as last time
};

/// `model` is the model file's text, which goes with the plan. Starts kernel_gen once for every kernel whose object is missing or stale, by
/// a stamp beside it. Files in `output` are replaced whole, and only after everything has compiled; what a killed build left half-done is
/// cleared away. Throws std::runtime_error with one line that names the kernel and its schedule where one fails.
BuildSummary build_plan(const Plan &plan, std::string_view model, const BuildOptions &options);

}  // namespace halcyon
