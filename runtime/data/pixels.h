// The pixels of a data set, one image's record after the other.
#pragma once

#include "runtime/engine/memory.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace halcyon {

/// Bytes, or float32 where the source has such. Kernels read either; bytes are the fast way.
class Pixels {
public:
    Pixels() = default;

    /// Memory for so many values, not initialised. Throws std::runtime_error where the system refuses it.
    static Pixels of_bytes(std::size_t values) { return {values, false}; }
    static Pixels of_floats(std::size_t values) { return {values, true}; }

    bool are_floats() const { return floats_; }

    /// The values, of the type that they are of: nothing of the other.
    std::span<std::uint8_t> bytes() { return values<std::uint8_t>(!floats_); }
    std::span<const std::uint8_t> bytes() const { return values<std::uint8_t>(!floats_); }
    std::span<float> floats() { return values<float>(floats_); }
    std::span<const float> floats() const { return values<float>(floats_); }

private:
    Pixels(std::size_t values, bool floats)
        : floats_(floats), size_(values), block_(static_cast<std::int64_t>(values * (floats ? sizeof(float) : 1))) {}

    template<typename T>
    std::span<T> values(bool they_are) const {
        return {reinterpret_cast<T *>(block_.data()), they_are ? size_ : 0};
    }

    bool floats_ = false;
    std::size_t size_ = 0;
    Block block_;
};

}  // namespace halcyon
