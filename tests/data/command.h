// Commands for tests, and what they print.
#pragma once

#include <cstdio>
#include <string>

struct CommandResult {
    int status = -1;  // as wait() has it; -1: it did not start
    std::string output;
};

/// Runs a command of the shell to its end; its stderr stays the caller's.
inline CommandResult run_command(const std::string &command) {
    CommandResult result;
    if (FILE *pipe = popen(command.c_str(), "r")) {
        for (int c; (c = std::fgetc(pipe)) != EOF;) result.output += char(c);
        result.status = pclose(pipe);
    }
    return result;
}
