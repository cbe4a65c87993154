// What a user is told: of exceptions, of files that cannot be read, of JSON that is none.
#include "plan/errors.h"
#include "plan/files.h"
#include "plan/json.h"
#include "plan/text.h"
#include "tests/catch.h"
#include "tests/data/files.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace halcyon;

namespace {

/// What message_of() makes of what `action` throws.
std::string message(const std::function<void()> &action) {
    try {
        action();
    } catch (const std::exception &error) {
        return message_of(error);
    }
    return "nothing was thrown";
}

std::string json_message(std::string_view text) {
    return message([&] { parse_json(text, "a.json"); });
}

std::string nested(int depth) { return std::string(std::size_t(depth), '[') + std::string(std::size_t(depth), ']'); }

/// Does what must not throw.
void without_exceptions(const std::function<void()> &action) noexcept { action(); }

/// The status and the standard error of a program that does `action`.
std::pair<int, std::string> program(const std::function<void()> &action) {
    const TemporaryFolder folder;
    const std::string errors = folder / "errors";
    const pid_t child = fork();
    if (child == 0) {
        std::signal(SIGABRT, SIG_DFL);  // Catch would tell of it
        dup2(open(errors.c_str(), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
        _exit(run_program("tiny", [&] {
            action();
            return 0;
        }));
    }
    int status = 0;
    waitpid(child, &status, 0);
    return {status, read_file(errors)};
}

}  // namespace

TEST_CASE("text from outside is shown on one line that no terminal obeys") {
    CHECK(printable("") == "");
    CHECK(printable("a b\\c \"d\" Käse 猫 🐈") == "a b\\c \"d\" Käse 猫 🐈");
    CHECK(printable("a\nb\r\tc") == "a\\nb\\r\\tc");
    CHECK(printable(std::string_view("\x1b[31mred\x7f\0", 10)) == "\\x1b[31mred\\x7f\\x00");
    CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");           // C1: a terminal takes it for ESC [
    CHECK(printable("\xc2\xa0") == "\xc2\xa0");             // the first character behind C1
    CHECK(printable("\xe2\x80\xae") == "\\xe2\\x80\\xae");  // what follows would run from right to left
    CHECK(printable("\xe2\x80\xa8") == "\\xe2\\x80\\xa8");  // a line separator
    CHECK(printable("\xff\xfe") == "\\xff\\xfe");
    CHECK(printable("caf\xe9") == "caf\\xe9");              // Latin-1
    CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");           // overlong
    CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // a surrogate
    CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
    CHECK(printable("\xe7\x8c") == "\\xe7\\x8c");  // cut off
}

TEST_CASE("no library's raw message reaches a user") {
    using nlohmann::json;
    const json number = 1, none;
    CHECK(message([] { throw std::bad_alloc(); }) == "there is not enough memory");
    CHECK(message([] { throw std::bad_array_new_length(); }) == "there is not enough memory");
    CHECK(message([&] { return number.get<std::string>(); }) == "a JSON value is not as expected: type must be string, but is number");
    CHECK(message([&] { return none.at("key"); }) == "a JSON value is not as expected: cannot use at() with null");
    for (const std::string &text : {message([&] { return json::parse("{"); }), message([&] { return json("\xff").dump(); }),
                                    message([&] { return json::parse("1e999"); })}) {
        CAPTURE(text);
        CHECK(text.starts_with("a JSON value is not as expected: "));
        CHECK(text.find("json.exception") == std::string::npos);
    }
    CHECK(message([] { return std::filesystem::file_size("/no/such"); }) == "/no/such: No such file or directory");
    CHECK(message([] { throw std::system_error(ENOSPC, std::generic_category(), "cannot write to file"); }) == "No space left on device");
    CHECK(message([] { throw fmt::system_error(EIO, "cannot write to file"); }) == "Input/output error");
    CHECK(message([] { return std::vector<int>().at(1); }).starts_with("an internal error ("));
    CHECK(message([] { return std::stoi("99999999999"); }) == "an internal error (stoi); please report it");
    CHECK(message([] { throw std::runtime_error("a.json: line\nbreak"); }) == "a.json: line\\nbreak");
}

TEST_CASE("memory that runs out where nothing can be thrown ends a program in one line, and a fault of ours aborts") {
    const auto [status, errors] = program([] { without_exceptions([] { throw std::bad_alloc(); }); });
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 1));
    CHECK(errors == "tiny: there is not enough memory\n");
    const auto [aborted, nothing] = program([] { without_exceptions([] { throw std::logic_error("a fault"); }); });
    CHECK((WIFSIGNALED(aborted) && WTERMSIG(aborted) == SIGABRT));
}

