#include "runtime/data/picture_set.h"

#include "plan/errors.h"
#include "runtime/data/labels.h"
#include "runtime/data/picture_cache.h"
#include "runtime/data/picture_decoding.h"
#include "runtime/engine/machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

// The rest of what is available is the network's, and that of other programs that start meanwhile.
constexpr double share_of_memory = 0.75;

/// Memory for all records.
class MemorySink final : public RecordSink {
public:
    explicit MemorySink(std::size_t bytes) : pixels_(Pixels::of_bytes(bytes)) {}

    std::span<std::uint8_t> room() override { return pixels_.bytes().subspan(kept_); }
    void keep(std::size_t bytes) override { kept_ += bytes; }

    Pixels take() {
        pixels_.shrink(kept_);
        return std::move(pixels_);
    }

private:
    Pixels pixels_;
    std::size_t kept_ = 0;
};

class Pictures final : public Source {
public:
    Pictures(PictureSet set, DataRequest request) : set_(std::move(set)), request_(std::move(request)) {
        if (request_.cache.empty() && fits_into_memory()) return;
        const fs::path root =
            request_.cache.empty() ? default_cache("the pictures do not fit into memory; give --cache a folder") : request_.cache;
        cache_.emplace(root / cache_key(set_, request_), set_.class_names);
    }

    std::string description() const override { return set_.description; }
    bool has(Split split) const override { return set_.files.contains(split); }
    std::vector<BadFile> bad_files() const override { return bad_files_; }
    std::vector<std::string> notes() const override { return notes_; }
    std::optional<PictureOptions> pictures() const override { return request_.pictures; }

    std::optional<PictureSizes> sizes(Split split) const override {
        const auto found = sizes_.find(split);
        return found == sizes_.end() ? std::nullopt : std::optional(found->second);
    }

    Dataset load(Split split, const DecodingProgress &progress) override {
        require_classes();
        std::vector<LabelledFile> files = std::exchange(set_.files.at(split), {});
        if (files.empty()) throw std::logic_error("these pictures were loaded before");
        DecodedPictures decoded = decode(split, files, progress);
        add_bad_files(files, decoded.report);
        if (!decoded.report.skipped.empty() && !request_.skip_bad_files) refuse_bad_files(files.size(), progress);
        if (decoded.report.skipped.size() == files.size()) fail("none of these pictures can be read");
        notes_ = notes_on(decoded);
        sizes_[split] = decoded.report.sizes;
        return to_dataset(std::move(files), std::move(decoded));
    }

private:
    [[noreturn]] void fail(const std::string &reason) const { fail_for(request_.path, reason); }

    DecodingJob job(const std::vector<LabelledFile> &files) const {
        return {set_.root, files, request_.h, request_.w, request_.c, request_.pictures, request_.threads};
    }

    bool fits_into_memory() const {
        double records = 0;
        for (const auto &[split, files] : set_.files) records += static_cast<double>(files.size());
        return records * request_.h * request_.w * request_.c <= share_of_memory * static_cast<double>(available_memory());
    }

    /// Before anything is decoded, for that takes minutes.
    void require_classes() const {
        const auto classes = static_cast<int>(set_.class_names.size());
        if (request_.classes == 0 || classes == request_.classes) return;
        fail(fmt::format("{} classes ({}), but the model has {}; change its last layer, or give other --data", classes,
                         listed_classes(set_.class_names), request_.classes));
    }

    DecodedPictures decode(Split split, const std::vector<LabelledFile> &files, const DecodingProgress &progress) const {
        if (files.size() > std::numeric_limits<int>::max()) fail(fmt::format("{} pictures are too many", files.size()));
        if (cache_) return cache_->load(split, job(files), request_.skip_bad_files, progress);
        MemorySink sink(files.size() * job(files).record_bytes());
        DecodingReport report = decode_pictures(job(files), sink, progress);
        return {sink.take(), std::move(report), ""};
    }

    void add_bad_files(const std::vector<LabelledFile> &files, const DecodingReport &report) {
        for (const SkippedPicture &picture : report.skipped)
            bad_files_.push_back({(set_.root / files[picture.file].path).string(), picture.reason});
    }

    /// The splits that were not loaded are looked through too, so that nobody mends one file a run.
    [[noreturn]] void refuse_bad_files(std::size_t pictures, const DecodingProgress &progress) {
        for (const auto &[split, files] : set_.files) {
            if (files.empty()) continue;
            pictures += files.size();
            add_bad_files(files, decode(split, files, progress).report);
        }
        fail(fmt::format("{} of {} pictures cannot be read; mend or remove them, or go on without them by --skip-bad-files",
                         bad_files_.size(), pictures));
    }

    std::vector<std::string> notes_on(const DecodedPictures &decoded) const {
        std::vector<std::string> notes;
        if (!decoded.note.empty()) notes.push_back(decoded.note);
        if (cache_ && request_.cache.empty())
            notes.push_back(fmt::format("the decoded pictures do not fit into memory and lie in {}", cache_->folder().string()));
        if (!decoded.report.skipped.empty())
            notes.push_back(fmt::format("{} pictures that cannot be read are left out", decoded.report.skipped.size()));
        if (decoded.report.turned > 0)
            notes.push_back(
                fmt::format("{} pictures have an EXIF orientation that was not applied; --apply-exif turns them", decoded.report.turned));
        return notes;
    }

    Dataset to_dataset(std::vector<LabelledFile> files, DecodedPictures decoded) const {
        Dataset data;
        data.h = request_.h, data.w = request_.w, data.c = request_.c;
        data.pixels = std::move(decoded.pixels);
        const std::size_t images = files.size() - decoded.report.skipped.size();
        std::vector<std::uint16_t> labels;
        std::vector<float> targets;
        if (set_.targets > 0)
            targets.reserve(images * set_.class_names.size());
        else
            labels.reserve(images);
        data.names.reserve(images);
        for_each_kept(decoded.report, files.size(), [&](std::size_t i) {
            if (set_.targets == 0) labels.push_back(files[i].label);
            targets.insert(targets.end(), files[i].targets.begin(), files[i].targets.end());
            data.names.push_back(std::move(files[i].path));
        });
        if (set_.targets == 0)
            data.labels = std::move(labels), data.classes = static_cast<int>(set_.class_names.size());
        else if (request_.class_shares)
            set_class_shares(data, std::move(targets), set_.targets, request_.path.string());
        else
            set_targets(data, std::move(targets), set_.targets, request_.unit_labels, request_.path.string());
        data.class_names = set_.class_names;
        return data;
    }

    PictureSet set_;
    DataRequest request_;
    std::optional<PictureCache> cache_;
    std::vector<BadFile> bad_files_;
    std::vector<std::string> notes_;
    std::map<Split, PictureSizes> sizes_;
};

}  // namespace

std::unique_ptr<Source> open_pictures(PictureSet set, const DataRequest &request) {
    return std::make_unique<Pictures>(std::move(set), request);
}

std::string listed_classes(const std::vector<std::string> &names) {
    constexpr std::size_t most = 10;
    const std::span<const std::string> first = std::span(names).first(std::min(most, names.size()));
    return fmt::format("{}{}", fmt::join(first, ", "), names.size() > most ? ", ..." : "");
}

void require_labels_for(std::size_t classes, const fs::path &where) {
    constexpr std::size_t most = std::size_t{std::numeric_limits<std::uint16_t>::max()} + 1;
    if (classes > most)
        throw std::runtime_error(fmt::format("{}: {} classes are too many; labels go from 0 to {}", where.string(), classes, most - 1));
}

}  // namespace halcyon
