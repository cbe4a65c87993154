#include "runtime/safetensors.h"

#include "plan/files.h"
#include "plan/json.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <zlib.h>

namespace halcyon {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Bytes = std::span<const std::byte>;

static_assert(std::endian::native == std::endian::little, "the format is little-endian, and bytes are copied as they are");

constexpr std::uint64_t largest_header = 100'000'000;  // the format's own limit
constexpr std::size_t length_bytes = 8;
const std::string metadata_key = "__metadata__";
const std::string header_checksum = "checksum";   // of the header without this entry
const std::string tensor_checksum = "checksum/";  // followed by the tensor's name

struct TypeInfo {
    DType type;
    const char *name;
    std::size_t size;
};

constexpr std::array types = {
    TypeInfo{DType::f32, "F32", 4},
    TypeInfo{DType::i32, "I32", 4},
    TypeInfo{DType::i64, "I64", 8},
    TypeInfo{DType::u8, "U8", 1},
};

const TypeInfo &info(DType type) {
    return *std::find_if(types.begin(), types.end(), [&](const TypeInfo &t) { return t.type == type; });
}

/// Everything that is wrong inside a file, without its name.
struct Malformed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template<typename... Args>
[[noreturn]] void malformed(fmt::format_string<Args...> text, Args &&...args) {
    throw Malformed(fmt::format(text, std::forward<Args>(args)...));
}

/// zlib's CRC-32 as eight hexadecimal digits: it finds every error of up to 32 bits in a row. (zlib is there for libpng anyway.)
std::string crc32_text(Bytes bytes) {
    return fmt::format("{:08x}", crc32_z(0, reinterpret_cast<const Bytef *>(bytes.data()), bytes.size()));
}

/// Independent of white space and of the order of keys, so that a file may pass through other tools.
std::string header_crc32(const json &header) {
    const std::string text = header.dump();
    return crc32_text(std::as_bytes(std::span(text)));
}

/// The parser alone would keep the last of two equal names, accept any nesting, and stop at a zero byte.
json parse_header(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) malformed("the header holds a zero byte");
    std::vector<std::set<std::string>> names;
    const auto check = [&](int depth, json::parse_event_t event, json &value) {
        constexpr int deepest = 3;  // the header, a tensor, its shape
        if (depth > deepest) malformed("the header is nested too deeply");
        if (event == json::parse_event_t::object_start) names.emplace_back();
        if (event == json::parse_event_t::object_end) names.pop_back();
        if (event == json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second) {
            malformed("the header holds the name {} twice", short_json(value.get<std::string>()));
        }
        return true;
    };
    try {
        json header = json::parse(text, check);
        if (!header.is_object()) malformed("the header is no JSON object");
        return header;
    } catch (const json::exception &) {
        malformed("the header is no valid JSON");
    }
}

std::uint64_t natural(const json &value, const std::string &name, const char *what) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::uint64_t(INT64_MAX)) {
        malformed("tensor {}: {} is no list of natural numbers", short_json(name), what);
    }
    return value.get<std::uint64_t>();
}

std::uint64_t bytes_of_shape(const TypeInfo &type, const std::vector<std::int64_t> &shape, const std::string &name) {
    std::uint64_t bytes = type.size;
    for (std::int64_t extent : shape) {
        if (__builtin_mul_overflow(bytes, std::uint64_t(extent), &bytes)) malformed("tensor {}: its shape is too large", short_json(name));
    }
    return bytes;
}

TensorView parse_tensor(const std::string &name, const json &entry, Bytes data) {
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets")) {
        malformed("tensor {}: not an object of dtype, shape and data_offsets", short_json(name));
    }
    const json &shape = entry["shape"], &offsets = entry["data_offsets"];
    if (!shape.is_array()) malformed("tensor {}: shape is no list of natural numbers", short_json(name));
    if (!offsets.is_array() || offsets.size() != 2) malformed("tensor {}: data_offsets is no pair", short_json(name));

    const auto type = std::find_if(types.begin(), types.end(), [&](const TypeInfo &t) { return entry["dtype"] == t.name; });
    if (type == types.end()) malformed("tensor {}: its dtype is none of F32, I32, I64, U8", short_json(name));

    TensorView tensor;
    tensor.type = type->type;
    for (const json &extent : shape) tensor.shape.push_back(std::int64_t(natural(extent, name, "shape")));
    const std::uint64_t begin = natural(offsets[0], name, "data_offsets"), end = natural(offsets[1], name, "data_offsets");
    if (begin > end || end > data.size()) malformed("tensor {}: its bytes {} to {} lie outside of the file", short_json(name), begin, end);
    if (end - begin != bytes_of_shape(*type, tensor.shape, name)) {
        malformed("tensor {}: {} bytes do not match its shape", short_json(name), end - begin);
    }
    tensor.bytes = data.subspan(begin, end - begin);
    return tensor;
}

