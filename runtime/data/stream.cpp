#include "runtime/data/stream.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <zlib.h>

namespace halcyon {
namespace {

[[noreturn]] void cut_off() { throw std::runtime_error("is cut off; get the file anew"); }
[[noreturn]] void more_follows() { throw std::runtime_error("holds more than its header says; get the file anew"); }
[[noreturn]] void damaged() { throw std::runtime_error("is damaged: it does not decompress; get the file anew"); }

class PlainStream final : public Stream {
public:
    explicit PlainStream(std::span<const std::byte> bytes) : rest_(bytes), size_(bytes.size()) {}

    void read(std::span<std::byte> bytes) override {
        if (bytes.size() > rest_.size()) cut_off();
        if (!bytes.empty()) std::memcpy(bytes.data(), rest_.data(), bytes.size());
        rest_ = rest_.subspan(bytes.size());
    }

    void finish() override {
        if (!rest_.empty()) more_follows();
    }

    std::size_t most() const override { return size_; }

private:
    std::span<const std::byte> rest_;
    std::size_t size_;
};

enum class Frame { none, gzip };

class InflatingStream final : public Stream {
public:
    InflatingStream(std::span<const std::byte> compressed, Frame frame) : rest_(compressed), size_(compressed.size()), frame_(frame) {
        constexpr int gzip_frame = 16;  // added to the window's bits; a negative number stands for no frame
        if (inflateInit2(&state_, frame == Frame::gzip ? MAX_WBITS + gzip_frame : -MAX_WBITS) != Z_OK)
            throw std::runtime_error("there is no memory to decompress it");
    }
    InflatingStream(const InflatingStream &) = delete;
    InflatingStream &operator=(const InflatingStream &) = delete;
    ~InflatingStream() override { inflateEnd(&state_); }

    void read(std::span<std::byte> bytes) override {
        while (!bytes.empty()) {
            if (ended_ && !begin_next_member()) cut_off();
            bytes = bytes.subspan(inflate_into(bytes));
        }
    }

    void finish() override {
        std::byte more;
        while (!ended_ || begin_next_member())
            if (inflate_into({&more, 1}) > 0) more_follows();
    }

    std::size_t most() const override {
        constexpr std::size_t densest = 1032;  // a code of two bits that repeats 258 bytes
        return size_ > std::numeric_limits<std::size_t>::max() / densest ? std::numeric_limits<std::size_t>::max() : size_ * densest;
    }

private:
    bool begin_next_member() {
        if (frame_ != Frame::gzip || rest_.empty()) return false;
        ended_ = false;
        return inflateReset(&state_) == Z_OK;
    }

    /// How many bytes came.
    std::size_t inflate_into(std::span<std::byte> bytes) {
        constexpr std::size_t at_once = std::size_t{1} << 30;  // zlib counts in 32 bits
        state_.next_in = const_cast<Bytef *>(reinterpret_cast<const Bytef *>(rest_.data()));
        state_.avail_in = static_cast<uInt>(std::min(rest_.size(), at_once));
        state_.next_out = reinterpret_cast<Bytef *>(bytes.data());
        state_.avail_out = static_cast<uInt>(std::min(bytes.size(), at_once));
        const uInt had = state_.avail_in, wanted = state_.avail_out;
        const int result = inflate(&state_, Z_NO_FLUSH);
        rest_ = rest_.subspan(had - state_.avail_in);
        if (result == Z_BUF_ERROR) cut_off();
        if (result != Z_OK && result != Z_STREAM_END) damaged();
        ended_ = result == Z_STREAM_END;
        return wanted - state_.avail_out;
    }

    z_stream state_{};
    std::span<const std::byte> rest_;
    std::size_t size_;
    Frame frame_;
    bool ended_ = false;  // the member that was read last
};

}  // namespace

std::unique_ptr<Stream> plain_stream(std::span<const std::byte> bytes) { return std::make_unique<PlainStream>(bytes); }

std::unique_ptr<Stream> gzip_stream(std::span<const std::byte> compressed) {
    return std::make_unique<InflatingStream>(compressed, Frame::gzip);
}

std::unique_ptr<Stream> deflate_stream(std::span<const std::byte> compressed) {
    return std::make_unique<InflatingStream>(compressed, Frame::none);
}

}  // namespace halcyon
