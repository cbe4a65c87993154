// The sizes a kernel is compiled for. Plain C++: the planner reads it as well as the schedules.
#pragma once

#include <compare>
#include <string>

namespace halcyon {

/// One kernel's sizes and compile-time constants. A kernel reads the fields its algorithm names and leaves the
/// others at their defaults. The batch is not among them: it is a run-time extent.
struct Shape {
    // The activations the layer reads and writes: rows, columns, channels.
    int in_h = 1, in_w = 1, in_c = 1;
    int out_h = 1, out_w = 1, out_c = 1;

    // The window of a convolution or pool. Padding is what lies above and left; below and right follow from the extents.
    int kernel_h = 1, kernel_w = 1;
    int stride_h = 1, stride_w = 1;
    int pad_top = 0, pad_left = 0;

    // 1: a ReLU is fused in: an epilogue of a forward kernel, a mask (input > 0) of a backward one.
    int relu = 0;

    // The random stream and the dropout rate's place in the step buffer (generators/step.h), one a dropout layer.
    int dropout = 0;

    // Elements of a parameter slab, for the optimizers.
    int elements = 0;

    // Batch normalisation's constants, as Keras defines them.
    float epsilon = 0, momentum = 0;

    auto operator<=>(const Shape &) const = default;

    int pad_bottom() const { return (out_h - 1) * stride_h + kernel_h - in_h - pad_top; }
    int pad_right() const { return (out_w - 1) * stride_w + kernel_w - in_w - pad_left; }

    /// True where a window can reach outside the input.
    bool padded() const { return pad_top > 0 || pad_left > 0 || pad_bottom() > 0 || pad_right() > 0; }
};

/// Calls `visit(name, field)` for every field of `shape` (const or not): the one list behind generator arguments, plan.json and symbol
/// names.
template<typename S, typename Visit>
void for_each_field(S &shape, Visit &&visit) {
    visit("in_h", shape.in_h);
    visit("in_w", shape.in_w);
    visit("in_c", shape.in_c);
    visit("out_h", shape.out_h);
    visit("out_w", shape.out_w);
    visit("out_c", shape.out_c);
    visit("kernel_h", shape.kernel_h);
    visit("kernel_w", shape.kernel_w);
    visit("stride_h", shape.stride_h);
    visit("stride_w", shape.stride_w);
    visit("pad_top", shape.pad_top);
    visit("pad_left", shape.pad_left);
    visit("relu", shape.relu);
    visit("dropout", shape.dropout);
    visit("elements", shape.elements);
    visit("epsilon", shape.epsilon);
    visit("momentum", shape.momentum);
}

}  // namespace halcyon
