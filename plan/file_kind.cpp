#include "plan/file_kind.h"

#include "plan/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace halcyon {
namespace {

using namespace std::string_view_literals;

struct Kind {
    std::size_t offset;
    std::string_view bytes;  // what stands there
    std::string_view name;
};

constexpr std::string_view lfs_pointer = "a Git LFS pointer", tiff = "a TIFF picture", html = "an HTML page";

constexpr std::array kinds = {
    Kind{0, "version https://git-lfs", lfs_pointer},
    Kind{0, "\x89PNG\r\n\x1a\n"sv, png_picture},
    Kind{0, "\xff\xd8\xff", jpeg_picture},
    Kind{0, "GIF8", "a GIF picture"},
    Kind{0, "BM", bmp_picture},
    Kind{8, "WEBP", webp_picture},
    Kind{4, "ftypavif", "an AVIF picture"},
    Kind{4, "ftyphei", "a HEIC picture"},
    Kind{0, "II*\0"sv, tiff},
    Kind{0, "MM\0*"sv, tiff},
    Kind{0, "\x89HDF\r\n\x1a\n", "an HDF5 file (.h5)"},
    Kind{0, "PK\x03\x04", "a zip archive (Keras's .keras, PyTorch's .pt, NumPy's .npz)"},
    Kind{0, "\x93NUMPY", "a NumPy array (.npy)"},
    Kind{0, "GGUF", "a GGUF file"},
    Kind{4, "TFL3", "a TensorFlow Lite model"},
    Kind{0, "\x1f\x8b", "a gzip archive"},
    Kind{0, "BZh", "a bzip2 archive"},
    Kind{0,
         "\xfd"
         "7zXZ",
         "an xz archive"},
    Kind{0, "\x28\xb5\x2f\xfd", "a Zstandard archive"},
    Kind{257, "ustar", "a tar archive"},
    Kind{0, "%PDF", "a PDF document"},
    Kind{0, "<!DOCTYPE html", html},
    Kind{0, "<!doctype html", html},
    Kind{0, "<html", html},
};

bool is_text(std::string_view text) {
    constexpr std::size_t enough = 256;
    std::string line(text.substr(0, enough));
    std::erase_if(line, [](char c) { return c == '\n' || c == '\r' || c == '\t'; });
    if (text.size() > enough) line.resize(line.size() - std::min<std::size_t>(line.size(), 3));  // a character may be cut
    return printable(line) == line;
}

/// Python's pickle: "\x80", the protocol from 2 to 5, and an opcode.
bool is_pickle(std::string_view text) { return text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5; }

/// ONNX, a protocol buffer: its first field is the format's version, its second, a text, the producer's name.
bool is_onnx(std::string_view text) { return text.size() > 3 && text[0] == 8 && text[1] > 0 && text[1] < 32 && text[2] == 0x12; }

}  // namespace

std::string kind_of(std::span<const std::byte> bytes) {
    const std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
    if (text.empty()) return "an empty file";
    const auto *const known = std::ranges::find_if(
        kinds, [&](const Kind &kind) { return kind.offset < text.size() && text.substr(kind.offset).starts_with(kind.bytes); });
    if (known != kinds.end()) return std::string(known->name);
    if (is_pickle(text)) return "a Python pickle (PyTorch's older .pt and .pth)";
    if (is_onnx(text)) return "an ONNX model";
    return is_text(text) ? "a text file" : "";
}

std::string not_wanted(std::span<const std::byte> bytes, std::string_view wanted, std::string_view advice) {
    const std::string kind = kind_of(bytes);
    if (kind.empty()) return fmt::format("is not {}; {}", wanted, advice);
    return fmt::format("is {}, not {}; {}", kind, wanted,
                       kind == lfs_pointer ? std::string_view("fetch the file itself with git lfs pull") : advice);
}

}  // namespace halcyon
