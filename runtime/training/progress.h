// What a person sees of a training run: a bar that redraws itself on a terminal, plain lines elsewhere.
#pragma once

#include "plan/metric.h"

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>

namespace halcyon {

/// What a stream can show.
struct Terminal {
    bool interactive = false;  // a terminal whose lines can be redrawn
    bool colour = false;       // off where NO_COLOR is set (https://no-color.org)
    int width = 80;            // columns
};

/// Asks the system about a stream: isatty, its width, TERM and NO_COLOR.
Terminal terminal_of(std::FILE *stream);

/// How far an epoch is.
struct EpochProgress {
    int epoch = 0, epochs = 0;  // epoch counts from 1
    int done = 0, images = 0;   // images
    double loss = 0, metric = 0;
    Metric reported = Metric::accuracy;
    double images_per_second = 0;  // 0 where nothing is known yet
};

/// One line of text without its end, at most terminal.width columns where interactive: the bar, then what fits of percentage, loss,
/// metric, images/s and the time left in the epoch. Without a bar where the stream is no terminal.
std::string progress_line(const EpochProgress &progress, const Terminal &terminal);

/// Shows how many of some things are done: one line of a terminal, redrawn, and removed at the end; elsewhere nothing. Not for several
/// threads at once.
class CountingBar {
public:
    /// "decoding", "pictures".
    CountingBar(std::string doing, std::string things, std::FILE *stream = stderr);
    ~CountingBar();
    CountingBar(const CountingBar &) = delete;
    CountingBar &operator=(const CountingBar &) = delete;

    void show(std::size_t done, std::size_t all);

private:
    std::string doing_, things_;
    std::FILE *stream_;
    bool shown_ = false;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// Shows the epochs of a run on a stream. A bar is redrawn at most 10 times a second; where there is none, a line comes at most every
/// 30 seconds. A stream that takes no more is no error here: std::ferror() tells. Not for several threads at once.
class Progress {
public:
    explicit Progress(std::FILE *stream = stdout);

    /// `epoch` counts from 1; `done` images were already trained where a run resumes inside an epoch.
    void begin_epoch(int epoch, int epochs, int images, int done = 0, Metric reported = Metric::accuracy);

    /// `done` images of the epoch are trained; loss and metric are their means. Cheap: call it after every step.
    void update(int done, double loss, double metric);

    /// Replaces the bar by a line that stays.
    void end_epoch(const std::string &metrics);

    /// Removes the bar, so that something else can be printed.
    void clear();

private:
    using Clock = std::chrono::steady_clock;

    void show();
    void write(const std::string &text);

    std::FILE *stream_;
    Terminal terminal_;
    EpochProgress progress_;
    int done_at_begin_ = 0;
    bool shown_ = false;
    Clock::time_point begin_, last_shown_;
};

}  // namespace halcyon
