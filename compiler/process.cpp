#include "compiler/process.h"

#include "plan/files.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>

namespace halcyon {
namespace {

[[noreturn]] void fail(const std::string &program, const char *what, int error) {
    throw std::runtime_error(fmt::format("{}: {}: {}", program, what, std::strerror(error)));
}

pid_t start(const std::vector<std::string> &command, const Descriptor &output) {
    std::vector<char *> arguments;
    for (const std::string &argument : command) arguments.push_back(const_cast<char *>(argument.c_str()));
    arguments.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output.number(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output.number(), STDERR_FILENO);
    pid_t process = 0;
    const int error = posix_spawnp(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error(fmt::format("{}: cannot be started: {}; is it installed?", command[0], std::strerror(error)));
    return process;
}

/// The beginning of what comes until everyone has closed the pipe's other end.
std::string read_all(const Descriptor &pipe) {
    constexpr std::size_t most = std::size_t{64} << 10;
    std::string text;
    std::array<char, 4096> block;
    for (ssize_t n = 0; (n = ::read(pipe.number(), block.data(), block.size())) != 0;) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        text.append(block.data(), std::min(std::size_t(n), most - text.size()));
    }
    return text;
}

std::string failure_of(int status) {
    if (WIFSIGNALED(status)) {
        const char *what_to_do = WTERMSIG(status) == SIGKILL ? " (where memory ran out, fewer jobs need less)" : "";
        return fmt::format("was killed by signal {}{}", WTERMSIG(status), what_to_do);
    }
    return WEXITSTATUS(status) == 0 ? "" : fmt::format("exited with {}", WEXITSTATUS(status));
}

}  // namespace

ProcessResult run_process(const std::vector<std::string> &command) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail(command[0], "cannot be started", errno);
    const Descriptor reading(ends[0]);
    Descriptor writing(ends[1]);
    const pid_t process = start(command, writing);
    writing.close();
    std::string output = read_all(reading);

    int status = 0;
    while (::waitpid(process, &status, 0) < 0)
        if (errno != EINTR) fail(command[0], "cannot be waited for", errno);
    return {failure_of(status), std::move(output)};
}

}  // namespace halcyon
