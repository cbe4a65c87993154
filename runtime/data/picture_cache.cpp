#include "runtime/data/picture_cache.h"

#include "plan/files.h"
#include "plan/json.h"
#include "plan/text.h"
#include "runtime/data/digest.h"
#include "runtime/data/labels.h"
#include "runtime/data/npy.h"
#include "runtime/data/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace halcyon {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

// To be raised when pictures become other records, or the files lie in another way.
constexpr int version = 1;

constexpr std::size_t largest_manifest = std::size_t{1} << 30;
constexpr std::size_t buffer_bytes = std::size_t{64} << 20;

[[noreturn]] void cannot_write(const fs::path &path) {
    throw std::runtime_error(fmt::format("{}: cannot be written: {}; check the folder, its permissions and the free space", path.string(),
                                         std::strerror(errno)));
}

std::string image_header(std::size_t images, int h, int w, int c, bool floats) {
    return npy_header(floats ? "<f4" : "|u1", std::array{images, std::size_t(h), std::size_t(w), std::size_t(c)});
}

std::string target_file(std::span<const float> targets, std::size_t images) {
    const std::span<const std::byte> bytes = std::as_bytes(targets);
    return npy_header("<f4", std::array{images, targets.size() / images}) +
           std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

std::string label_file(std::span<const std::uint16_t> labels) {
    const std::span<const std::byte> bytes = std::as_bytes(labels);
    return npy_header("<u2", std::array{labels.size()}) + std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

/// A file of records that is written from its beginning; how many they are is known at the end.
class ImageFile final : public RecordSink {
public:
    ImageFile(const fs::path &path, int h, int w, int c, bool floats)
        : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)), h_(h), w_(w), c_(c), floats_(floats) {
        if (file_.number() < 0) cannot_write(path_);
        write(image_header(0, h, w, c, floats));  // as many bytes as that of any number of images
    }

    std::size_t record_bytes() const { return std::size_t(h_) * std::size_t(w_) * std::size_t(c_) * (floats_ ? sizeof(float) : 1); }

    std::span<std::uint8_t> room() override {
        buffer_.resize(std::max<std::size_t>(buffer_bytes / record_bytes(), 1) * record_bytes());
        return buffer_;
    }
    void keep(std::size_t bytes) override { append(std::as_bytes(std::span(buffer_).first(bytes))); }

    void append(std::span<const std::byte> records) {
        write(records);
        bytes_ += records.size();
    }

    /// Writes the header, and everything to the disk.
    void finish() {
        const std::string header = image_header(bytes_ / record_bytes(), h_, w_, c_, floats_);
        if (::lseek(file_.number(), 0, SEEK_SET) != 0) cannot_write(path_);
        write(header);
        if (::fsync(file_.number()) != 0 || file_.close() != 0) cannot_write(path_);
    }

private:
    void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
    void write(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::write(file_.number(), bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) cannot_write(path_);
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
    }

    fs::path path_;
    Descriptor file_;
    int h_, w_, c_;
    bool floats_;
    std::size_t bytes_ = 0;
    std::vector<std::uint8_t> buffer_;
};

ordered_json to_json(const PictureSizes::Range &range) { return {range.smallest, range.median, range.largest}; }

std::string manifest_text(const DecodingReport &report, std::size_t images, const DecodingJob &job) {
    ordered_json skipped = ordered_json::array();
    for (const SkippedPicture &picture : report.skipped) skipped.push_back({picture.file, printable(picture.reason)});
    return ordered_json{{"version", version},
                        {"root", printable(fs::absolute(job.root).lexically_normal().string())},  // for people
                        {"images", images},
                        {"pictures", ordered_json::parse(to_json(job.options))},
                        {"turned", report.turned},
                        {"heights", to_json(report.sizes.h)},
                        {"widths", to_json(report.sizes.w)},
                        {"skipped", skipped}}
               .dump(4) +
           "\n";
}

/// What is wrong with a cache's files: a reason to make them anew.
struct Damaged : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::size_t count_in(const json &value, std::size_t most) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) throw Damaged("its manifest.json has a number out of range");
    return value.get<std::size_t>();
}

