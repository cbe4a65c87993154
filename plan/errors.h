// Where errors end: what an exception, ours or a library's, becomes for a user.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace halcyon {

/// Throws std::runtime_error, "<what>: <reason>"; `what` is a path, or stands for a file in other ways.
[[noreturn]] void fail_for(const std::string &what, std::string_view reason);

/// One printable line for a user: our own messages as they are, a library's without its decoration.
std::string message_of(const std::exception &error);

/// Writes "<program>: <message>" and a line's end to standard error, or the message alone where `program` is "".
void report(std::string_view program, const std::exception &error) noexcept;

/// Puts /dev/null where the caller closed standard input, output or error, so that no file that is opened takes their place and then
/// what is printed. Nothing can be written to this output: it fails as a closed one does.
void keep_standard_streams() noexcept;

/// Throws std::runtime_error where standard output has not taken all that was printed.
void finish_output();

/// Makes memory that runs out where no exception can leave (libraries allocate in destructors) end the program as every other error does:
/// with a line, that of report(), and exit code 1. `program` must last.
void end_in_one_line(std::string_view program) noexcept;

/// Runs a program's `work`, which returns an exit code, and returns that; 1 where it throws, or where its output could not be written,
/// after a line that says why. Build nothing before it: an allocation that fails in here is reported too.
template<typename Work>
int run_program(std::string_view program, Work &&work) noexcept {
    end_in_one_line(program);
    try {
        keep_standard_streams();
        const int code = work();
        finish_output();
        return code;
    } catch (const std::exception &error) {
        report(program, error);
    } catch (...) {
        report(program, std::exception());
    }
    return 1;
}

}  // namespace halcyon
