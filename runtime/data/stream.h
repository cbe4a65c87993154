// Bytes that come one after the other, out of memory and perhaps out of a compressed form.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace halcyon {

/// Everything throws std::runtime_error with what is wrong, without the file's name: "is cut off".
class Stream {
public:
    virtual ~Stream() = default;

    /// Fills `bytes` with those that come next. Throws where there are fewer, or where they are damaged.
    virtual void read(std::span<std::byte> bytes) = 0;

    /// To be called behind the last byte that is wanted. Throws where more follow, and where a checksum is another.
    virtual void finish() = 0;

    /// No more bytes than these can come, from the beginning: what a header announces is held to it before there is memory for it.
    virtual std::size_t most() const = 0;
};

/// Bytes as they are. They must outlive the stream, here and below.
std::unique_ptr<Stream> plain_stream(std::span<const std::byte> bytes);

/// What gzip made (RFC 1952): one member or several.
std::unique_ptr<Stream> gzip_stream(std::span<const std::byte> compressed);

/// Deflated bytes without any frame (RFC 1951), as zip archives hold them.
std::unique_ptr<Stream> deflate_stream(std::span<const std::byte> compressed);

}  // namespace halcyon
