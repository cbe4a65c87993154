// The command line of a program with models: train, evaluate, predict, data, summary, schedules, bench.
#pragma once

#include "runtime/commands/application.h"
#include "runtime/model.h"

namespace halcyon {

/// What the program exits with.
enum ExitCode : int {
    exit_done = 0,
    exit_failed = 1,         // one line on stderr says why
    exit_usage = 2,          // an unknown or malformed option
    exit_interrupted = 130,  // stopped by Ctrl-C, as shells report it; the run is saved
};

/// Does what the command line asks, and returns the program's exit code.
int run_command_line(Application &application, int argc, char **argv);

/// The same for the program whose model this is.
int run_command_line(const halcyon_model &model, int argc, char **argv);

}  // namespace halcyon
