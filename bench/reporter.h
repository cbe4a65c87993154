// Google Benchmark's console output while it runs; keeps every time for the results.
#pragma once

#include "bench/results.h"

#include <benchmark/benchmark.h>

#include <vector>

namespace halcyon {

class Reporter : public benchmark::ConsoleReporter {
public:
    /// Fills in `results`. Colours only where a terminal shows them.
    explicit Reporter(Results &results);

    /// Takes the median of a benchmark's repetitions.
    void ReportRuns(const std::vector<Run> &runs) override;

private:
    Results &results_;
};

}  // namespace halcyon
