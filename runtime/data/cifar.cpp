#include "runtime/data/cifar.h"

#include "plan/errors.h"
#include "plan/file_kind.h"
#include "plan/files.h"
#include "plan/text.h"
#include "runtime/data/labels.h"
#include "runtime/engine/machine.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>
#include <span>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace halcyon {
namespace {

namespace fs = std::filesystem;

constexpr int side = 32, channels = 3;
constexpr std::size_t image_bytes = channels * side * side;

std::size_t record_bytes(const CifarFormat &format) { return std::size_t(format.labels) + image_bytes; }

InputFile open_batch(const CifarFormat &format, const fs::path &path) {
    if (!fs::exists(path))
        throw std::runtime_error(fmt::format("{}: No such file or directory; {}", path.string(), format.where_to_get_it));
    return InputFile(path);
}

std::size_t records_in(const CifarFormat &format, const fs::path &path, InputFile &file) {
    const std::size_t record = record_bytes(format);
    if (file.size() != 0 && file.size() % record == 0) return file.size() / record;
    constexpr std::size_t telling = 512;
    std::vector<std::byte> begin(std::min(telling, file.size()));
    file.read(begin);
    if (!kind_of(begin).empty()) fail_for(path, not_wanted(begin, fmt::format("{}'s records", format.name), format.where_to_get_it));
    throw std::runtime_error(fmt::format("{}: {} bytes are no whole number of records of {} bytes: the file is truncated; {}",
                                         path.string(), file.size(), record, format.where_to_get_it));
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
void read_records(const CifarFormat &format, const fs::path &path, InputFile &file, std::span<std::uint16_t> labels, std::uint8_t *images) {
    const auto interleave_image = cpu_has("sse41") ? interleave_sse41 : interleave_anywhere;
    constexpr std::size_t chunk_records = 64;
    const std::size_t bytes = record_bytes(format);
    std::vector<std::uint8_t> chunk(chunk_records * bytes);
    for (std::size_t first = 0; first < labels.size(); first += chunk_records) {
        const std::size_t n = std::min(chunk_records, labels.size() - first);
        file.read(std::as_writable_bytes(std::span(chunk).first(n * bytes)));
        for (std::size_t i = 0; i < n; i++) {
            const std::uint8_t *record = &chunk[i * bytes];
            const int label = record[format.label];
            if (label >= format.classes) {
                throw std::runtime_error(fmt::format("{}: record {} has the label {}, {}'s go from 0 to {}; {}", path.string(), first + i,
                                                     label, format.name, format.classes - 1, format.where_to_get_it));
            }
            labels[first + i] = static_cast<std::uint16_t>(label);
            interleave_image(record + format.labels, images + (first + i) * image_bytes);
        }
    }
}

}  // namespace

fs::path cifar_folder(const CifarFormat &format, const fs::path &folder) {
    const auto fail = [&](std::string_view reason) {
        throw std::runtime_error(fmt::format("{}: {}; {}", folder.string(), reason, format.where_to_get_it));
    };
    if (!fs::exists(folder)) fail("no such folder");
    if (!fs::is_directory(folder)) fail("is no folder");
    const fs::path inner = folder / format.folder;
    return fs::exists(inner) ? inner : folder;
}

Dataset read_cifar(const CifarFormat &format, const fs::path &folder, const std::vector<std::string> &names) {
    std::vector<InputFile> files;
    std::vector<std::size_t> records;
    for (const std::string &name : names) {
        files.push_back(open_batch(format, folder / name));
        records.push_back(records_in(format, folder / name, files.back()));
    }
    const std::size_t all = std::accumulate(records.begin(), records.end(), std::size_t{0});
    check_room(folder.string(), all, all * record_bytes(format));

    Dataset data;
    data.h = data.w = side;
    data.c = channels;
    data.classes = format.classes;
    data.labels.resize(all);
    data.pixels = Pixels::of_bytes(all * image_bytes);
    std::span<std::uint16_t> labels = data.labels;
    std::uint8_t *images = data.pixels.bytes().data();
    for (std::size_t i = 0; i < files.size(); i++) {
        read_records(format, folder / names[i], files[i], labels.first(records[i]), images);
        labels = labels.subspan(records[i]);
        images += records[i] * image_bytes;
    }
    return data;
}

std::vector<std::string> read_cifar_names(const CifarFormat &format, const fs::path &path) {
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
    if (std::cmp_not_equal(names.size(), format.classes)) {
        throw std::runtime_error(
            fmt::format("{}: {} class names instead of {}; {}", path.string(), names.size(), format.classes, format.where_to_get_it));
    }
    return names;
}

}  // namespace halcyon
