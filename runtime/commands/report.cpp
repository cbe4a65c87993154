#include "runtime/commands/commands.h"

#include "plan/text.h"
#include "runtime/training/report.h"

#include <fmt/format.h>

#include <filesystem>

namespace halcyon {

int run_report(const ReportOptions &options) {
    const std::vector<std::filesystem::path> runs(options.runs.begin(), options.runs.end());
    const std::filesystem::path otherwise = runs.size() == 1 ? runs.front() / "report.html" : "report.html";
    const std::filesystem::path file = options.out.empty() ? otherwise : std::filesystem::path(options.out);
    write_report(runs, file);
    fmt::print("{}\n", printable(file.string()));
    return exit_done;
}

}  // namespace halcyon
