#include "plan/naming.h"

#include <fmt/format.h>

#include <algorithm>

namespace halcyon {
namespace {

/// A number as part of an identifier: 1e-05 is "1em05", 0.9 is "0p9".
std::string identifier(float value) {
    std::string text = fmt::format("{}", value);
    std::ranges::replace(text, '-', 'm');
    std::ranges::replace(text, '.', 'p');
    std::erase(text, '+');
    return text;
}

std::string padding_tag(const Shape &s) {
    if (!s.padded()) return "";
    // Negative where a valid window leaves rows or columns unread.
    const int below = std::max(s.pad_bottom(), 0), right = std::max(s.pad_right(), 0);
    const bool equal = s.pad_top == s.pad_left && s.pad_top == below && s.pad_top == right;
    return equal ? fmt::format("_p{}", s.pad_top) : fmt::format("_p{}_{}_{}_{}", s.pad_top, s.pad_left, below, right);
}

/// The size, strides and padding of a convolution's or pool's window.
std::string window_tag(const Shape &s) {
    std::string tag = fmt::format("r{}s{}", s.kernel_h, s.kernel_w);
    if (s.stride_h != s.stride_w)
        tag += fmt::format("_t{}_{}", s.stride_h, s.stride_w);
    else if (s.stride_h > 1)
        tag += fmt::format("_t{}", s.stride_h);
    return tag + padding_tag(s);
}

std::string shape_tag(std::string_view kernel, const Shape &s) {
    if (s.elements > 0) return fmt::format("n{}", s.elements);
    const bool weights = kernel.find("_fold") != kernel.npos || kernel == "winograd_weights";
    std::string tag = weights ? fmt::format("c{}", s.in_c) : fmt::format("h{}w{}c{}", s.in_h, s.in_w, s.in_c);
    const bool convolution = kernel.starts_with("conv2d") || kernel == "winograd_weights",
               pool = !convolution && kernel.find("pool") != kernel.npos;
    if (convolution) tag += fmt::format("_k{}", s.out_c);
    if (pool) tag += "_";
    if (convolution || pool) tag += window_tag(s);
    if (kernel.starts_with("conv2d_pool_")) tag += "_pool_" + window_tag(s.pool());
    if (s.tile > 0) tag += fmt::format("_f{}", s.tile);
    if (s.batch > 0) tag += fmt::format("_n{}", s.batch);
    if (s.relu) tag += "_relu";
    if (s.floats) tag += "_floats";
    if (s.image_scale != 0) tag += "_s" + identifier(s.image_scale);
    if (s.image_offset != 0) tag += "_o" + identifier(s.image_offset);
    if (kernel.find("dropout") != kernel.npos) tag += fmt::format("_d{}", s.dropout);
    if (s.epsilon != 0 && s.epsilon != 1e-3f) tag += "_e" + identifier(s.epsilon);
    if (kernel.starts_with("batch_norm_stats") && s.momentum != 0.99f) tag += "_m" + identifier(s.momentum);
    return tag;
}

}  // namespace

std::string kernel_name(std::string_view kernel, const Shape &shape) { return fmt::format("{}__{}", kernel, shape_tag(kernel, shape)); }

std::string symbol_name(std::string_view model, std::string_view kernel, const Shape &shape, std::string_view set, std::string_view entry) {
    const std::string name = fmt::format("{}_{}__{}", model, kernel_name(kernel, shape), set);
    return set == entry ? name : name + "_" + std::string(entry);
}

}  // namespace halcyon