PictureSizes::Range range_in(const json &value) {
    const auto side = [&value](std::size_t i) { return static_cast<int>(count_in(value.at(i), std::numeric_limits<int>::max())); };
    return {side(0), side(1), side(2)};
}

DecodingReport parse_manifest(const std::string &text, const DecodingJob &job) {
    DecodingReport report;
    const json values = parse_json(text, "its manifest.json");
    const std::size_t files = job.files.size();
    if (count_in(values.at("version"), version) != version) throw Damaged("its manifest.json is of another version");
    report.turned = count_in(values.at("turned"), files);
    report.sizes = {range_in(values.at("heights")), range_in(values.at("widths"))};
    for (const json &skipped : values.at("skipped")) {
        const std::size_t file = count_in(skipped.at(0), files - 1);
        if (!report.skipped.empty() && file <= report.skipped.back().file) throw Damaged("its manifest.json skips files in no order");
        report.skipped.push_back({file, skipped.at(1).get<std::string>()});
    }
    if (count_in(values.at("images"), files) != files - report.skipped.size())
        throw Damaged("its manifest.json counts other images than there are files");
    return report;
}

/// What labels.npy holds: the labels, or the targets, of the files that are not skipped.
std::string answers_of(const DecodingJob &job, const DecodingReport &report) {
    std::vector<std::uint16_t> labels;
    std::vector<float> targets;
    for_each_kept(report, job.files.size(), [&](std::size_t i) {
        labels.push_back(job.files[i].label);
        targets.insert(targets.end(), job.files[i].targets.begin(), job.files[i].targets.end());
    });
    return targets.empty() ? label_file(labels) : target_file(targets, labels.size());
}

Pixels map_records(const fs::path &path, std::size_t images, const DecodingJob &job) {
    auto file = std::make_shared<const MappedFile>(path);
    const std::string header = image_header(images, job.h, job.w, job.c, false);
    const std::size_t bytes = images * job.record_bytes();
    if (file->bytes().size() != header.size() + bytes)
        throw Damaged(fmt::format("its images.npy has {} bytes instead of {}", file->bytes().size(), header.size() + bytes));
    if (!file->text().starts_with(header)) throw Damaged("the header of its images.npy differs");
    return Pixels::of_mapped_bytes(std::move(file), header.size(), bytes);
}

/// What lies in a split's folder. Throws std::exception where that is not what was left there.
DecodedPictures open_split(const fs::path &folder, const DecodingJob &job) {
    DecodedPictures decoded;
    decoded.report = parse_manifest(read_file(folder / "manifest.json", largest_manifest), job);
    const std::string labels = answers_of(job, decoded.report);
    if (read_file(folder / "labels.npy", labels.size()) != labels) throw Damaged("its labels.npy has other labels than the files");
    decoded.pixels = map_records(folder / "images.npy", job.files.size() - decoded.report.skipped.size(), job);
    return decoded;
}

/// Decodes a split into a new folder.
DecodedPictures make_split(const NewFolder &folder, const DecodingJob &job, bool skip_bad_files, const DecodingProgress &progress) {
    ImageFile images(folder / "images.npy", job.h, job.w, job.c, false);
    DecodedPictures decoded;
    decoded.report = decode_pictures(job, images, progress);
    if (!decoded.report.skipped.empty() && !skip_bad_files) return decoded;
    images.finish();
    const std::size_t count = job.files.size() - decoded.report.skipped.size();
    replace_file(folder / "labels.npy", answers_of(job, decoded.report));
    replace_file(folder / "manifest.json", manifest_text(decoded.report, count, job));
    decoded.pixels = map_records(folder / "images.npy", count, job);
    return decoded;
}

/// What a set's folder holds beside its splits.
void describe(const fs::path &folder, const std::vector<std::string> &class_names, const std::optional<PictureOptions> &pictures) {
    if (class_names != numbered_classes(static_cast<int>(class_names.size())))
        replace_file(folder / "classes.json", json(class_names).dump() + "\n");
    if (pictures) replace_file(folder / "pictures.json", to_json(*pictures) + "\n");
}

