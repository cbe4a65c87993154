// Files of pictures become records, on all cores.
#pragma once

#include "runtime/data/picture_set.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

/// What is decoded, and to what.
struct DecodingJob {
    const std::filesystem::path &root;
    const std::vector<LabelledFile> &files;
    int h = 0, w = 0, c = 0;
    PictureOptions options;
    int threads = 1;

    std::size_t record_bytes() const { return std::size_t(h) * std::size_t(w) * std::size_t(c); }
};

/// A file that is no picture or cannot be read.
struct SkippedPicture {
    std::size_t file = 0;  // in DecodingJob::files
    std::string reason;
};

/// What is known of the pictures beside their records.
struct DecodingReport {
    std::vector<SkippedPicture> skipped;
    std::size_t turned = 0;  // pictures with an EXIF orientation that was not applied
    PictureSizes sizes;      // of those that were read
};

/// Calls `visit(i)` for each of `files` files that is not skipped, in order.
template<typename Visit>
void for_each_kept(const DecodingReport &report, std::size_t files, Visit visit) {
    auto skipped = report.skipped.begin();
    for (std::size_t i = 0; i < files; ++i) {
        if (skipped != report.skipped.end() && skipped->file == i)
            ++skipped;
        else
            visit(i);
    }
}

/// Where records go, in order, some at a time.
class RecordSink {
public:
    virtual ~RecordSink() = default;

    /// Room for the next records: at least one.
    virtual std::span<std::uint8_t> room() = 0;

    /// The first bytes of that room are records.
    virtual void keep(std::size_t bytes) = 0;
};

/// Reads, decodes and fits every picture. The records are those of the files that are not skipped, in the files' order, whatever the number
/// of threads. Throws what the sink throws, MachineError (plan/files.h) and std::bad_alloc: these are no faults of a picture's.
DecodingReport decode_pictures(const DecodingJob &job, RecordSink &sink, const DecodingProgress &progress);

}  // namespace halcyon
