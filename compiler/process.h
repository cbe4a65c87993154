// Starts programs.
#pragma once

#include <string>
#include <vector>

namespace halcyon {

/// Runs `command`, found in PATH where it names no folder, and waits for it; what it prints goes to the file `log`. Returns "" if it
/// exited with 0, else what became of it: "exited with 1", "was killed by signal 6". Throws std::runtime_error where it cannot be started.
std::string run_process(const std::vector<std::string> &command, const std::string &log);

}  // namespace halcyon
