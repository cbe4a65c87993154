#include "runtime/training/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace halcyon {
namespace {

using namespace std::chrono_literals;

std::string clock_text(double seconds) {
    const long s = std::lround(std::min(seconds, 359999.0));  // at most 99:59:59
    if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
    return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string bar(double fraction, int cells, bool colour) {
    const int full = int(fraction * cells);
    std::string text = fmt::format("{:=<{}}{:<{}}", "", full, full < cells ? ">" : "", cells - full);
    if (colour) text = fmt::format("\x1b[32m{}\x1b[0m", text);
    return "[" + text + "]";
}

/// The facts that fit beside the shortest bar, then a bar as wide as what is left; the last column stays free, or some terminals wrap.
std::string line_with_bar(const std::string &title, double fraction, const std::vector<std::string> &facts, const Terminal &terminal) {
    constexpr int shortest = 10, longest = 40, frame = 3;
    const int width = terminal.width - 1;
    int room = width - int(title.size()) - frame - shortest;
    std::string tail;
    for (const std::string &fact : facts) {
        room -= 2 + int(fact.size());
        if (room < 0) break;
        tail += "  " + fact;
    }
    const int cells = std::min(longest, width - int(title.size() + tail.size()) - frame);
    if (cells < 1) return title.substr(0, std::max(0, width));
    return title + " " + bar(fraction, cells, terminal.colour) + tail;
}

}  // namespace

Terminal terminal_of(std::FILE *stream) {
    Terminal terminal;
    const char *type = std::getenv("TERM");
    terminal.interactive = isatty(fileno(stream)) && type && std::string_view(type) != "dumb";
    const char *no_colour = std::getenv("NO_COLOR");
    terminal.colour = terminal.interactive && !(no_colour && *no_colour);
    winsize size{};
    if (terminal.interactive && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) terminal.width = size.ws_col;
    return terminal;
}

std::string progress_line(const EpochProgress &progress, const Terminal &terminal) {
    const double fraction = progress.done < progress.images ? double(progress.done) / progress.images : 1;
    std::string line = fmt::format("epoch {}/{}", progress.epoch, progress.epochs);
    std::vector<std::string> facts = {fmt::format("{:3.0f} %", 100 * fraction)};
    if (progress.done > 0) {
        facts.push_back(fmt::format("loss {:.4f}", progress.loss));
        facts.push_back(fmt::format("{} {}", name_of(progress.reported), to_text(progress.reported, progress.metric)));
    }
    if (progress.images_per_second > 0) {
        facts.push_back(fmt::format("{:.0f} images/s", progress.images_per_second));
        facts.push_back(clock_text((progress.images - progress.done) / progress.images_per_second) + " left");
    }

    if (!terminal.interactive) {
        for (const std::string &fact : facts) line += "  " + fact;
        return line;
    }
    return line_with_bar(line, fraction, facts, terminal);
}

CountingBar::CountingBar(std::string doing, std::string things, std::FILE *stream)
    : doing_(std::move(doing)), things_(std::move(things)), stream_(stream) {}

CountingBar::~CountingBar() {
    if (!shown_) return;
    std::fputs("\r\x1b[K", stream_);
    std::fflush(stream_);
}

void CountingBar::show(std::size_t done, std::size_t all) {
    const Terminal terminal = terminal_of(stream_);
    if (!terminal.interactive) return;
    const double fraction = double(done) / double(all),
                 seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    const double rate = double(done) / seconds;
    const std::vector<std::string> facts = {fmt::format("{:3.0f} %", 100 * fraction), fmt::format("{} of {} {}", done, all, things_),
                                            fmt::format("{:.0f}/s", rate), clock_text(double(all - done) / rate) + " left"};
    std::fputs(fmt::format("\r{}\x1b[K", line_with_bar(doing_, fraction, facts, terminal)).c_str(), stream_);
    std::fflush(stream_);
    shown_ = true;
}

Progress::Progress(std::FILE *stream) : stream_(stream), terminal_(terminal_of(stream)) {}

void Progress::begin_epoch(int epoch, int epochs, int images, int done, Metric reported) {
    progress_ = {.epoch = epoch, .epochs = epochs, .done = done, .images = images, .reported = reported};
    done_at_begin_ = done;
    begin_ = last_shown_ = Clock::now();
    if (terminal_.interactive) show();
}

void Progress::update(int done, double loss, double metric) {
    const Clock::time_point now = Clock::now();
    if (now - last_shown_ < (terminal_.interactive ? Clock::duration(100ms) : Clock::duration(30s))) return;
    last_shown_ = now;
    progress_.done = done;
    progress_.loss = loss;
    progress_.metric = metric;
    progress_.images_per_second = (done - done_at_begin_) / std::chrono::duration<double>(now - begin_).count();
    show();
}

void Progress::end_epoch(const std::string &metrics) {
    clear();
    write(metrics + "\n");
}

void Progress::clear() {
    if (!shown_) return;
    write("\r\x1b[K");
    shown_ = false;
}

void Progress::show() {
    terminal_ = terminal_of(stream_);  // it may have been resized
    const std::string line = progress_line(progress_, terminal_);
    write(terminal_.interactive ? "\r" + line + "\x1b[K" : line + "\n");
    shown_ = terminal_.interactive;
}

void Progress::write(const std::string &text) {
    std::fputs(text.c_str(), stream_);
    std::fflush(stream_);
}

}  // namespace halcyon
