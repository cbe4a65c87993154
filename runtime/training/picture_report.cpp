#include "runtime/training/picture_report.h"

#include "plan/files.h"
#include "plan/step.h"
#include "runtime/data/png_writer.h"
#include "runtime/engine/random.h"
#include "runtime/training/picture_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <tuple>
#include <utility>

namespace halcyon {
namespace {

std::size_t label_of(const Dataset &data, std::int32_t record) { return data.labels[static_cast<std::size_t>(record)]; }

template<typename T>
std::span<const T> record_of(std::span<const T> pixels, const Dataset &data, std::int32_t record) {
    return pixels.subspan(static_cast<std::size_t>(record) * data.record_values(), data.record_values());
}

/// What a network is to make of an image, for a person: "cat", or the targets "0 1 0.5".
std::string caption_of(const Dataset &data, std::int32_t record) {
    if (data.has_classes()) return class_name(data.class_names, label_of(data, record));
    std::string caption;
    for (const float target : data.targets_of(record)) caption += fmt::format("{}{:.3g}", caption.empty() ? "" : " ", target);
    return caption;
}

/// The bytes of some records of a data set, as they are drawn.
class DrawnRecords {
public:
    DrawnRecords(const Dataset &data, std::span<const std::int32_t> records) : data_(data) {
        if (!data.pixels.are_floats()) return;
        std::vector<std::span<const float>> shown;
        for (const std::int32_t record : records) shown.push_back(record_of(data.pixels.floats(), data, record));
        range_ = range_of(shown);
    }

    std::vector<std::uint8_t> operator()(std::int32_t record) const {
        if (data_.pixels.are_floats()) return to_bytes(record_of(data_.pixels.floats(), data_, record), range_);
        const std::span<const std::uint8_t> bytes = record_of(data_.pixels.bytes(), data_, record);
        return {bytes.begin(), bytes.end()};
    }

private:
    const Dataset &data_;
    FloatRange range_;
};

/// Whether the kernel input_fwd mirrors image n of the step's batch.
bool is_mirrored(const StepValues &step, std::size_t n) {
    const std::uint32_t key = stream_key(step.seed, step.epoch, stream_flip);
    const std::uint32_t bits = philox2x32({step.position + static_cast<std::uint32_t>(n), 0}, key)[0] & 0xFFFF;
    return bits < chance_of(step.flip_probability);
}

void mirror(std::span<std::uint8_t> pixels, const Dataset &data) {
    const auto c = static_cast<std::size_t>(data.c), row = static_cast<std::size_t>(data.w) * c;
    for (; !pixels.empty(); pixels = pixels.subspan(row))
        for (std::size_t left = 0, right = row - c; left < right; left += c, right -= c)
            std::swap_ranges(pixels.begin() + std::ptrdiff_t(left), pixels.begin() + std::ptrdiff_t(left + c),
                             pixels.begin() + std::ptrdiff_t(right));
}

}  // namespace

Picture draw_batch(const Dataset &data, std::span<const std::int32_t> records, const StepValues &step) {
    std::vector<std::string> captions;
    for (const std::int32_t record : records) captions.push_back(caption_of(data, record));
    const DrawnRecords drawn(data, records);
    return draw_sheet(data.h, data.w, data.c, captions, [&](std::size_t n) {
        std::vector<std::uint8_t> pixels = drawn(records[n]);
        if (is_mirrored(step, n)) mirror(pixels, data);
        return pixels;
    });
}

void Mistakes::add_batch(std::span<const std::int32_t> records, std::span<const float> probabilities) {
    const std::size_t classes = probabilities.size() / records.size();
    for (const std::int32_t record : records) {
        const std::span<const float> of_image = probabilities.first(classes);
        probabilities = probabilities.subspan(classes);
        const auto largest = std::ranges::max_element(of_image);
        const auto predicted = static_cast<std::size_t>(largest - of_image.begin());
        if (predicted != label_of(data_, record)) all_.push_back({record, static_cast<int>(predicted), *largest});
    }
}

std::vector<Mistake> Mistakes::surest() const {
    std::vector<Mistake> mistakes = all_;
    std::ranges::stable_sort(mistakes, std::ranges::greater(), &Mistake::probability);
    mistakes.resize(std::min(mistakes.size(), most_reported));
    return mistakes;
}

Picture draw_mistakes(const Dataset &data, std::span<const Mistake> mistakes) {
    std::vector<std::int32_t> records;
    std::vector<std::string> captions;
    for (const Mistake &mistake : mistakes) {
        records.push_back(mistake.record);
        captions.push_back(fmt::format("{} > {} {:.0f} %", class_name(data.class_names, label_of(data, mistake.record)),
                                       class_name(data.class_names, static_cast<std::size_t>(mistake.predicted)),
                                       100 * mistake.probability));
    }
    const DrawnRecords drawn(data, records);
    return draw_sheet(data.h, data.w, data.c, captions, [&](std::size_t n) { return drawn(records[n]); });
}

void write_picture(const std::filesystem::path &path, const Picture &picture) {
    const std::vector<std::byte> file = encode_png(picture);
    const std::array parts = {std::span<const std::byte>(file)};
    replace_file(path, parts);
}

}  // namespace halcyon