/// Every byte belongs to exactly one tensor.
void check_layout(const TensorViews &tensors, Bytes data) {
    std::vector<std::pair<const std::byte *, const std::byte *>> ranges;
    for (const auto &[name, tensor] : tensors) ranges.emplace_back(tensor.bytes.data(), tensor.bytes.data() + tensor.bytes.size());
    std::sort(ranges.begin(), ranges.end());
    const std::byte *end = data.data();
    for (const auto &[first, last] : ranges) {
        if (first != end) malformed("its tensors {}", first < end ? "overlap" : "leave a hole");
        end = last;
    }
    if (end != data.data() + data.size()) malformed("{} bytes after the last tensor", data.data() + data.size() - end);
}

/// Compares our checksums and takes them out of the metadata. A file of other makers has none; one of ours has all.
void check_checksums(json header, const TensorViews &tensors, Metadata &metadata) {
    Metadata sums;
    std::erase_if(metadata, [&](const auto &item) {
        const bool ours = item.first == header_checksum || item.first.starts_with(tensor_checksum);
        if (ours) sums.insert(item);
        return ours;
    });
    if (sums.empty()) return;

    header[metadata_key].erase(header_checksum);
    if (sums[header_checksum] != header_crc32(header)) malformed("the header's checksum does not match");
    for (const auto &[name, tensor] : tensors) {
        if (sums[tensor_checksum + name] != crc32_text(tensor.bytes)) malformed("tensor {}: its checksum does not match", short_json(name));
    }
}

}  // namespace

TensorFile parse_safetensors(std::unique_ptr<std::byte[]> storage, std::size_t size) {
    std::uint64_t header_bytes = 0;
    if (size < length_bytes) malformed("{} bytes are too few", size);
    std::memcpy(&header_bytes, storage.get(), length_bytes);
    if (header_bytes > largest_header || header_bytes > size - length_bytes) {
        malformed("a header of {} bytes does not fit into {}", header_bytes, size);
    }
    const json header = parse_header({reinterpret_cast<const char *>(storage.get()) + length_bytes, header_bytes});
    const Bytes data = Bytes(storage.get(), size).subspan(length_bytes + header_bytes);

    TensorFile file;
    for (const auto &[name, entry] : header.items()) {
        if (name != metadata_key) {
            file.tensors[name] = parse_tensor(name, entry, data);
            continue;
        }
        if (!entry.is_object()) malformed("the metadata is no object");
        for (const auto &[key, value] : entry.items()) {
            if (!value.is_string()) malformed("the metadata's {} is no text", short_json(key));
            file.metadata[key] = value;
        }
    }
    check_layout(file.tensors, data);
    check_checksums(header, file.tensors, file.metadata);
    file.storage = std::move(storage);
    return file;
}

TensorFile read_safetensors(const fs::path &path) {
    FileBytes bytes = read_bytes(path, std::numeric_limits<std::size_t>::max());
    try {
        return parse_safetensors(std::move(bytes.data), bytes.size);
    } catch (const std::exception &error) {
        throw std::runtime_error(fmt::format("{}: {}; name an intact safetensors file", path.string(), error.what()));
    }
}

void write_safetensors(const fs::path &path, const TensorViews &tensors, const Metadata &metadata) {
    // Wide types first, by name among equals: every tensor is then aligned, as readers that map the file want it.
    std::vector<TensorViews::const_iterator> order;
    for (auto tensor = tensors.begin(); tensor != tensors.end(); ++tensor) order.push_back(tensor);
    std::stable_sort(order.begin(), order.end(), [](auto a, auto b) { return info(a->second.type).size > info(b->second.type).size; });

    json header = json::object();
    header[metadata_key] = metadata;
    std::vector<Bytes> parts(2);  // the length and the header, see below
    std::size_t offset = 0;
    for (auto tensor : order) {
        const auto &[name, view] = *tensor;
        const std::size_t end = offset + view.bytes.size();
        header[name] = {{"dtype", info(view.type).name}, {"shape", view.shape}, {"data_offsets", {offset, end}}};
        header[metadata_key][tensor_checksum + name] = crc32_text(view.bytes);
        parts.push_back(view.bytes);
        offset = end;
    }
    header[metadata_key][header_checksum] = header_crc32(header);

    std::string text = header.dump();
    text.resize((text.size() + length_bytes - 1) / length_bytes * length_bytes, ' ');
    const std::uint64_t header_bytes = text.size();
    parts[0] = std::as_bytes(std::span(&header_bytes, 1));
    parts[1] = std::as_bytes(std::span(text));
    replace_file(path, parts);
}

TensorView view_floats(std::span<const float> values, std::vector<std::int64_t> shape) {
    return {.type = DType::f32, .shape = std::move(shape), .bytes = std::as_bytes(values)};
}

}  // namespace halcyon
