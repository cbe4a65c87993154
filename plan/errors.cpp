#include "plan/errors.h"

#include "plan/text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

namespace halcyon {
namespace {

template<typename Exception>
bool is(const std::exception &error) {
    return dynamic_cast<const Exception *>(&error) != nullptr;
}

std::string output_failure(int error) { return fmt::format("standard output cannot be written: {}", std::strerror(error)); }

/// "[json.exception.type_error.302] type must be string" without its number.
std::string without_tag(std::string_view text) {
    const std::size_t end = text.starts_with('[') ? text.find("] ") : std::string_view::npos;
    return std::string(end == std::string_view::npos ? text : text.substr(end + 2));
}

std::string describe(const std::exception &error) {
    if (is<std::bad_alloc>(error)) return "there is not enough memory";
    if (is<nlohmann::json::exception>(error)) return "a JSON value is not as expected: " + without_tag(error.what());
    if (const auto *file = dynamic_cast<const std::filesystem::filesystem_error *>(&error))
        return fmt::format("{}: {}", file->path1().string(), file->code().message());
    // fmt's print() throws one where the stream takes no more.
    if (const auto *system = dynamic_cast<const std::system_error *>(&error))
        return std::ferror(stdout) ? output_failure(system->code().value()) : system->code().message();
    // Ours are runtime_error and invalid_argument, with messages for users. Whatever else the standard library throws is a fault here.
    if (is<std::runtime_error>(error) || is<std::invalid_argument>(error)) return error.what();
    return fmt::format("an internal error ({}); please report it", error.what());
}

void write_error(std::string_view text) noexcept {
    while (!text.empty()) {
        const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
        if (n <= 0) return;  // nobody is left to be told
        text.remove_prefix(static_cast<std::size_t>(n));
    }
}

std::string_view program_that_ends;

/// std::terminate()'s: what is no lack of memory is a fault of ours, and aborts.
void terminate() {
    try {
        if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
    } catch (const std::bad_alloc &error) {
        report(program_that_ends, error);
        _exit(1);
    } catch (...) {
    }
    std::abort();
}

}  // namespace

void fail_for(const std::string &what, std::string_view reason) { throw std::runtime_error(fmt::format("{}: {}", what, reason)); }

std::string message_of(const std::exception &error) { return printable(describe(error)); }

void report(std::string_view program, const std::exception &error) noexcept {
    const std::string_view separator = program.empty() ? "" : ": ";
    try {
        write_error(fmt::format("{}{}{}\n", program, separator, message_of(error)));
    } catch (...) {  // no memory for the line
        write_error(program);
        write_error(separator);
        write_error("there is not enough memory\n");
    }
}

void keep_standard_streams() noexcept {
    for (int number = STDIN_FILENO; number <= STDERR_FILENO; ++number)
        if (::fcntl(number, F_GETFD) < 0) ::open("/dev/null", O_RDONLY);  // it gets the lowest free number
}

void end_in_one_line(std::string_view program) noexcept {
    program_that_ends = program;
    std::set_terminate(terminate);
}

void finish_output() {
    errno = EIO;  // what remains where the failure was an earlier write's
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw std::runtime_error(output_failure(errno));
}

}  // namespace halcyon
