#include "runtime/weights/safetensors.h"

#include "plan/errors.h"
#include "plan/file_kind.h"
#include "plan/files.h"
#include "plan/json.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <functional>
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
const std::string mark_key = "format", mark = "halcyon";
const std::string header_checksum = "checksum";   // of the header without this entry
const std::string tensor_checksum = "checksum/";  // followed by the tensor's name

struct TypeInfo {
    DType type;
    const char *name;
    std::size_t size;
};

constexpr std::array types = {
    TypeInfo{DType::f16, "F16", 2}, TypeInfo{DType::bf16, "BF16", 2}, TypeInfo{DType::f32, "F32", 4}, TypeInfo{DType::f64, "F64", 8},
    TypeInfo{DType::i32, "I32", 4}, TypeInfo{DType::i64, "I64", 8},   TypeInfo{DType::u8, "U8", 1},
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
    if (type == types.end()) malformed("tensor {}: its dtype {} is not supported", short_json(name), short_json(entry["dtype"]));

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

/// Whether write_safetensors() made a file. Its first versions set no mark, but a checksum for every tensor.
bool is_ours(const Metadata &metadata) {
    const auto marked = metadata.find(mark_key);
    return (marked != metadata.end() && marked->second == mark) ||
           std::ranges::any_of(metadata, [](const auto &item) { return item.first.starts_with(tensor_checksum); });
}

/// Compares the checksums of a file of ours, which has all of them, and takes them and the mark out of the metadata.
void check_checksums(json header, const TensorViews &tensors, Metadata &metadata) {
    Metadata sums;
    std::erase_if(metadata, [&](const auto &item) {
        const bool sum = item.first == header_checksum || item.first.starts_with(tensor_checksum);
        if (sum) sums.insert(item);
        return sum || item.first == mark_key;
    });
    header[metadata_key].erase(header_checksum);
    if (sums[header_checksum] != header_crc32(header)) malformed("the header's checksum does not match");
    for (const auto &[name, tensor] : tensors) {
        if (sums[tensor_checksum + name] != crc32_text(tensor.bytes)) malformed("tensor {}: its checksum does not match", short_json(name));
    }
}

/// The value of a half: five bits of exponent, ten of mantissa.
double from_f16(std::uint16_t bits) {
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const double sign = bits >> 15 ? -1 : 1;
    if (exponent == 31) return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
    return exponent == 0 ? sign * std::ldexp(mantissa, -24) : sign * std::ldexp(1024 + mantissa, exponent - 25);
}

/// The upper half of a float32.
float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t(bits) << 16); }

/// Calls `use` with the value of every element, of which a tensor's bytes hold one T.
template<typename T, typename Value, typename Use>
void for_each(Bytes bytes, Value &&value, Use &&use) {
    for (; !bytes.empty(); bytes = bytes.subspan(sizeof(T))) {
        T element;
        std::memcpy(&element, bytes.data(), sizeof element);
        use(value(element));
    }
}

/// The same for any type of floats.
template<typename Use>
void for_each_value(const TensorView &tensor, Use &&use) {
    switch (tensor.type) {
    case DType::f16:
        return for_each<std::uint16_t>(tensor.bytes, from_f16, use);
    case DType::bf16:
        return for_each<std::uint16_t>(tensor.bytes, from_bf16, use);
    case DType::f32:
        return for_each<float>(tensor.bytes, std::identity(), use);
    case DType::f64:
        return for_each<double>(tensor.bytes, std::identity(), use);
    case DType::i32:
    case DType::i64:
    case DType::u8:
        break;
    }
    throw std::invalid_argument(fmt::format("a tensor of the type {} holds no floats", name_of(tensor.type)));
}

/// The tensors point into `bytes`; the storage is the caller's.
TensorFile parse(Bytes bytes) {
    std::uint64_t header_bytes = 0;
    if (bytes.size() < length_bytes) malformed("{} bytes are too few", bytes.size());
    std::memcpy(&header_bytes, bytes.data(), length_bytes);
    if (header_bytes > largest_header || header_bytes > bytes.size() - length_bytes) {
        malformed("a header of {} bytes does not fit into {}", header_bytes, bytes.size());
    }
    const json header = parse_header({reinterpret_cast<const char *>(bytes.data()) + length_bytes, header_bytes});
    const Bytes data = bytes.subspan(length_bytes + header_bytes);

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
    file.ours = is_ours(file.metadata);
    if (file.ours) check_checksums(header, file.tensors, file.metadata);
    return file;
}

}  // namespace

TensorFile parse_safetensors(std::unique_ptr<std::byte[]> storage, std::size_t size) {
    TensorFile file = parse(Bytes(storage.get(), size));
    file.storage = std::move(storage);
    return file;
}

TensorFile read_safetensors(const fs::path &path) {
    FileBytes bytes = read_bytes(path, std::numeric_limits<std::size_t>::max());
    const Bytes all(bytes.data.get(), bytes.size);
    try {
        TensorFile file = parse(all);
        file.storage = std::move(bytes.data);
        return file;
    } catch (const Malformed &error) {
        const std::string reason = kind_of(all).empty()
                                       ? fmt::format("{}; name an intact safetensors file", error.what())
                                       : not_wanted(all, "a safetensors file", "export the weights as safetensors under Keras's names");
        fail_for(path, reason);
    }
}

void write_safetensors(const fs::path &path, const TensorViews &tensors, const Metadata &metadata) {
    // Wide types first, by name among equals: every tensor is then aligned, as readers that map the file want it.
    std::vector<TensorViews::const_iterator> order;
    for (auto tensor = tensors.begin(); tensor != tensors.end(); ++tensor) order.push_back(tensor);
    std::stable_sort(order.begin(), order.end(), [](auto a, auto b) { return info(a->second.type).size > info(b->second.type).size; });

    json header = json::object();
    header[metadata_key] = metadata;
    header[metadata_key][mark_key] = mark;
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

std::size_t count_values(const TensorView &tensor, bool (*counts)(double value)) {
    std::size_t count = 0;
    for_each_value(tensor, [&](double value) { count += counts(value) ? 1 : 0; });
    return count;
}

void copy_floats(const TensorView &tensor, std::span<float> values) {
    auto to = values.begin();
    if (tensor.type == DType::f32)
        std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    else
        for_each_value(tensor, [&](double value) { *to++ = static_cast<float>(value); });
}

bool is_float(DType type) {
    constexpr std::array floats = {DType::f16, DType::bf16, DType::f32, DType::f64};
    return std::ranges::find(floats, type) != floats.end();
}

const char *name_of(DType type) { return info(type).name; }

TensorView view_floats(std::span<const float> values, std::vector<std::int64_t> shape) {
    return {.type = DType::f32, .shape = std::move(shape), .bytes = std::as_bytes(values)};
}

}  // namespace halcyon
