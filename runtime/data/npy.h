// NumPy's format of one array: a header, then the values (numpy/lib/format.py; versions 1.0, 2.0 and 3.0).
#pragma once

#include "runtime/data/stream.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

struct NpyHeader {
    std::string type;                // NumPy's word for the values' type: "|u1", "<f4", "<i8"
    std::vector<std::size_t> shape;  // rows before columns: C order
    std::size_t begin = 0;           // bytes before the first value

    /// Bytes of a value.
    std::size_t value_bytes() const;

    /// The number of values. read_npy_header() has seen that their bytes can be counted.
    std::size_t values() const;

    /// The shape as NumPy writes it: "(60000, 28, 28)", "(10,)".
    std::string shape_text() const;
};

/// Reads a header. Throws std::runtime_error, what is wrong without the file's name: where it is no .npy file or is damaged, and for arrays
/// in Fortran's order, of Python's objects and of records, which say what to call in NumPy.
NpyHeader read_npy_header(Stream &file);

/// The bytes before the values of an array in C order, in version 1.0, so many that the values lie at a multiple of 64. Throws
/// std::invalid_argument for more dimensions than 32, NumPy's limit.
std::string npy_header(std::string_view type, std::span<const std::size_t> shape);

}  // namespace halcyon