/// Takes away what is damaged. Another process may do so at the same time.
void move_away(const fs::path &folder) {
    const fs::path aside = temporary_beside(folder);
    if (std::rename(folder.c_str(), aside.c_str()) == 0) fs::remove_all(aside);
}

void require_space(const fs::path &folder, std::size_t bytes) {
    const std::uintmax_t free = fs::space(folder).available;
    if (bytes > free)
        throw std::runtime_error(
            fmt::format("{}: the decoded pictures need {} MiB, but the disk has {} left; give another --cache, or free some",
                        folder.string(), bytes >> 20, free >> 20));
}

}  // namespace

std::string cache_key(const PictureSet &set, const DataRequest &request) {
    const fs::path root = fs::absolute(set.root).lexically_normal();
    Digest digest;
    digest.add(std::uint64_t{version});
    digest.add(picture_decoders());
    digest.add(to_json(request.pictures));
    for (const int side : {request.h, request.w, request.c}) digest.add(static_cast<std::uint64_t>(side));
    for (const std::string &name : set.class_names) digest.add(name);
    for (const auto &[split, files] : set.files) {
        digest.add(std::string_view(name_of(split)));
        for (const LabelledFile &file : files) {
            const fs::path path = root / file.path;
            struct stat status {};  // stays empty where the file cannot be read
            ::stat(path.c_str(), &status);
            digest.add(path.string());
            digest.add(file.label);
            digest.add(std::as_bytes(std::span(file.targets)));
            for (const auto number :
                 {std::int64_t{status.st_size}, std::int64_t{status.st_mtim.tv_sec}, std::int64_t{status.st_mtim.tv_nsec}})
                digest.add(static_cast<std::uint64_t>(number));
        }
    }
    return digest.text();
}

PictureCache::PictureCache(fs::path folder, std::vector<std::string> class_names)
    : folder_(std::move(folder)), class_names_(std::move(class_names)) {}

DecodedPictures PictureCache::load(Split split, const DecodingJob &job, bool skip_bad_files, const DecodingProgress &progress) const {
    const fs::path folder = folder_ / name_of(split);
    std::string note;
    if (fs::exists(folder)) {
        try {
            return open_split(folder, job);
        } catch (const MachineError &) {
            throw;  // the next time it may be read
        } catch (const std::bad_alloc &) {
            throw;
        } catch (const std::exception &error) {
            note = fmt::format("{}: this cache is damaged and is made anew: {}", folder.string(), error.what());
            move_away(folder);
        }
    }
    fs::create_directories(folder_);
    remove_leftovers(folder_);
    require_space(folder_, job.files.size() * job.record_bytes());
    NewFolder made(folder);
    DecodedPictures decoded = make_split(made, job, skip_bad_files, progress);
    decoded.note = note;
    if (decoded.report.skipped.empty() || skip_bad_files) {
        describe(folder_, class_names_, job.options);
        made.publish();  // where another process was faster, its folder holds the same, and ours stays mapped without a name
    }
    return decoded;
}

void write_array_folder(const fs::path &folder, const std::map<Split, Dataset> &splits, const std::optional<PictureOptions> &pictures) {
    std::error_code not_there;
    if (fs::exists(folder) && !fs::is_empty(folder, not_there))
        throw std::runtime_error(fmt::format("{}: there is something already; give another --out", folder.string()));
    NewFolder made(folder);
    for (const auto &[split, data] : splits) {
        const fs::path inside = made / name_of(split);
        fs::create_directory(inside);
        ImageFile images(inside / "images.npy", data.h, data.w, data.c, data.pixels.are_floats());
        images.append(std::as_bytes(data.pixels.bytes()));
        images.append(std::as_bytes(data.pixels.floats()));
        images.finish();
        replace_file(inside / "labels.npy",
                     data.has_targets() ? target_file(data.targets, static_cast<std::size_t>(data.size())) : label_file(data.labels));
    }
    const auto most_names = std::ranges::max_element(splits, {}, [](const auto &split) { return split.second.class_names.size(); });
    describe(made.path(), most_names->second.class_names, pictures);
    if (!made.publish()) throw std::runtime_error(fmt::format("{}: another process made this folder meanwhile", folder.string()));
}

}  // namespace halcyon
