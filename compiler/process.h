// Starts programs.
#pragma once

#include <string>
#include <vector>

namespace halcyon {

/// What became of a program.
struct ProcessResult {
    std::string failure;  // "" where it exited with 0, else "exited with 1", "was killed by signal 6"
    std::string output;   // the first 64 KiB of what it printed to standard output and standard error
};

/// Runs `command`, found in PATH where it names no folder, and waits for it. Throws std::runtime_error where it cannot be started.
ProcessResult run_process(const std::vector<std::string> &command);

}  // namespace halcyon
