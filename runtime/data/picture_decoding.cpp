#include "runtime/data/picture_decoding.h"

#include "plan/files.h"
#include "runtime/data/picture.h"
#include "runtime/engine/threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>

namespace halcyon {
namespace {

using namespace std::chrono_literals;

/// What became of a picture.
struct Outcome {
    std::string failure;  // "" where it was read
    int h = 0, w = 0;     // as the file has them
    bool turned = false;
};

/// Counts pictures on all threads, and tells of them now and then.
class Counter {
public:
    Counter(std::size_t all, const DecodingProgress &progress) : all_(all), progress_(progress) {}

    void count() {
        const std::size_t done = ++done_;
        const std::unique_lock telling(mutex_, std::try_to_lock);
        const auto now = std::chrono::steady_clock::now();
        if (!telling || now - last_told_ < 100ms) return;
        last_told_ = now;
        progress_(done, all_);
    }

private:
    std::size_t all_;
    const DecodingProgress &progress_;
    std::atomic<std::size_t> done_ = 0;
    std::mutex mutex_;
    std::chrono::steady_clock::time_point last_told_ = std::chrono::steady_clock::now();
};

/// What a message says of a file, without the file's name before it.
std::string without_path(const std::string &message, const std::filesystem::path &path) {
    const std::string name = path.string() + ": ";
    return message.starts_with(name) ? message.substr(name.size()) : message;
}

/// Some pictures that follow each other, decoded side by side.
class Part {
public:
    Part(const DecodingJob &job, std::size_t first, std::span<std::uint8_t> room, Counter &counter)
        : job_(job), first_(first), room_(room), counter_(counter),
          outcomes_(std::min(room.size() / job.record_bytes(), job.files.size() - first)) {}

    void decode(ThreadPool &pool) {
        pool.parallel_for(0, static_cast<int>(outcomes_.size()), decode_one, this);
        if (error_) std::rethrow_exception(error_);
    }

    const std::vector<Outcome> &outcomes() const { return outcomes_; }

    /// Closes the gaps that skipped pictures leave, and returns the bytes of the records.
    std::size_t close_gaps() {
        std::size_t kept = 0;
        const std::size_t bytes = job_.record_bytes();
        for (std::size_t i = 0; i < outcomes_.size(); ++i) {
            if (!outcomes_[i].failure.empty()) continue;
            if (kept != i) std::memcpy(&room_[kept * bytes], &room_[i * bytes], bytes);
            ++kept;
        }
        return kept * bytes;
    }

private:
    static int decode_one(void *part, int index) {
        static_cast<Part *>(part)->decode(static_cast<std::size_t>(index));
        return 0;
    }

    void decode(std::size_t index) {
        const std::filesystem::path path = job_.root / job_.files[first_ + index].path;
        try {
            outcomes_[index] = read(path, room_.subspan(index * job_.record_bytes(), job_.record_bytes()));
        } catch (const MachineError &) {
            keep_error();
        } catch (const std::runtime_error &error) {
            outcomes_[index].failure = without_path(error.what(), path);
        } catch (...) {
            keep_error();
        }
        counter_.count();
    }

    /// The first one is thrown where the pictures are done.
    void keep_error() {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
    }

    Outcome read(const std::filesystem::path &path, std::span<std::uint8_t> record) const {
        const FileBytes file = read_bytes(path, largest_picture_file);
        Picture picture = decode_picture({file.data.get(), file.size}, job_.c, job_.options);
        Outcome outcome = {"", picture.h, picture.w, picture.turned};
        if (picture.h != job_.h || picture.w != job_.w) picture = fit_picture(picture, job_.h, job_.w, job_.options);
        std::ranges::copy(picture.pixels, record.begin());
        return outcome;
    }

    const DecodingJob &job_;
    std::size_t first_;
    std::span<std::uint8_t> room_;
    Counter &counter_;
    std::vector<Outcome> outcomes_;
    std::mutex mutex_;
    std::exception_ptr error_;
};

PictureSizes::Range range_of(std::vector<int> sides) {
    if (sides.empty()) return {};
    const auto middle = sides.begin() + static_cast<std::ptrdiff_t>(sides.size() / 2);
    std::ranges::nth_element(sides, middle);
    const auto [smallest, largest] = std::ranges::minmax(sides);
    return {smallest, *middle, largest};
}

}  // namespace

DecodingReport decode_pictures(const DecodingJob &job, RecordSink &sink, const DecodingProgress &progress) {
    ThreadPool pool(job.threads);
    Counter counter(job.files.size(), progress);
    DecodingReport report;
    std::vector<int> heights, widths;
    for (std::size_t first = 0; first < job.files.size();) {
        Part part(job, first, sink.room(), counter);
        part.decode(pool);
        for (const Outcome &outcome : part.outcomes()) {
            if (!outcome.failure.empty()) {
                report.skipped.push_back({first, outcome.failure});
            } else {
                heights.push_back(outcome.h);
                widths.push_back(outcome.w);
                report.turned += outcome.turned ? 1 : 0;
            }
            ++first;
        }
        sink.keep(part.close_gaps());
    }
    report.sizes = {range_of(std::move(heights)), range_of(std::move(widths))};
    return report;
}

}  // namespace halcyon
