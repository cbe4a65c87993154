// Files of named tensors in the safetensors format (https://github.com/huggingface/safetensors): eight bytes with the length of a JSON
// header, the header, then every tensor's bytes without gaps. Files from elsewhere are read with suspicion; our own carry checksums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace halcyon {

enum class DType { f32, i32, i64, u8 };

/// A tensor's type, its row-major shape and its bytes, which belong to someone else (and need not be aligned).
struct TensorView {
    DType type = DType::f32;
    std::vector<std::int64_t> shape;  // empty for a scalar
    std::span<const std::byte> bytes;
};

using TensorViews = std::map<std::string, TensorView>;

/// The free text of a file. The keys "checksum" and "checksum/<tensor>" are ours: written and removed again by the functions below.
using Metadata = std::map<std::string, std::string>;

/// A file in memory: the tensors point into `storage`.
struct TensorFile {
    TensorViews tensors;
    Metadata metadata;
    std::unique_ptr<std::byte[]> storage;
};

/// Reads a whole file. Throws std::runtime_error, one line that names the file, where it cannot be read, is malformed in any way (a
/// header over 100 MB, duplicate names, tensors that overlap, leave holes or do not end with the file), holds another type than DType's, or
/// where its checksums (if it has any) do not match.
TensorFile read_safetensors(const std::filesystem::path &path);

/// The same for a file's bytes in memory; the messages then name no file.
TensorFile parse_safetensors(std::unique_ptr<std::byte[]> storage, std::size_t size);

/// Writes the tensors under zlib's CRC-32, one for every tensor's bytes and one for the header. The file is replaced
/// atomically (replace_file() in plan/files.h). Throws std::runtime_error, one line that names the file; what was at
/// `path` is then as it was.
void write_safetensors(const std::filesystem::path &path, const TensorViews &tensors, const Metadata &metadata);

/// A view of floats (any contiguous range of them) with this shape.
TensorView view_floats(std::span<const float> values, std::vector<std::int64_t> shape);

}  // namespace halcyon