TEST_CASE("what is no JSON is named by file and line") {
    CHECK(json_message("{\n\"a\": }").starts_with("a.json:2: syntax error"));
    CHECK(json_message("").starts_with("a.json:1: syntax error"));
    CHECK(json_message("{\"a\": 1, \"b\": {\"a\": 1, \"a\": 2}}") == "a.json: the key \"a\" stands twice in one object");
    CHECK(json_message("{\"x\": 1e999}") == "a.json: number overflow parsing '1e999'");
    CHECK(json_message(std::string_view("{}\n\0{}", 6)) == "a.json:2: there is a zero byte");
    const std::string ill_formed = json_message("{\"x\": \"\xff\"}");
    CHECK(ill_formed.starts_with("a.json:1: syntax error"));
    CHECK(ill_formed.find('\xff') == std::string::npos);
    CHECK(json_message(nested(64)) == "nothing was thrown");
    for (const int depth : {65, 100'000}) CHECK(json_message(nested(depth)) == "a.json: its values are nested more than 64 deep");
    CHECK(json_message(std::string(100'000, '[')) == "a.json: its values are nested more than 64 deep");
}

TEST_CASE("a long list takes no longer than its length") {
    std::string text = "[{}";
    for (int i = 0; i < 200'000; ++i) text += ", {}";
    const auto start = std::chrono::steady_clock::now();
    CHECK(parse_json(text + "]", "a.json").size() == 200'001);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("a value in a message is short") {
    CHECK(short_json("a\n\xff") == "\"a\\n\\ufffd\"");
    CHECK(short_json(std::vector<int>(1000, 7)).size() == 103);
}

TEST_CASE("only a regular file is read, and all of it") {
    const TemporaryFolder folder;
    const std::string file = folder / "file", pipe = folder / "pipe";
    write_bytes(file, std::string("a\0b", 3));
    CHECK(read_file(file) == std::string("a\0b", 3));
    CHECK(message([&] { read_file(file, 2); }) == file + ": has 3 bytes, more than the 2 that such a file can have");
    CHECK(message([&] { read_file(folder / "none"); }) == (folder / "none").string() + ": cannot be read: No such file or directory");
    CHECK(message([&] { read_file(folder.path()); }) == folder.path().string() + ": is a folder, not a file");
    CHECK(message([] { read_file("/dev/zero"); }) == "/dev/zero: is no regular file");
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(message([&] { read_file(pipe); }) == pipe + ": is no regular file");
// Under the address sanitizer a new that fails does not throw.
#ifndef __SANITIZE_ADDRESS__
    std::filesystem::resize_file(file, std::uintmax_t{1} << 42);  // a hole: 4 TiB that nobody has as memory
    CHECK(message([&] { read_file(file, std::numeric_limits<std::size_t>::max()); }) ==
          file + ": there is no memory for its 4398046511104 bytes");
#endif
}

TEST_CASE("what a killed process left beside a file is removed, and what a running one is writing stays") {
    const TemporaryFolder folder;
    const pid_t ended = fork();
    if (ended == 0) _exit(0);
    REQUIRE(waitpid(ended, nullptr, 0) == ended);
    const std::vector<std::string> stale = {fmt::format("a.o.{0}.{0}.tmp", ended), fmt::format("b.{0}.7.tmp", ended)};
    const std::vector<std::string> others = {
        temporary_beside("a.o").string(), "a.o", "c.tmp", "d.1.tmp", "e.x.1.tmp", "f.99999999999.1.tmp", fmt::format("g.{}.1", ended)};
    for (const std::string &name : stale) write_bytes(folder / name, "half");
    for (const std::string &name : others) write_bytes(folder / name, "whole");
    std::filesystem::create_directory(folder / fmt::format("work.{0}.{0}.tmp", ended));
    write_bytes(folder / fmt::format("work.{0}.{0}.tmp/file", ended), "half");
    remove_leftovers(folder.path());
    for (const std::string &name : others) CHECK(std::filesystem::exists(folder / name));
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == std::ptrdiff_t(others.size()));
}

TEST_CASE("a file that shrinks while it is read is not taken for whole") {
    const TemporaryFolder folder;
    write_bytes(folder / "file", "abcdef");
    InputFile file(folder / "file");
    std::vector<std::byte> bytes(4);
    file.read(bytes);
    CHECK(char(bytes[3]) == 'd');
    std::filesystem::resize_file(folder / "file", 5);
    CHECK(message([&] { file.read(bytes); }) == (folder / "file").string() + ": became shorter while it was read");
}

TEST_CASE("no file takes the place of a standard stream that the caller closed") {
    const pid_t child = fork();
    if (child == 0) {
        for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) close(number);
        keep_standard_streams();
        const bool output_fails = write(STDOUT_FILENO, "x", 1) < 0;
        _exit(open("/dev/null", O_RDONLY) > STDERR_FILENO && output_fails ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("a file is replaced whole or not at all") {
    const TemporaryFolder folder;
    const std::string file = folder / "file";
    replace_file(file, "first");
    replace_file(file, "second");
    CHECK(read_file(file) == "second");
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
    CHECK(message([&] { replace_file(folder / "none/file", "text"); }).find("cannot be written (open the folder: ") != std::string::npos);
}
