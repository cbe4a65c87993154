#include "runtime/devices/device.h"

#include "runtime/devices/cuda.h"
#include "runtime/devices/opencl.h"
#include "runtime/engine/session.h"

#include <HalideRuntimeCuda.h>
#include <HalideRuntimeOpenCL.h>
#include <fmt/format.h>

#include <limits>
#include <map>
#include <stdexcept>

namespace halcyon {

const halide_device_interface_t *device_of(std::string_view set) {
    if (set == "cuda") return halide_cuda_device_interface();
    if (set == "opencl") return halide_opencl_device_interface();
    return nullptr;
}

std::string to_string(const DeviceDescription &device) {
    return fmt::format("{} ({} MiB, {})", device.name, device.memory_bytes >> 20, device.capability);
}

DeviceDescription describe_device(std::string_view set) {
    if (set == "cuda") return describe_cuda();
    if (set == "opencl") return describe_opencl();
    throw std::invalid_argument(fmt::format("schedule set {} runs on the host", set));
}

namespace {

/// A buffer of one dimension. It points into itself, so it stays where it is made.
struct Line {
    halide_dimension_t dimension;
    halide_buffer_t buffer{};

    Line(halide_type_t type, std::int64_t begin, std::int64_t end)
        : dimension(static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end - begin), 1) {
        buffer.type = type;
        buffer.dimensions = 1;
        buffer.dim = &dimension;
    }
    /// Bytes of the host's and their place on a device.
    Line(const void *host, std::int64_t bytes, std::uint64_t on_device, const halide_device_interface_t *device)
        : Line(halide_type_of<std::uint8_t>(), 0, bytes) {
        buffer.host = static_cast<std::uint8_t *>(const_cast<void *>(host));  // what is sent is read only
        buffer.device = on_device;
        buffer.device_interface = device;
    }
    Line(const Line &) = delete;
    Line &operator=(const Line &) = delete;
};

/// Blocks are counted in words, because a buffer's extent has 31 bits: 16 GiB.
const halide_type_t word = halide_type_of<std::uint64_t>();
constexpr std::int64_t word_bytes = 8;
constexpr std::int64_t most_elements = std::numeric_limits<std::int32_t>::max();

/// Of a block of `bytes`.
std::int64_t words_of(std::int64_t bytes) {
    const std::int64_t words = (bytes + word_bytes - 1) / word_bytes;
    if (words > most_elements)
        throw std::runtime_error(
            fmt::format("{} MiB of a device's memory are more than one block holds: give a smaller batch", bytes >> 20));
    return words;
}

}  // namespace

struct DeviceBlock::Implementation {
    const halide_device_interface_t *device;
    Session &session;
    Line whole;
    std::map<std::int64_t, Line> parts;  // by offset; each to the end of the block

    Implementation(const halide_device_interface_t *device_, Session &session_, std::int64_t bytes)
        : device(device_), session(session_), whole(word, 0, words_of(bytes)) {
        if (halide_device_malloc(&session, &whole.buffer, device))
            throw std::runtime_error(
                fmt::format("the device has no {} MiB of memory left ({}): give a smaller batch", (bytes >> 20) + 1, session.take_error()));
    }

    ~Implementation() {
        for (auto &[offset, part] : parts) halide_device_release_crop(&session, &part.buffer);
        halide_device_free(&session, &whole.buffer);
    }

    Implementation(const Implementation &) = delete;
    Implementation &operator=(const Implementation &) = delete;

    void check(int code) {
        if (code) throw std::runtime_error(fmt::format("the device failed: {} (code {})", session.take_error(), code));
    }

    std::uint64_t at(std::int64_t offset) {
        if (offset == 0) return whole.buffer.device;
        const auto [part, is_new] = parts.try_emplace(offset, word, offset / word_bytes, whole.dimension.extent);
        if (is_new) check(halide_device_crop(&session, &whole.buffer, &part->second.buffer));
        return part->second.buffer.device;
    }
};

DeviceBlock::DeviceBlock(const halide_device_interface_t *device, Session &session, std::int64_t bytes)
    : self_(std::make_unique<Implementation>(device, session, bytes)) {}
DeviceBlock::~DeviceBlock() = default;
DeviceBlock::DeviceBlock(DeviceBlock &&) noexcept = default;
DeviceBlock &DeviceBlock::operator=(DeviceBlock &&) noexcept = default;

const halide_device_interface_t *DeviceBlock::device() const { return self_->device; }

std::uint64_t DeviceBlock::at(std::int64_t offset) { return self_->at(offset); }

void DeviceBlock::send(std::int64_t offset, const void *from, std::int64_t bytes) {
    Line line(from, bytes, at(offset), self_->device);
    line.buffer.set_host_dirty();
    self_->check(halide_copy_to_device(&self_->session, &line.buffer, self_->device));
}

void DeviceBlock::fetch(std::int64_t offset, void *to, std::int64_t bytes) {
    Line line(to, bytes, at(offset), self_->device);
    line.buffer.set_device_dirty();
    self_->check(halide_copy_to_host(&self_->session, &line.buffer));
    wait();
}

void DeviceBlock::wait() { self_->check(halide_device_sync(&self_->session, &self_->whole.buffer)); }

}  // namespace halcyon
