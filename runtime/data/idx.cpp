#include "runtime/data/idx.h"

#include "plan/errors.h"
#include "plan/file_kind.h"
#include "plan/files.h"
#include "runtime/data/labels.h"
#include "runtime/data/stream.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view where_to_get_it = "get the file anew";

/// What a file's name says: "emnist-letters-train-images-idx3-ubyte.gz".
struct Name {
    std::string set;  // what stands before the split: "emnist-letters-"
    Split split = Split::train;
    bool labels = false, compressed = false;
};

std::optional<Name> parse_name(std::string_view file) {
    Name name;
    const auto take_end = [&](std::string_view end) {
        if (!file.ends_with(end)) return false;
        file.remove_suffix(end.size());
        return true;
    };
    name.compressed = take_end(".gz");
    name.labels = take_end("labels-idx1-ubyte") || take_end("labels.idx1-ubyte");
    if (!name.labels && !take_end("images-idx3-ubyte") && !take_end("images.idx3-ubyte")) return std::nullopt;
    if (!take_end("train-")) {
        if (!take_end("t10k-") && !take_end("test-")) return std::nullopt;
        name.split = Split::test;
    }
    name.set = file;
    return name;
}

/// A set's files; empty: there is none.
struct SetFiles {
    fs::path train_images, train_labels, test_images, test_labels;

    fs::path &file(const Name &name) {
        if (name.split == Split::train) return name.labels ? train_labels : train_images;
        return name.labels ? test_labels : test_images;
    }
};

std::map<std::string, SetFiles> sets_in(const fs::path &folder) {
    std::map<std::string, SetFiles> sets;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        const std::optional<Name> name = parse_name(entry->path().filename().string());
        if (!name) continue;
        fs::path &file = sets[name->set].file(*name);
        if (file.empty() || !name->compressed) file = entry->path();
    }
    std::erase_if(sets, [](const auto &set) { return set.second.train_images.empty(); });
    return sets;
}

/// The sets at `path`: those of the folder or of its subfolder, or the one of the file.
std::map<std::string, SetFiles> find_sets(const fs::path &path) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
        for (const fs::path &folder : {path, path / "raw", path / "gzip"})
            if (std::map<std::string, SetFiles> sets = sets_in(folder); !sets.empty()) return sets;
        return {};
    }
    const std::optional<Name> name = parse_name(path.filename().string());
    if (!name || name->labels || name->split != Split::train) return {};
    std::map<std::string, SetFiles> sets = sets_in(folder_of(path));
    std::erase_if(sets, [&](const auto &set) { return set.first != name->set; });
    return sets;
}

/// One array of bytes: 0, 0, the type (8: bytes), the number of dimensions, the extents as big-endian numbers of 32 bits, the values.
template<std::size_t Dimensions>
class IdxFile {
public:
    explicit IdxFile(const fs::path &path) : path_(path.string()), file_(std::make_shared<const MappedFile>(path)) {
        const bool compressed = path.extension() == ".gz";
        if (compressed && !file_->text().starts_with("\x1f\x8b")) fail_as("a gzip archive");
        stream_ = compressed ? gzip_stream(file_->bytes()) : plain_stream(file_->bytes());
        read_header();
        if (values() > stream_->most() || header_bytes > stream_->most() - values())
            throw std::runtime_error(fmt::format("{}: is cut off: its header says {} values; {}", path_, values(), where_to_get_it));
        mapped_ = !compressed;
        if (mapped_ && file_->bytes().size() != header_bytes + values())
            throw std::runtime_error(fmt::format("{}: holds more than its header says; {}", path_, where_to_get_it));
    }

    const std::string &path() const { return path_; }
    const std::array<std::size_t, Dimensions> &shape() const { return shape_; }
    bool is_mapped() const { return mapped_; }

    std::size_t values() const {
        std::size_t product = 1;
        for (const std::size_t extent : shape_)
            if (__builtin_mul_overflow(product, extent, &product)) return std::numeric_limits<std::size_t>::max();
        return product;
    }

