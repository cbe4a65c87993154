// The trainer as a user runs it: a program with arguments, an exit code and what it prints.
#pragma once

#include "tests/data/files.h"

#include <string>
#include <vector>

#include <sys/types.h>

namespace halcyon::tests {

struct Result {
    int exit_code = -1;
    std::string out, err;
    bool wrote_files = false;  // in the folder where it ran
};

/// The program cifar10 while it runs, in an empty folder of its own, with CIFAR10_DIR unset.
class Cifar10 {
public:
    explicit Cifar10(const std::vector<std::string> &arguments);

    void signal(int number) const;

    /// Waits until its output holds `text`, or it has ended.
    void wait_for(const std::string &text);

    /// Waits for its end.
    Result result();

private:
    TemporaryFolder folder_;
    pid_t process_ = -1;
};

/// Runs it to its end.
inline Result cifar10(const std::vector<std::string> &arguments) { return Cifar10(arguments).result(); }

/// The same where it must end well: what it prints.
std::string output_of(const std::vector<std::string> &arguments);

}  // namespace halcyon::tests
