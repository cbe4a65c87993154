// The table that a person reads after the run.
#pragma once

#include "bench/machine_peaks.h"

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace halcyon {

/// Google Benchmark's console output while it runs; keeps every result for the table.
class TableReporter : public benchmark::ConsoleReporter {
public:
    /// Colours only where a terminal shows them.
    TableReporter();

    void ReportRuns(const std::vector<Run> &runs) override;

    /// The kernels, those that lose most time against the machine's bound first, then the steps.
    std::string table(const MachinePeaks &peaks) const;

private:
    struct Row {
        std::string kernel, shape, set, entry;
        double seconds, flops, bytes;
    };
    struct Step {
        std::string what, set;
        double seconds, images_per_second;
    };
    std::string kernel_row(const Row &row, const MachinePeaks &peaks) const;
    std::string times_reference(const Row &row) const;

    std::vector<Row> rows_;
    std::vector<Step> steps_;
};

}  // namespace halcyon
