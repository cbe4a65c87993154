#include "tests/training/process.h"

#include "tests/catch.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace halcyon::tests {

Cifar10::Cifar10(const std::vector<std::string> &arguments) {
    std::vector<std::string> words = {CIFAR10_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char *> argv;
    for (std::string &word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string out = folder_ / "out", err = folder_ / "err", work = folder_ / "work";
    std::filesystem::create_directory(work);
    unsetenv("CIFAR10_DIR");

    process_ = fork();
    if (process_ < 0) throw std::runtime_error("cannot fork");
    if (process_ > 0) return;
    dup2(open(out.c_str(), O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
    dup2(open(err.c_str(), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
    if (chdir(work.c_str()) == 0) execv(argv[0], argv.data());
    _exit(127);
}

void Cifar10::signal(int number) const { kill(process_, number); }

void Cifar10::wait_for(const std::string &text) {
    siginfo_t ended{};
    while (read_bytes(folder_ / "out").find(text) == std::string::npos && ended.si_pid == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        waitid(P_PID, id_t(process_), &ended, WEXITED | WNOHANG | WNOWAIT);
    }
}

Result Cifar10::result() {
    int status = 0;
    waitpid(process_, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_bytes(folder_ / "out"), read_bytes(folder_ / "err"),
            !std::filesystem::is_empty(folder_ / "work")};
}

std::string output_of(const std::vector<std::string> &arguments) {
    const Result result = cifar10(arguments);
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    return result.out;
}

}  // namespace halcyon::tests
