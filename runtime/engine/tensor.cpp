#include "runtime/engine/tensor.h"

#include <fmt/format.h>

#include <functional>
#include <numeric>
#include <stdexcept>

namespace halcyon {
namespace {

/// The dimensions from the innermost in storage to the outermost.
std::vector<std::size_t> storage_order(const Buffer &buffer, StorageOrder order) {
    const bool activations = buffer.extents.size() == 4 && buffer.extents.back() == batch_extent;
    if (activations && order == StorageOrder::hwnc) return {0, 3, 1, 2};  // (c, x, y, n): c, n, x, y
    std::vector<std::size_t> as_listed(buffer.extents.size());
    std::iota(as_listed.begin(), as_listed.end(), 0);
    return as_listed;
}

bool is_data_set(const Buffer &buffer) { return buffer.extents.size() > 1 && buffer.extents.back() == records_extent; }

}  // namespace

std::vector<std::int64_t> extents_of(const Buffer &buffer, int batch, int records) {
    std::vector<std::int64_t> extents;
    for (const int extent : buffer.extents) extents.push_back(counts_images(extent) ? batch : extent == records_extent ? records : extent);
    return extents;
}

std::int64_t elements_of(const Buffer &buffer, int batch, int records) {
    const std::vector<std::int64_t> extents = extents_of(buffer, batch, records);
    return std::accumulate(extents.begin(), extents.end(), std::int64_t{1}, std::multiplies<>());
}

std::int64_t bytes_of(const Buffer &buffer, int batch, int records) {
    return elements_of(buffer, batch, records) * halide_type(buffer.type).bytes();
}

halide_type_t halide_type(std::string_view type) {
    if (type == "float32") return halide_type_of<float>();
    if (type == "int32") return halide_type_of<std::int32_t>();
    if (type == "uint32") return halide_type_of<std::uint32_t>();
    if (type == "uint16") return halide_type_of<std::uint16_t>();
    if (type == "uint8") return halide_type_of<std::uint8_t>();
    throw std::invalid_argument(fmt::format("there is no buffer type \"{}\"", type));
}

Tensor::Tensor(const Buffer &buffer, StorageOrder order, const Address &place, int batch, int records) {
    const std::vector<std::int64_t> extents = extents_of(buffer, batch, records);
    if (extents.size() > dimensions_.size())
        throw std::invalid_argument(
            fmt::format("buffer \"{}\" has {} dimensions, more than {}", buffer.name, extents.size(), dimensions_.size()));

    buffer_.type = halide_type(buffer.type);
    const bool large = is_data_set(buffer) && !place.device;
    if (const std::int64_t bytes = bytes_of(buffer, batch, records); bytes > addressable_bytes && !large)
        throw std::invalid_argument(
            fmt::format("buffer \"{}\" would take {} bytes; a kernel can address {}", buffer.name, bytes, addressable_bytes));

    std::int64_t stride = 1;
    for (const std::size_t d : storage_order(buffer, order)) {
        dimensions_[d] = halide_dimension_t(0, static_cast<std::int32_t>(extents[d]), static_cast<std::int32_t>(stride));
        stride *= extents[d];
    }
    buffer_.host = reinterpret_cast<std::uint8_t *>(place.host);
    buffer_.device = place.on_device;
    buffer_.device_interface = place.device;
    buffer_.dimensions = static_cast<std::int32_t>(extents.size());
    buffer_.dim = dimensions_.data();
}

}  // namespace halcyon
