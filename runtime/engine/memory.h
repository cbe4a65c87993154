// All the memory of a network on one set: the arena that its programs share, the slabs, and the external buffers bound by name. Where the
// kernels run on a device, all of it lies there; what the host reads and writes has a twin here.
#pragma once

#include "plan/plan.h"
#include "runtime/devices/device.h"
#include "runtime/engine/session.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace halcyon {

/// Bytes aligned to 64 and not initialised: pages that nobody writes are never touched. Throws std::runtime_error where the
/// system refuses them.
class Block {
public:
    Block() = default;
    explicit Block(std::int64_t bytes);

    std::byte *data() const { return data_.get(); }
    std::int64_t size() const { return size_; }

private:
    struct Free {
        void operator()(std::byte *data) const { std::free(data); }
    };
    std::unique_ptr<std::byte, Free> data_;
    std::int64_t size_ = 0;
};

/// Where the kernels find a buffer: at an address of the host's, or in a device's memory.
struct Address {
    std::byte *host = nullptr;
    const halide_device_interface_t *device = nullptr;
    std::uint64_t on_device = 0;  // halide_buffer_t::device
};

/// A place on the host. Kernels take inputs and outputs alike as pointers to mutable bytes.
Address place_of(const void *memory);

/// A block of the host's and, where kernels run on a device, a block of as many bytes there.
class TwinBlock {
public:
    /// `device` is null where kernels run on the host.
    TwinBlock(const halide_device_interface_t *device, Session &session, std::int64_t bytes);

    std::byte *host() const { return host_.data(); }
    std::int64_t size() const { return host_.size(); }

    /// Where the kernels find what begins at `offset`.
    Address place(std::int64_t offset);

    /// Copies the first `bytes` to the device or from there. On the host there is nothing to do.
    void send(std::int64_t bytes);
    void fetch(std::int64_t bytes);

    /// Waits for the device to finish what it was given.
    void wait();

private:
    Block host_;
    std::optional<DeviceBlock> device_;
};

/// Rows of values of which kernels see one: what differs from step to step, so that a device can be given several steps at once.
template<typename T>
class Rows {
public:
    Rows(const halide_device_interface_t *device, Session &session, int rows, std::size_t values)
        : values_(values), row_bytes_(align_buffer(static_cast<std::int64_t>(values * sizeof(T)))),
          block_(device, session, rows * row_bytes_) {}

    std::span<T> operator[](int row) const { return {reinterpret_cast<T *>(block_.host() + row * row_bytes_), values_}; }
    Address place(int row) { return block_.place(row * row_bytes_); }

    /// Copies the first rows to the device or from there.
    void send(int rows) { block_.send(rows * row_bytes_); }
    void fetch(int rows) { block_.fetch(rows * row_bytes_); }

private:
    std::size_t values_;
    std::int64_t row_bytes_;
    TwinBlock block_;
};

/// The images of a data set, one record after the other: bytes or float32.
using Records = std::variant<std::span<const std::uint8_t>, std::span<const float>>;

/// What records are: images of bytes or of floats, or what a network's frozen layers made of images.
enum class RecordKind { bytes, floats, features };

/// What a network is to make of the images, one after the other: the label of each, which is its class, or its targets, numbers side by
/// side.
using Answers = std::variant<std::span<const std::uint16_t>, std::span<const float>>;

/// A data set where the kernels read it: in the caller's memory, or in a copy on the device.
class PlacedData {
public:
    /// On the host `images` and `answers`, of so many records, must outlive it. Where there are `shared_classes`, the kernels read targets,
    /// shares of so many classes: labels become such. Features are floats.
    PlacedData(const halide_device_interface_t *device, Session &session, const Records &images, const Answers &answers, int records,
               int shared_classes, bool are_features);

    /// Takes another data set in this one's place. False, and nothing done, where a device's copy has another size.
    bool refill(const Records &images, const Answers &answers, int records);

    const Address &images() const { return images_; }
    const Address &answers() const { return answers_; }
    RecordKind kind() const { return kind_; }
    int records() const { return records_; }

private:
    /// What the kernels read of the answers.
    std::span<const std::byte> bytes_to_read(const Answers &answers);

    void fill(const Records &images, std::span<const std::byte> answer_bytes, int records);

    Address images_, answers_;
    int shared_classes_;
    std::vector<float> one_hot_;  // of labels that became targets
    bool are_features_;
    RecordKind kind_ = RecordKind::bytes;
    std::size_t image_bytes_;
    int records_ = 0;
    std::optional<DeviceBlock> images_on_device_, answers_on_device_;
};

/// The frozen layers' output in a set's plan; null where there is none.
const Buffer *find_features(const SetPlan &set);

/// Throws std::invalid_argument, one line, where a network on a set cannot take `max_batch` images: none, more than its kernels can
/// address, or more than there is room for in `available` bytes of the host's memory. It names the largest batch that fits.
void check_batch(const Plan &plan, const SetPlan &set, int max_batch, std::int64_t available);

class Memory {
public:
    /// The arena is as large as the set's most demanding program needs for `max_batch` images; the slabs are zero. Throws like
    /// check_batch() and std::runtime_error where the system or the device refuses the memory.
    Memory(const Plan &plan, const SetPlan &set, int max_batch, Session &session);

    int max_batch() const { return max_batch_; }

    /// A slab on the host, to be read and written until a program runs next: `home` is parameters, gradients, moving or optimizer.
    std::span<float> slab(Home home);

    /// Sets all of them to zero.
    void clear_slabs();

    /// To be called before a program runs: sends a device the slabs that have been asked for, which may have been written.
    void begin_run();

    /// Waits for the device to finish what it was given.
    void wait() { block(Home::parameters).wait(); }

    /// Gives the external buffers named `name` their memory, which is not owned.
    void bind(std::string_view name, const Address &place);

    /// Where `buffer` lies. Throws std::runtime_error for an external buffer that is not bound, and for one outside its home.
    Address place(const Buffer &buffer);

private:
    TwinBlock &block(Home home) { return blocks_[static_cast<std::size_t>(home)]; }

    int max_batch_;
    std::vector<TwinBlock> blocks_;                                            // by Home
    std::array<bool, static_cast<std::size_t>(Home::external)> is_on_host_{};  // of a slab: its newest bytes are the host's
    std::map<std::string, Address, std::less<>> external_;
};

}  // namespace halcyon
