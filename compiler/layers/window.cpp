#include "compiler/layers/window.h"

#include <fmt/format.h>

#include <cstdint>
#include <stdexcept>

namespace halcyon {

Shape Window::over(const FeatureMap &in, int out_c) const {
    const std::int64_t taps = std::int64_t{size[0]} * size[1];
    if (taps > most_floats) throw std::invalid_argument(fmt::format("{} has {} taps; the most is {}", name(), taps, most_floats));
    Shape shape = elementwise(in);
    shape.out_c = out_c;
    shape.kernel_h = size[0], shape.kernel_w = size[1];
    shape.stride_h = strides[0], shape.stride_w = strides[1];
    shape.dilation_h = dilation[0], shape.dilation_w = dilation[1];
    const std::array<int, 2> spans = {span(0), span(1)};
    if (padding.same) {
        shape.out_h = (in.h + strides[0] - 1) / strides[0];
        shape.out_w = (in.w + strides[1] - 1) / strides[1];
        // The smaller half of the padding comes first.
        shape.pad_top = std::max((shape.out_h - 1) * strides[0] + spans[0] - in.h, 0) / 2;
        shape.pad_left = std::max((shape.out_w - 1) * strides[1] + spans[1] - in.w, 0) / 2;
    } else {
        // Every window holds a value, so that a pool has something to take the maximum or the mean of.
        if (padding.largest_of_rows() >= spans[0] || padding.largest_of_columns() >= spans[1])
            throw std::invalid_argument(fmt::format("\"padding\" must be smaller than {}", name()));
        const int rows = padding.top + in.h + padding.bottom, columns = padding.left + in.w + padding.right;
        if (spans[0] > rows || spans[1] > columns)
            throw std::invalid_argument(fmt::format("{} does not fit in its {}x{} input", name(), rows, columns));
        shape.out_h = windows(rows, spans[0], strides[0], padding.top + in.h);
        shape.out_w = windows(columns, spans[1], strides[1], padding.left + in.w);
        shape.pad_top = padding.top, shape.pad_left = padding.left;
    }
    return shape;
}

int Window::windows(int extent, int size, int stride, int end) const {
    const int whole = (extent - size) / stride + 1;
    const bool one_more = ceil_mode && (extent - size) % stride > 0 && whole * stride < end;
    return one_more ? whole + 1 : whole;
}

int Window::span(int axis) const {
    const std::int64_t span = (std::int64_t{size[axis]} - 1) * dilation[axis] + 1;
    if (span > largest_size) throw std::invalid_argument(fmt::format("{} spans {} pixels; the most is {}", name(), span, largest_size));
    return int(span);
}

std::string Window::name() const {
    const auto sizes = [](const std::array<int, 2> &of) {
        return of[0] == of[1] ? fmt::to_string(of[0]) : fmt::format("{}x{}", of[0], of[1]);
    };
    const bool dilated = dilation[0] > 1 || dilation[1] > 1;
    return fmt::format("{} {}{}", what, sizes(size), dilated ? " dilated by " + sizes(dilation) : "");
}

Padding read_padding(Options &options) {
    if (options.holds_array("padding")) return Padding::of(options.margins("padding"));
    return {.same = options.choice("padding", {"valid", "same"}, "valid") == "same"};
}

}  // namespace halcyon
