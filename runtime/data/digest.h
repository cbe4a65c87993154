// What tells contents apart by 128 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace halcyon {

/// FNV-1a of 128 bits (Fowler, Noll, Vo; draft-eastlake-fnv): for keys and duplicates among files that nobody forges.
class Digest {
public:
    void add(std::span<const std::byte> bytes) {
        for (const std::byte byte : bytes) state_ = (state_ ^ Word(byte)) * prime;
    }

    /// A text and its length, so that what follows cannot be taken for its end.
    void add(std::string_view text) {
        add(text.size());
        add(std::as_bytes(std::span(text)));
    }

    void add(std::uint64_t number) { add(std::as_bytes(std::span(&number, 1))); }

    /// Its 32 hexadecimal digits.
    std::string text() const {
        constexpr std::string_view digits = "0123456789abcdef";
        std::string text;
        for (int shift = 124; shift >= 0; shift -= 4) text += digits[static_cast<std::size_t>(state_ >> shift & 15)];
        return text;
    }

    /// Some order, for sorted containers.
    bool operator<(const Digest &other) const { return state_ < other.state_; }

private:
    __extension__ using Word = unsigned __int128;

    static constexpr Word prime = Word(1) << 88 | 0x13b;

    Word state_ = Word(0x6c62272e07bb0142) << 64 | 0x62b821756295c58d;
};

}  // namespace halcyon
