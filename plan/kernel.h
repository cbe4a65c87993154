// A kernel: a core in one shape, with the chains of pointwise functions that it applies to what the core reads and writes; its arguments,
// and its name, which says all of it.
#pragma once

#include "plan/cores.h"
#include "plan/pointwise.h"
#include "plan/shape.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {

/// The extent that stands for the batch, the one that stands for the number of records of the bound data set, and the one for as many
/// records as the batch has images: those lie one after the other whatever the set's order.
constexpr int batch_extent = -1;
constexpr int records_extent = -2;
constexpr int images_extent = -3;

/// The extent of a kernel's argument that may have any: the step buffer's.
constexpr int any_extent = -4;

/// Whether a buffer grows with the batch along this extent.
constexpr bool counts_images(int extent) { return extent == batch_extent || extent == images_extent; }

struct Kernel {
    std::string core;
    Shape shape;

    /// By the argument of the core, or the value between, that they are applied to: before an input is read, behind an output.
    std::map<std::string, Chain> chains = {};

    bool operator==(const Kernel &) const = default;

    const Core &of() const { return find_core(core); }

    /// The chain at an argument; empty where there is none.
    const Chain &chain(const std::string &place) const;
};

/// Where a core can have chains: its inputs, the values between and its outputs, in the order of the arguments.
std::vector<std::string> places_of(const Core &core);

/// The output of a core that a chain can be applied to: its activation. Throws std::invalid_argument where it writes none.
const Argument &chained_output(const Core &core);

/// An argument of the compiled function.
struct KernelArgument {
    std::string name;
    std::string type;          // "float32", "int32", "uint32", "uint16", "uint8"
    std::vector<int> extents;  // innermost first; batch_extent, records_extent and images_extent stand for what is known at run time
    bool is_output = false, is_updated = false;
};

/// The inputs of the core, those of the chains' operands, in the order of the core's arguments, and the outputs. The operand of a link is
/// called "<place>_<row>_<operand>", "output_add_addend", and numbered where the chain has the row more than once: "output_add2_addend".
/// The step buffer, labels, targets and indices are there once. Throws std::invalid_argument where a chain is at no place of the core.
std::vector<KernelArgument> arguments_of(const Kernel &kernel);

/// The name of the argument that a link's operand is.
std::string operand_name(const Kernel &kernel, const std::string &place, int link, const RowOperand &operand);

/// The extents of an argument of a core.
std::vector<int> extents_of(Role role, const Shape &shape);

/// Floating-point operations an image (a call, where the kernel does not see the batch): the core's and the chains'.
double flops(const Kernel &kernel);

/// Exact where the core and all links are.
Exactness exactness(const Kernel &kernel);

/// What a kernel computes and in which shape: "conv2d_fwd__relu__h13w13c64_k64r3s3". This is what schedules/tuned/<set>.json pins.
///
/// Between the core and the shape stand the chains. One before an input begins with its name:
/// "max_pool2d_fwd__input_affine__dropout1__..."; a link whose operand is another input says which, counted from 0: "mask" of input 1 is
/// "maskat1". The constants of a link stand behind its name: "leakyreluv0p3".
///
/// h, w, c: the input's rows, columns, channels; k: the output's channels; r, s: the window's rows and columns; t: strides and p: padding
/// (above, left, below, right, or one number where all are equal) where there are any; the same again behind "pool" for a pool's; f: the
/// outputs of a tile that weights are transformed for; n: the batch, or the elements of a slab; e and m: epsilon and momentum where they
/// are not Keras's 0.001 and 0.99, "unbiased": of the moving variance; "floats": of a data set of floats; z and o: an image's scale and
/// offset; s: label smoothing, where there is some.
std::string kernel_name(const Kernel &kernel);

/// The two parts of the name: "conv2d_fwd__relu" and "h13w13c64_k64r3s3".
std::string work_name(const Kernel &kernel);
std::string shape_name(const Kernel &kernel);

/// Reads a kernel_name(). Throws std::invalid_argument where it is none.
Kernel parse_kernel_name(std::string_view name);

/// So that the files named after a symbol, which have endings, fit the 255 bytes that a file system allows.
constexpr std::size_t longest_symbol = 220;

/// The compiled function: "cifar10_conv2d_fwd__relu__h13w13c64_k64r3s3__x86_avx2_register_tile", or "...__reference" in the set of that
/// name.
std::string symbol_name(std::string_view model, const Kernel &kernel, std::string_view set, std::string_view entry);

}  // namespace halcyon
