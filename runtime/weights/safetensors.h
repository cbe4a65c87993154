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

enum class DType { f16, bf16, f32, f64, i32, i64, u8 };

/// A tensor's type, its row-major shape and its bytes, which belong to someone else (and need not be aligned).
struct TensorView {
    DType type = DType::f32;
    std::vector<std::int64_t> shape;  // empty for a scalar
    std::span<const std::byte> bytes;
};

using TensorViews = std::map<std::string, TensorView>;

/// The free text of a file. The keys "format", "checksum" and "checksum/<tensor>" of our files are written and removed again by the
/// functions below.
using Metadata = std::map<std::string, std::string>;

/// A file in memory: the tensors point into `storage`.
struct TensorFile {
    TensorViews tensors;
    Metadata metadata;
    bool ours = false;  // written by write_safetensors(); the metadata of others may mean anything
    std::unique_ptr<std::byte[]> storage;
};

/// Reads a whole file. Throws std::runtime_error, one line that names the file, where it cannot be read, is malformed in any way (a
/// header over 100 MB, duplicate names, tensors that overlap, leave holes or do not end with the file), holds another type than DType's, or
/// is ours and its checksums do not match. A file of another format is called what it is.
TensorFile read_safetensors(const std::filesystem::path &path);

/// The same for a file's bytes in memory; the messages then name no file.
TensorFile parse_safetensors(std::unique_ptr<std::byte[]> storage, std::size_t size);

/// Writes the tensors under zlib's CRC-32, one for every tensor's bytes and one for the header, and marks the file as ours. It is replaced
/// atomically (replace_file() in plan/files.h). Throws std::runtime_error, one line that names the file; what was at
/// `path` is then as it was.
void write_safetensors(const std::filesystem::path &path, const TensorViews &tensors, const Metadata &metadata);

/// How many values of a tensor of floats (f16, bf16, f32, f64) are what `counts` says.
std::size_t count_values(const TensorView &tensor, bool (*counts)(double value));

/// The values of a tensor of floats as float32: f32 to the bit, f16 and bf16 exactly, f64 rounded to the nearest, ties to even.
void copy_floats(const TensorView &tensor, std::span<float> values);

/// Whether the two functions above take the type.
bool is_float(DType type);

/// The name in the format: "F32".
const char *name_of(DType type);

/// A view of floats (any contiguous range of them) with this shape.
TensorView view_floats(std::span<const float> values, std::vector<std::int64_t> shape);

}  // namespace halcyon
