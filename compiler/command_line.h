// The model compiler's commands, plan and build, which halcyonc and halcyon have.
#pragma once

#include <filesystem>
#include <functional>

namespace CLI {
class App;
}

namespace halcyon {

/// kernel_gen, beside this program.
std::filesystem::path kernel_gen_file();

/// Where "runtime/model.h" lies: beside an installed program, or in the source tree that this one was built from.
std::filesystem::path include_folder();

/// Adds both to a program. What reads the command line sets `chosen` to the command that the user chose, which returns an exit code and
/// throws std::exception with one line for the user.
void add_compiler_commands(CLI::App &program, std::function<int()> &chosen);

}  // namespace halcyon
