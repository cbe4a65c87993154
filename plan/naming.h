// The names of kernels: readable, printable, unique.
#pragma once

#include "plan/shape.h"

#include <string>
#include <string_view>

namespace halcyon {

/// What a kernel computes and in which shape: "conv2d_fwd__h13w13c64_k64r3s3_relu". This is what schedules/tuned/<set>.json pins.
///
/// h, w, c: the input's rows, columns, channels; k: the output's channels; r, s: the window's rows and columns; t: strides and p: padding
/// (above, left, below, right, or one number where all are equal) where there are any; d: the dropout layer; n: elements of a slab; e and
/// m: epsilon and momentum where they are not Keras's 0.001 and 0.99.
std::string kernel_name(std::string_view kernel, const Shape &shape);

/// So that the files named after a symbol, which have endings, fit the 255 bytes that a file system allows.
constexpr std::size_t longest_symbol = 220;

/// The compiled function: "cifar10_conv2d_fwd__h13w13c64_k64r3s3_relu__x86_avx2_register_tile", or "...__reference" in the set of that
/// name.
std::string symbol_name(std::string_view model, std::string_view kernel, const Shape &shape, std::string_view set, std::string_view entry);

}  // namespace halcyon
