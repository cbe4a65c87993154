#include "runtime/training/event_files.h"

#include "plan/files.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <bit>
#include <chrono>
#include <climits>
#include <cstdint>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

namespace halcyon {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

// What the names of event files begin with: TensorBoard looks for it.
constexpr std::string_view event_file = "events.out.tfevents.";

constexpr std::array<const char *, 2> parts = {"train", "validation"};

/// The low `size` bytes, the lowest first.
std::string bytes_of(std::uint64_t value, int size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
    return bytes;
}

// Protocol buffers: https://protobuf.dev/programming-guides/encoding. The messages are TensorFlow's event.proto and summary.proto.

std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value >= 128; value >>= 7) bytes += static_cast<char>(value | 128);
    return bytes + static_cast<char>(value);
}

std::string number_field(int field, std::uint64_t value) { return varint(static_cast<std::uint64_t>(field) << 3) + varint(value); }
std::string double_field(int field, double value) {
    return varint(static_cast<std::uint64_t>(field) << 3 | 1) + bytes_of(std::bit_cast<std::uint64_t>(value), 8);
}
std::string float_field(int field, float value) {
    return varint(static_cast<std::uint64_t>(field) << 3 | 5) + bytes_of(std::bit_cast<std::uint32_t>(value), 4);
}
std::string bytes_field(int field, std::string_view value) {
    return varint(static_cast<std::uint64_t>(field) << 3 | 2) + varint(value.size()) + std::string(value);
}

/// CRC-32C: of RFC 3720, section 12.1, bit by bit.
std::uint32_t crc32c(std::string_view bytes) {
    std::uint32_t crc = ~0U;
    for (const char byte : bytes) {
        crc ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78U : 0);
    }
    return ~crc;
}

/// A record of TFRecord: the length and the bytes, each with its checksum, which is rotated and moved so that it is no checksum of itself.
std::string record(std::string_view bytes) {
    const auto masked = [](std::string_view checked) { return bytes_of(std::rotr(crc32c(checked), 15) + 0xA282EAD8U, 4); };
    const std::string length = bytes_of(bytes.size(), 8);
    return length + masked(length) + std::string(bytes) + masked(bytes);
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

/// An event's time, and what else it has.
std::string event(std::string_view rest) { return record(double_field(1, now()) + std::string(rest)); }

std::string scalar_event(std::uint64_t step, std::string_view tag, double value) {
    const std::string scalar = bytes_field(1, tag) + float_field(2, static_cast<float>(value));
    return event(number_field(2, step) + bytes_field(5, bytes_field(1, scalar)));
}

std::vector<fs::path> event_files(const fs::path &folder) {
    std::vector<fs::path> files;
    if (fs::is_directory(folder))
        for (const fs::directory_entry &entry : fs::directory_iterator(folder))
            if (entry.path().filename().string().starts_with(event_file)) files.push_back(entry.path());
    return files;
}

/// The event file in a folder, begun where there is none. Its name has the time, the machine and the process, as TensorFlow's has.
fs::path open_events(const fs::path &folder) {
    const std::vector<fs::path> files = event_files(folder);
    if (!files.empty()) return files.front();
    fs::create_directories(folder);
    std::array<char, HOST_NAME_MAX + 1> host{};
    gethostname(host.data(), host.size() - 1);
    const fs::path file = folder / fmt::format("{}{:010}.{}.{}.0", event_file, static_cast<std::int64_t>(now()), host.data(), getpid());
    append_file(file, event(bytes_field(3, "brain.Event:2")));
    return file;
}

}  // namespace

void append_events(const fs::path &folder, std::span<const ordered_json> epochs) {
    std::array<std::string, parts.size()> events;
    for (const ordered_json &epoch : epochs)
        for (const auto &[key, value] : epoch.items()) {
            if (key == "epoch" || !value.is_number()) continue;
            const bool validated = key.starts_with("val_");
            events[validated] +=
                scalar_event(epoch.at("epoch").get<std::uint64_t>() - 1, "epoch_" + key.substr(validated ? 4 : 0), value.get<double>());
        }
    for (std::size_t part = 0; part < parts.size(); ++part)
        if (!events[part].empty()) append_file(open_events(folder / parts[part]), events[part]);
}

void remove_events(const fs::path &folder) {
    for (const char *part : parts)
        for (const fs::path &file : event_files(folder / part)) fs::remove(file);
}

}  // namespace halcyon
