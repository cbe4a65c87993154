#include "runtime/data/cifar10.h"

#include "plan/file_kind.h"
#include "plan/files.h"
#include "plan/text.h"
#include "runtime/engine/machine.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <numeric>
#include <span>
#include <sstream>
#include <stdexcept>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

constexpr int side = 32, channels = 3, classes = 10;
constexpr std::size_t image_bytes = channels * side * side;
constexpr std::size_t record_bytes = 1 + image_bytes;  // the label, then the image

const char *const where_to_get_it =
    "get the \"CIFAR-10 binary version\" from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it there";

std::vector<std::string> files_of(Split split) {
    if (split == Split::test) return {"test_batch.bin"};
    return {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"};
}

fs::path folder_with_files(const fs::path &folder) {
    if (!fs::exists(folder)) throw std::runtime_error(fmt::format("{}: no such folder; {}", folder.string(), where_to_get_it));
    if (!fs::is_directory(folder)) throw std::runtime_error(fmt::format("{}: is no folder; {}", folder.string(), where_to_get_it));
    const fs::path inner = folder / "cifar-10-batches-bin";
    return fs::exists(inner) ? inner : folder;
}

InputFile open_batch(const fs::path &path) {
    if (!fs::exists(path)) throw std::runtime_error(fmt::format("{}: No such file or directory; {}", path.string(), where_to_get_it));
    return InputFile(path);
}

std::size_t records_in(const fs::path &path, InputFile &file) {
    if (file.size() != 0 && file.size() % record_bytes == 0) return file.size() / record_bytes;
    constexpr std::size_t telling = 512;
    std::vector<std::byte> begin(std::min(telling, file.size()));
    file.read(begin);
    if (!kind_of(begin).empty())
        throw std::runtime_error(fmt::format("{}: {}", path.string(), not_wanted(begin, "CIFAR-10's records", where_to_get_it)));
    throw std::runtime_error(fmt::format("{}: {} bytes are no whole number of records of {} bytes: the file is truncated; {}",
                                         path.string(), file.size(), record_bytes, where_to_get_it));
}

/// From planes to pixels whose channels lie side by side.
[[gnu::always_inline]] inline void interleave(const std::uint8_t *__restrict planes, std::uint8_t *__restrict image) {
    constexpr int pixels = side * side;
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++) image[channels * i + c] = planes[c * pixels + i];
}

void interleave_anywhere(const std::uint8_t *planes, std::uint8_t *image) { interleave(planes, image); }

/// The compiler shuffles whole vectors of bytes, which takes an eighth of the time: as long as a copy.
[[gnu::target("sse4.1")]] void interleave_sse41(const std::uint8_t *planes, std::uint8_t *image) { interleave(planes, image); }

/// Reads a file's records. They come through a chunk that stays in the L2 cache, so that the images pass through memory once.
void read_records(const fs::path &path, InputFile &file, std::span<std::uint16_t> labels, std::uint8_t *images) {
    const auto interleave_image = cpu_has("sse41") ? interleave_sse41 : interleave_anywhere;
    constexpr std::size_t chunk_records = 64;
    std::vector<std::uint8_t> chunk(chunk_records * record_bytes);
    for (std::size_t first = 0; first < labels.size(); first += chunk_records) {
        const std::size_t n = std::min(chunk_records, labels.size() - first);
        file.read(std::as_writable_bytes(std::span(chunk).first(n * record_bytes)));
        for (std::size_t i = 0; i < n; i++) {
            const std::uint8_t *record = &chunk[i * record_bytes];
            if (record[0] >= classes) {
                throw std::runtime_error(fmt::format("{}: record {} has the label {}, CIFAR-10's go from 0 to {}; {}", path.string(),
                                                     first + i, record[0], classes - 1, where_to_get_it));
            }
            labels[first + i] = record[0];
            interleave_image(record + 1, images + (first + i) * image_bytes);
        }
    }
}

std::vector<std::string> read_class_names(const fs::path &path) {
    if (!fs::exists(path)) return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
    constexpr std::size_t largest = 64 << 10;
    std::istringstream file(read_file(path, largest));
    std::vector<std::string> names;
    for (std::string line; std::getline(file, line);) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.empty()) continue;
        if (printable(line) != line)  // weights files and JSON hold UTF-8
            throw std::runtime_error(
                fmt::format("{}: the class name \"{}\" holds control characters or is no UTF-8; save the file as UTF-8", path.string(),
                            shortened(line, 100)));
        names.push_back(line);
    }
    if (names.size() != classes) {
        throw std::runtime_error(
            fmt::format("{}: {} class names instead of {}; {}", path.string(), names.size(), classes, where_to_get_it));
    }
    return names;
}

void allocate(Dataset &data, const fs::path &folder, std::size_t records) {
    const std::size_t most = std::numeric_limits<int>::max();
    if (records > most || std::int64_t(records * record_bytes) > available_memory())
        throw std::runtime_error(fmt::format("{}: {} images are too many for this machine's memory", folder.string(), records));
    data.labels.resize(records);
    data.pixels = Pixels::of_bytes(records * image_bytes);
}

class Cifar10 final : public Source {
public:
    explicit Cifar10(fs::path folder) : folder_(std::move(folder)) {}

    std::string description() const override { return "CIFAR-10"; }
    bool has(Split split) const override { return split != Split::validation; }
    Dataset load(Split split, const DecodingProgress &) override { return load_cifar10(folder_, split); }

private:
    fs::path folder_;
};

}  // namespace

Dataset load_cifar10(const fs::path &folder, Split split) {
    const fs::path inner = folder_with_files(folder);
    std::vector<InputFile> files;
    std::vector<std::size_t> records;
    for (const std::string &name : files_of(split)) {
        files.push_back(open_batch(inner / name));
        records.push_back(records_in(inner / name, files.back()));
    }

    Dataset data;
    data.h = data.w = side;
    data.c = channels;
    data.classes = classes;
    data.class_names = read_class_names(inner / "batches.meta.txt");
    allocate(data, inner, std::accumulate(records.begin(), records.end(), std::size_t{0}));
    std::span<std::uint16_t> labels = data.labels;
    std::uint8_t *images = data.pixels.bytes().data();
    for (std::size_t i = 0; i < files.size(); i++) {
        read_records(inner / files_of(split)[i], files[i], labels.first(records[i]), images);
        labels = labels.subspan(records[i]);
        images += records[i] * image_bytes;
    }
    return data;
}

bool is_cifar10(const fs::path &folder) {
    std::error_code error;
    return fs::exists(folder / "cifar-10-batches-bin", error) || fs::exists(folder / "data_batch_1.bin", error) ||
           fs::exists(folder / "test_batch.bin", error);
}

std::unique_ptr<Source> open_cifar10(const DataRequest &request) { return std::make_unique<Cifar10>(request.path); }

}  // namespace halcyon