    void read(std::span<std::uint8_t> values) {
        read_bytes(std::as_writable_bytes(values));
        try {
            stream_->finish();
        } catch (const std::runtime_error &error) {
            fail_for(path_, error.what());
        }
    }

    Pixels map() const { return Pixels::of_mapped_bytes(file_, header_bytes, values()); }

private:
    static constexpr std::size_t header_bytes = 4 + 4 * Dimensions;

    [[noreturn]] void fail_as(std::string_view wanted) const {
        constexpr std::size_t telling = 512;
        const std::span<const std::byte> begin = file_->bytes().first(std::min(telling, file_->bytes().size()));
        fail_for(path_, not_wanted(begin, wanted, where_to_get_it));
    }

    void read_bytes(std::span<std::byte> bytes) {
        try {
            stream_->read(bytes);
        } catch (const std::runtime_error &error) {
            fail_for(path_, error.what());
        }
    }

    void read_header() {
        std::array<std::byte, 4> four{};
        if (stream_->most() >= four.size()) read_bytes(four);
        constexpr std::array magic = {std::byte{0}, std::byte{0}, std::byte{8}, std::byte{Dimensions}};
        if (four != magic) fail_as(fmt::format("an IDX file of bytes in {} dimensions", Dimensions));
        for (std::size_t &extent : shape_) {
            read_bytes(four);
            for (const std::byte digit : four) extent = extent << 8 | std::to_integer<std::size_t>(digit);
        }
    }

    std::string path_;
    std::shared_ptr<const MappedFile> file_;
    std::unique_ptr<Stream> stream_;
    std::array<std::size_t, Dimensions> shape_{};
    bool mapped_ = false;
};

class Idx final : public Source {
public:
    Idx(SetFiles set, std::string name, int classes) : set_(std::move(set)), name_(std::move(name)), classes_(classes) {}

    std::string description() const override { return name_.empty() ? "IDX files (MNIST's form)" : fmt::format("IDX files {}*", name_); }
    bool has(Split split) const override { return split == Split::train || (split == Split::test && !set_.test_images.empty()); }

    Dataset load(Split split, const DecodingProgress &) override {
        const bool train = split == Split::train;
        IdxFile<3> images(train ? set_.train_images : set_.test_images);
        const fs::path &labels_path = train ? set_.train_labels : set_.test_labels;
        if (labels_path.empty()) throw std::runtime_error(fmt::format("{}: there are no labels beside it", images.path()));
        IdxFile<1> labels(labels_path);
        const auto [count, h, w] = images.shape();
        if (labels.shape()[0] != count)
            throw std::runtime_error(fmt::format("{}: {} labels for {} images", labels.path(), labels.shape()[0], count));
        Dataset data;
        check_room(images.path(), count, images.is_mapped() ? 0 : images.values());
        set_size(data, h, w, 1, images.path());
        if (images.is_mapped()) {
            data.pixels = images.map();
        } else {
            data.pixels = Pixels::of_bytes(images.values());
            images.read(data.pixels.bytes());
        }
        std::vector<std::uint8_t> bytes(count);
        labels.read(bytes);
        set_labels(data, std::vector<std::int64_t>(bytes.begin(), bytes.end()), classes_, labels.path());
        return data;
    }

private:
    SetFiles set_;
    std::string name_;
    int classes_;
};

}  // namespace

bool is_idx(const fs::path &path) { return !find_sets(path).empty(); }

std::unique_ptr<Source> open_idx(const DataRequest &request) {
    std::map<std::string, SetFiles> sets = find_sets(request.path);
    if (sets.empty())
        throw std::runtime_error(
            fmt::format("{}: there is no train-images-idx3-ubyte; give --data the folder of MNIST's files", request.path.string()));
    if (sets.size() > 1) {
        std::vector<std::string> names;
        for (const auto &[name, set] : sets) names.push_back(name + "*");
        throw std::runtime_error(fmt::format("{}: holds several sets ({}); give --data the images of one, such as {}",
                                             request.path.string(), fmt::join(names, ", "), sets.begin()->second.train_images.string()));
    }
    return std::make_unique<Idx>(std::move(sets.begin()->second), sets.begin()->first, request.classes);
}

}  // namespace halcyon
