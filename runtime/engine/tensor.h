// A plan's buffer bound to memory, as the kernels take it.
#pragma once

#include "plan/plan.h"
#include "runtime/engine/memory.h"

#include <HalideRuntime.h>

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace halcyon {

/// The extents of `buffer` for a batch of `batch` images and a data set of `records`.
std::vector<std::int64_t> extents_of(const Buffer &buffer, int batch, int records = 0);

/// Elements of `buffer` for a batch of `batch` images and a data set of `records`.
std::int64_t elements_of(const Buffer &buffer, int batch, int records = 0);

/// What a kernel can address of a buffer: Halide's offsets have 32 bits. Those that read a data set's images on the host have 64.
constexpr std::int64_t addressable_bytes = std::numeric_limits<std::int32_t>::max();

/// Bytes of `buffer` for a batch of `batch` images and a data set of `records`.
std::int64_t bytes_of(const Buffer &buffer, int batch, int records = 0);

/// "float32" etc. as Halide's. Throws std::invalid_argument for any other.
halide_type_t halide_type(std::string_view type);

/// A halide_buffer_t with its dimensions. It points into itself, so it stays where it is made.
class Tensor {
public:
    /// Binds `buffer` to the memory at `place`, which holds elements_of(buffer, batch, records) elements and is not owned. Activations,
    /// which are the 4-D buffers whose last extent is the batch, (c, x, y, n), have the strides of `order`; all others are dense, first
    /// extent innermost. Throws std::invalid_argument for more than 5 dimensions or, but for a data set's images on the host,
    /// addressable_bytes.
    Tensor(const Buffer &buffer, StorageOrder order, const Address &place, int batch, int records = 0);
    Tensor(const Tensor &) = delete;
    Tensor &operator=(const Tensor &) = delete;

    halide_buffer_t *get() { return &buffer_; }

private:
    std::array<halide_dimension_t, 5> dimensions_;
    halide_buffer_t buffer_{};
};

}  // namespace halcyon
