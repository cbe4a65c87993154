#include "runtime/data/dataset.h"

#include "plan/file_kind.h"
#include "plan/files.h"
#include "plan/text.h"
#include "runtime/engine/memory.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <new>
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

/// Appends a file's records. They come through a chunk that stays in the L2 cache, so that the images pass through memory once.
void append_records(const fs::path &path, InputFile &file, std::size_t records, Dataset &data) {
    constexpr std::size_t chunk_records = 64;
    std::vector<std::uint8_t> chunk(chunk_records * record_bytes);
    for (std::size_t first = 0; first < records; first += chunk_records) {
        const std::size_t n = std::min(chunk_records, records - first);
        file.read(std::as_writable_bytes(std::span(chunk).first(n * record_bytes)));
        for (std::size_t i = 0; i < n; i++) {
            const std::uint8_t *record = &chunk[i * record_bytes];
            if (record[0] >= classes) {
                throw std::runtime_error(fmt::format("{}: record {} has the label {}, CIFAR-10's go from 0 to {}; {}", path.string(),
                                                     first + i, record[0], classes - 1, where_to_get_it));
            }
            data.labels.push_back(record[0]);
            data.images.insert(data.images.end(), record + 1, record + record_bytes);
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

void reserve(Dataset &data, const fs::path &folder, std::size_t records) {
    const std::size_t most = std::numeric_limits<int>::max();
    try {
        if (records > most) throw std::bad_alloc();
        data.labels.reserve(records);
        data.images.reserve(records * image_bytes);
    } catch (const std::bad_alloc &) {
        throw std::runtime_error(fmt::format("{}: {} images are too many for this machine's memory", folder.string(), records));
    }
    prefer_huge_pages(data.images.data(), records * image_bytes);
}

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
    reserve(data, inner, std::accumulate(records.begin(), records.end(), std::size_t{0}));
    for (std::size_t i = 0; i < files.size(); i++) append_records(inner / files_of(split)[i], files[i], records[i], data);
    return data;
}

}  // namespace halcyon
