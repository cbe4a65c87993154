// Memory of a device (a GPU, or what OpenCL has for one), behind Halide's interface to it.
#pragma once

#include <HalideRuntime.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace halcyon {

class Session;

/// The device that the kernels of a set run on; null: the host.
const halide_device_interface_t *device_of(std::string_view set);

/// A device, for a person.
struct DeviceDescription {
    std::string name;
    std::int64_t memory_bytes = 0;
    std::string capability;                // "compute capability 9.0", "OpenCL 3.0 ..."
    double gflops = 0, gb_per_second = 0;  // fp32 and of its memory, at most; 0: it does not tell
};

/// "NVIDIA H100 (81559 MiB, compute capability 9.0)"
std::string to_string(const DeviceDescription &device);

/// What a set's kernels would run on: the first device that Halide's runtime finds. Throws std::runtime_error, a few words without a full
/// stop, where there is none or it is too old, and std::invalid_argument for a set of the host.
DeviceDescription describe_device(std::string_view set);

/// A block of a device's memory, allocated once and cut into kernels' arguments. Calls on the device are in order: a copy waits for the
/// kernels before it. All but the destructor throw std::runtime_error with what the device says where it fails.
class DeviceBlock {
public:
    /// `bytes` >= 1, not initialised. The session must outlive the block.
    DeviceBlock(const halide_device_interface_t *device, Session &session, std::int64_t bytes);
    ~DeviceBlock();
    DeviceBlock(DeviceBlock &&) noexcept;
    DeviceBlock &operator=(DeviceBlock &&) noexcept;

    const halide_device_interface_t *device() const;

    /// The device's name for what begins at `offset`, a multiple of buffer_alignment: halide_buffer_t::device. It lives as long as the
    /// block.
    std::uint64_t at(std::int64_t offset);

    /// Copies between the host and what begins at `offset`. fetch() waits until the bytes are there.
    void send(std::int64_t offset, const void *from, std::int64_t bytes);
    void fetch(std::int64_t offset, void *to, std::int64_t bytes);

    /// Waits for everything that the device was given.
    void wait();

private:
    struct Implementation;
    std::unique_ptr<Implementation> self_;
};

}  // namespace halcyon
