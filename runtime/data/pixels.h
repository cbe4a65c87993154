// The pixels of a data set, one image's record after the other.
#pragma once

#include "plan/files.h"
#include "runtime/engine/memory.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>

namespace halcyon {

/// Bytes, or float32 where the source has such. Kernels read either; bytes are the fast way.
class Pixels {
public:
    Pixels() = default;

    /// Memory for so many values, not initialised. Throws std::runtime_error where the system refuses it.
    static Pixels of_bytes(std::size_t values) { return {values, false}; }
    static Pixels of_floats(std::size_t values) { return {values, true}; }

    /// Values in a file, from its byte `offset` on, read as they are used: a set may be larger than the memory. They must not be written.
    /// Throws std::invalid_argument where they do not lie within the file, or floats not at a multiple of their size.
    static Pixels of_mapped_bytes(std::shared_ptr<const MappedFile> file, std::size_t offset, std::size_t values) {
        return {std::move(file), offset, values, false};
    }
    static Pixels of_mapped_floats(std::shared_ptr<const MappedFile> file, std::size_t offset, std::size_t values) {
        return {std::move(file), offset, values, true};
    }

    /// Keeps the first values: no more than there are. Their memory stays as large.
    void shrink(std::size_t values) { size_ = values; }

    bool are_floats() const { return floats_; }
    bool are_mapped() const { return file_ != nullptr; }

    /// The values, of the type that they are of: nothing of the other.
    std::span<std::uint8_t> bytes() { return values<std::uint8_t>(!floats_); }
    std::span<const std::uint8_t> bytes() const { return values<std::uint8_t>(!floats_); }
    std::span<float> floats() { return values<float>(floats_); }
    std::span<const float> floats() const { return values<float>(floats_); }

    /// The values as a network takes them.
    Records records() const {
        if (floats_) return floats();
        return bytes();
    }

private:
    Pixels(std::size_t values, bool floats)
        : floats_(floats), size_(values), block_(static_cast<std::int64_t>(values * (floats ? sizeof(float) : 1))), data_(block_.data()) {}

    Pixels(std::shared_ptr<const MappedFile> file, std::size_t offset, std::size_t values, bool floats)
        : floats_(floats), size_(values), file_(std::move(file)) {
        const std::size_t size = file_->bytes().size(), each = floats ? sizeof(float) : 1;
        if (offset > size || values > (size - offset) / each || offset % each != 0)
            throw std::invalid_argument("these pixels do not lie within the file");
        data_ = const_cast<std::byte *>(file_->bytes().data()) + offset;
    }

    template<typename T>
    std::span<T> values(bool they_are) const {
        return {reinterpret_cast<T *>(data_), they_are ? size_ : 0};
    }

    bool floats_ = false;
    std::size_t size_ = 0;
    Block block_;
    std::shared_ptr<const MappedFile> file_;
    std::byte *data_ = nullptr;  // in one of them
};

}  // namespace halcyon
