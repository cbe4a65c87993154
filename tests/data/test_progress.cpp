#include "runtime/training/progress.h"

#include "tests/catch.h"
#include "tests/data/files.h"

#include <algorithm>
#include <chrono>
#include <fcntl.h>
#include <regex>
#include <sys/ioctl.h>
#include <unistd.h>

using namespace halcyon;

namespace {

const EpochProgress half_way = {
    .epoch = 3, .epochs = 10, .done = 25000, .images = 50000, .loss = 1.23456, .metric = 0.5678, .images_per_second = 2500};

/// An environment variable for the length of a test.
class Variable {
public:
    Variable(const char *name, const char *value) : name_(name) {
        if (const char *before = std::getenv(name)) before_ = before;
        value ? setenv(name, value, 1) : unsetenv(name);
    }
    ~Variable() { before_.empty() ? unsetenv(name_) : setenv(name_, before_.c_str(), 1); }

private:
    const char *name_;
    std::string before_;
};

/// A pseudo-terminal of 100 columns: what is written to `stream` can be read back.
struct PseudoTerminal {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    std::FILE *stream = nullptr;

    PseudoTerminal() {
        REQUIRE((master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0));
        stream = std::fopen(ptsname(master), "w");
        REQUIRE(stream);
        const winsize size{30, 100, 0, 0};
        REQUIRE(ioctl(fileno(stream), TIOCSWINSZ, &size) == 0);
    }
    ~PseudoTerminal() {
        std::fclose(stream);
        close(master);
    }

    std::string written() {
        std::string text;
        char buffer[4096];
        for (ssize_t n; (n = read(master, buffer, sizeof buffer)) > 0;) text.append(buffer, std::size_t(n));
        return text;
    }
};

std::string without_colours(const std::string &line) { return std::regex_replace(line, std::regex("\x1b\\[[0-9;]*m"), ""); }

}  // namespace

TEST_CASE("A bar tells how far the epoch is") {
    const std::string line = progress_line(half_way, {.interactive = true, .colour = false, .width = 120});
    CHECK(line == "epoch 3/10 [====================>                   ]   50 %  loss 1.2346  accuracy 56.78 %  2500 images/s  0:10 left");
    EpochProgress end = half_way;
    end.done = end.images + GENERATE(0, 1);  // one too many must not break it
    CHECK(progress_line(end, {.interactive = true, .colour = false, .width = 40}) == "epoch 3/10 [===================]  100 %");
}

TEST_CASE("A line never fills the terminal's width") {
    for (int width = 1; width <= 130; width++) {
        CAPTURE(width);
        const std::string plain = progress_line(half_way, {.interactive = true, .colour = false, .width = width});
        CHECK(int(plain.size()) < width);
        CHECK(without_colours(progress_line(half_way, {.interactive = true, .colour = true, .width = width})) == plain);
    }
}

TEST_CASE("A line without a bar holds the same facts") {
    CHECK(progress_line(half_way, {}) == "epoch 3/10   50 %  loss 1.2346  accuracy 56.78 %  2500 images/s  0:10 left");
    CHECK(progress_line({.epoch = 1, .epochs = 2, .images = 10}, {}) == "epoch 1/2    0 %");
    EpochProgress slow = half_way;
    slow.images_per_second = 5;
    CHECK(progress_line(slow, {}).find("1:23:20 left") != std::string::npos);
}

TEST_CASE("A terminal is known as one, with its width and the user's wish for colours") {
    PseudoTerminal terminal;
    const Variable type("TERM", "xterm");
    {
        const Variable none("NO_COLOR", nullptr);
        const Terminal found = terminal_of(terminal.stream);
        CHECK((found.interactive && found.colour && found.width == 100));
    }
    {
        const Variable wish("NO_COLOR", "1");
        CHECK(!terminal_of(terminal.stream).colour);
    }
    const Variable dumb("TERM", "dumb");
    CHECK(!terminal_of(terminal.stream).interactive);
}

TEST_CASE("On a terminal the bar is redrawn at most ten times a second and removed in the end") {
    PseudoTerminal terminal;
    const Variable type("TERM", "xterm");
    Progress progress(terminal.stream);
    const auto begin = std::chrono::steady_clock::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
    progress.begin_epoch(1, 2, 1'000'000'000);
    int done = 0;
    while (elapsed() < 0.35) progress.update(++done, 1, 0.5);
    const double seconds = elapsed();
    progress.end_epoch("epoch 1/2: done");

    const std::string text = terminal.written();
    INFO(text);
    CHECK(text.find("images/s") != std::string::npos);
    CHECK(text.ends_with("\r\x1b[Kepoch 1/2: done\r\n"));
    std::size_t bars = 0;
    for (std::size_t at = 0; (at = text.find("\repoch", at)) != std::string::npos; at++) bars++;
    CHECK(bars >= 2);
    CHECK(double(bars) <= 1 + 10 * seconds);
}

TEST_CASE("Where there is no terminal, only plain lines are written") {
    const TemporaryFolder folder;
    std::FILE *file = std::fopen((folder / "log").c_str(), "w");
    REQUIRE(file);
    Progress progress(file);
    progress.begin_epoch(1, 1, 100);
    for (int done = 1; done <= 100; done++) progress.update(done, 1, 0.5);
    progress.clear();
    progress.end_epoch("epoch 1/1: loss 1");
    std::fclose(file);
    CHECK(read_bytes(folder / "log") == "epoch 1/1: loss 1\n");
}

TEST_CASE("A stream that takes no more is no error") {
    std::FILE *full = std::fopen("/dev/full", "w");
    REQUIRE(full);
    std::setvbuf(full, nullptr, _IONBF, 0);
    Progress progress(full);
    progress.begin_epoch(1, 1, 100);
    progress.end_epoch("epoch 1/1: loss 1");
    CHECK(std::ferror(full));
    std::fclose(full);
}
