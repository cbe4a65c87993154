#include "bench/reporter.h"

#include <algorithm>
#include <unistd.h>

namespace halcyon {

Reporter::Reporter(Results &results) : ConsoleReporter(isatty(STDOUT_FILENO) ? OO_Defaults : OO_None), results_(results) {}

void Reporter::ReportRuns(const std::vector<Run> &runs) {
    benchmark::ConsoleReporter::ReportRuns(runs);
    std::vector<double> seconds;
    for (const Run &run : runs)
        if (run.run_type == Run::RT_Iteration && run.real_accumulated_time > 0)  // nothing: it failed
            seconds.push_back(run.real_accumulated_time / static_cast<double>(run.iterations));
    if (seconds.empty()) return;
    const auto median = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
    std::ranges::nth_element(seconds, median);
    results_.record(runs.front().run_name.function_name, *median);
}

}  // namespace halcyon
