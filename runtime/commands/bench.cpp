#include "runtime/commands/commands.h"

#include "plan/files.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <unistd.h>

namespace halcyon {

int run_bench(const halcyon_model &model, std::vector<std::string> arguments) {
    const std::string path = (program_folder() / fmt::format("{}_bench", model.name)).string();
    arguments.insert(arguments.begin(), path);
    std::vector<char *> argv;
    for (std::string &argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::signal(SIGPIPE, SIG_DFL);  // a new program gets the signals that it expects
    ::execv(path.c_str(), argv.data());
    throw std::runtime_error(
        fmt::format("{}: cannot be started: {}; build it with make bench MODEL={}", path, std::strerror(errno), model.name));
}

}  // namespace halcyon
