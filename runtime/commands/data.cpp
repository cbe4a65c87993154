#include "runtime/commands/commands.h"

#include "plan/text.h"
#include "runtime/data/digest.h"
#include "runtime/data/picture_cache.h"
#include "runtime/engine/machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace halcyon {
namespace {

using nlohmann::ordered_json;

constexpr std::array all_splits = {std::pair{Split::train, "train"}, std::pair{Split::validation, "validation"},
                                   std::pair{Split::test, "test"}};

// Listed for a person; JSON has all.
constexpr std::size_t listed = 10;

/// Of the values of a channel: bytes are counted as their 255th parts.
struct Moments {
    double mean = 0, deviation = 0;
};

template<typename T, typename Sum>
std::vector<Moments> moments_of(std::span<const T> values, std::size_t channels, double scale) {
    std::vector<Sum> sums(channels), squares(channels);
    for (std::size_t i = 0; i < values.size(); i += channels)
        for (std::size_t c = 0; c < channels; ++c) {
            const Sum value = values[i + c];
            sums[c] += value;
            squares[c] += value * value;
        }
    std::vector<Moments> moments;
    const double count = double(values.size()) / double(channels);
    for (std::size_t c = 0; c < channels; ++c) {
        const double mean = double(sums[c]) / count;
        moments.push_back({mean * scale, std::sqrt(std::max(double(squares[c]) / count - mean * mean, 0.0)) * scale});
    }
    return moments;
}

std::vector<Moments> moments_of(const Dataset &data) {
    const auto channels = static_cast<std::size_t>(data.c);
    if (data.pixels.are_floats()) return moments_of<float, double>(data.pixels.floats(), channels, 1);
    return moments_of<std::uint8_t, std::uint64_t>(data.pixels.bytes(), channels, 1.0 / 255);
}

/// An image that has the same record as one before.
struct Duplicate {
    std::string image, original;
};

/// Those of the splits that came before, by what their records hold.
class Records {
public:
    /// The images of `split` that are in `before` already, or earlier in the split itself.
    std::vector<Duplicate> add(const std::string &split, const Dataset &data) {
        const std::span<const std::byte> bytes =
            data.pixels.are_floats() ? std::as_bytes(data.pixels.floats()) : std::as_bytes(data.pixels.bytes());
        const std::size_t images = data.labels.size(), record = bytes.size() / images;
        std::vector<Duplicate> duplicates;
        for (std::size_t i = 0; i < images; ++i) {
            Digest digest;
            digest.add(bytes.subspan(i * record, record));
            const auto [found, added] = first_.emplace(digest, Place{split, i});
            if (!added) duplicates.push_back({name_of(data, i), ""});
        }
        return duplicates;
    }

private:
    struct Place {
        std::string split;
        std::size_t image;
    };
    std::map<Digest, Place> first_;
};

}  // namespace
}  // namespace halcyon
