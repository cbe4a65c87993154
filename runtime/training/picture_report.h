// What people look at to see how a run does: its first images as the network gets them, and its worst mistakes.
#pragma once

#include "runtime/data/dataset.h"
#include "runtime/data/picture.h"
#include "runtime/training/evaluation.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace halcyon {

/// Images on a sheet.
inline constexpr std::size_t most_reported = 64;

/// Whether images of so many channels are drawn: grey ones and RGB.
inline bool can_be_drawn(int channels) { return channels == 1 || channels == 3; }

/// The images of a batch as the network gets them in this step, before they are scaled: the records, mirrored where the kernel input_fwd
/// mirrors them (generators/layers/input.h), with the names of their classes. Of floats, black and white are 0 and 1, or the smallest and
/// the largest where some are beyond. There is at least one record, and `data` can be drawn.
Picture draw_batch(const Dataset &data, std::span<const std::int32_t> records, const StepValues &step);

/// An image that the network takes for one of another class.
struct Mistake {
    std::int32_t record = 0;
    int predicted = 0;
    float probability = 0;  // of that class, 0..1
};

/// Which images of `data` the network takes for another class: those that it is
/// surest of first, equal ones in the records' order, at most `most_reported`.
class Mistakes {
public:
    explicit Mistakes(const Dataset &data) : data_(data) {}

    /// A TakeBatch of evaluate().
    void add_batch(std::span<const std::int32_t> records, std::span<const float> probabilities);

    std::vector<Mistake> surest() const;

private:
    const Dataset &data_;
    std::vector<Mistake> all_;
};

/// The images, each with "cat > dog 98 %": its class, the one that it is taken for, and how sure the network is. There is at least one,
/// and `data` can be drawn.
Picture draw_mistakes(const Dataset &data, std::span<const Mistake> mistakes);

/// Replaces the file at once by the picture as PNG. Throws std::runtime_error, one line that names it, where it cannot be written.
void write_picture(const std::filesystem::path &path, const Picture &picture);

}  // namespace halcyon
