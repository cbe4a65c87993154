#include "runtime/dataset.h"

#include "runtime/memory.h"

#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <memory>
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
    std::error_code ignored;
    if (!fs::is_directory(folder, ignored)) {
        throw std::runtime_error(fmt::format("{}: no such folder; {}", folder.string(), where_to_get_it));
    }
    const fs::path inner = folder / "cifar-10-batches-bin";
    return fs::is_directory(inner, ignored) ? inner : folder;
}

std::size_t records_in(const fs::path &path) {
    std::error_code error;
    const std::uintmax_t bytes = fs::file_size(path, error);
    if (error) throw std::runtime_error(fmt::format("{}: {}; {}", path.string(), error.message(), where_to_get_it));
    if (bytes == 0 || bytes % record_bytes != 0) {
        throw std::runtime_error(fmt::format("{}: {} bytes are no whole number of records of {} bytes: the file is truncated; {}",
                                             path.string(), bytes, record_bytes, where_to_get_it));
    }
    return bytes / record_bytes;
}

/// Appends a file's records. They come through a chunk that stays in the L2 cache, so that the images pass through memory once.
void append_records(const fs::path &path, std::size_t records, Dataset &data) {
    constexpr std::size_t chunk_records = 64;
    std::vector<std::uint8_t> chunk(chunk_records * record_bytes);
    const std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::fopen(path.c_str(), "rb"), std::fclose);
    if (!file) throw std::runtime_error(fmt::format("{}: cannot be opened; check its permissions", path.string()));
    std::setvbuf(file.get(), nullptr, _IONBF, 0);
    for (std::size_t first = 0; first < records; first += chunk_records) {
        const std::size_t n = std::min(chunk_records, records - first);
        if (std::fread(chunk.data(), record_bytes, n, file.get()) != n) {
            throw std::runtime_error(fmt::format("{}: cannot be read after record {}; {}", path.string(), first, where_to_get_it));
        }
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
    std::vector<std::string> names;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (!line.empty()) names.push_back(line);
    }
    if (!file.is_open()) names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
    if (names.size() != classes) {
        throw std::runtime_error(
            fmt::format("{}: {} class names instead of {}; {}", path.string(), names.size(), classes, where_to_get_it));
    }
    return names;
}

}  // namespace

Dataset load_cifar10(const fs::path &folder, Split split) {
    const fs::path inner = folder_with_files(folder);
    std::vector<std::size_t> records;
    std::size_t total = 0;
    for (const std::string &name : files_of(split)) {
        records.push_back(records_in(inner / name));
        total += records.back();
    }

    Dataset data;
    data.h = data.w = side;
    data.c = channels;
    data.classes = classes;
    data.class_names = read_class_names(inner / "batches.meta.txt");
    data.labels.reserve(total);
    data.images.reserve(total * image_bytes);
    prefer_huge_pages(data.images.data(), total * image_bytes);
    for (std::size_t i = 0; i < records.size(); i++) append_records(inner / files_of(split)[i], records[i], data);
    return data;
}

}  // namespace halcyon
