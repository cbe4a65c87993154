// Pools, and what else windows make of each channel.
#include "compiler/layers/types.h"

#include "compiler/graph.h"
#include "compiler/layers/lower.h"
#include "compiler/layers/window.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace halcyon {
namespace {

int lower_max_pool(Lowering &lowering, const Layer &layer, const Shape &shape, int input) {
    return lower_call(lowering, layer, "max_pool2d_fwd", "max_pool2d_bwd", shape, input);
}

int lower_average_pool(Lowering &lowering, const Layer &layer, const Shape &shape, int input) {
    return lower_call(lowering, layer, "average_pool2d_fwd", "average_pool2d_bwd", shape, input);
}

/// A window that slides over each channel. What becomes of it is `lower_window`'s.
template<int (*lower_window)(Lowering &, const Layer &, const Shape &, int input)>
class Pooling2d : public Layer {
public:
    explicit Pooling2d(Options &options) {
        const std::array<int, 2> pool = options.sizes("pool_size", {2, 2});
        window_ = {"pool", pool, options.sizes("strides", pool), read_padding(options), options.flag("ceil_mode", false)};
        if (window_.ceil_mode && window_.padding.same)
            throw std::invalid_argument(
                "\"ceil_mode\" is for \"padding\" valid or [top, bottom, left, right]: with same no value is left out");
    }

    FeatureMap infer() const override {
        require_spatial(in[0]);
        const Shape shape = window_.over(in[0], in[0].c);
        return {shape.out_h, shape.out_w, shape.out_c};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        return lower_window(lowering, *this, window_.over(in[0], in[0].c), inputs[0]);
    }

private:
    Window window_;
};

/// The same with one window over all rows and columns.
template<int (*lower_window)(Lowering &, const Layer &, const Shape &, int input)>
class GlobalPooling2d : public Layer {
public:
    explicit GlobalPooling2d(Options &options) : keepdims_(options.flag("keepdims", false)) {}

    FeatureMap infer() const override {
        require_spatial(in[0]);
        return {1, 1, in[0].c, !keepdims_};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const std::array<int, 2> everything = {in[0].h, in[0].w};
        return lower_window(lowering, *this, Window{"pool", everything, everything}.over(in[0], in[0].c), inputs[0]);
    }

private:
    bool keepdims_;
};

/// Zeros around the rows and columns: the sums of windows of one tap, of which the outer ones hold nothing.
class ZeroPadding2d : public Layer {
public:
    explicit ZeroPadding2d(Options &options) : padding_(Padding::of(options.margins_of_axes("padding", {1, 1, 1, 1}))) {}

    FeatureMap infer() const override {
        require_spatial(in[0]);
        return {padding_.top + in[0].h + padding_.bottom, padding_.left + in[0].w + padding_.right, in[0].c};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        Shape shape = elementwise(in[0]);
        shape.out_h = out.h, shape.out_w = out.w, shape.out_c = out.c;
        shape.pad_top = padding_.top, shape.pad_left = padding_.left;
        return lower_call(lowering, *this, "window_sum2d_fwd", "window_sum2d_bwd", shape, inputs[0]);
    }

private:
    Padding padding_;
};

/// Every pixel becomes a window of its size: what the gradient of a sum over windows does. Its own gradient is that sum.
class UpSampling2d : public Layer {
public:
    explicit UpSampling2d(Options &options) : size_(options.sizes("size", {2, 2})) {
        options.choice("interpolation", {"nearest"}, "nearest");
    }

    FeatureMap infer() const override {
        require_spatial(in[0]);
        const std::int64_t rows = std::int64_t{in[0].h} * size_[0], columns = std::int64_t{in[0].w} * size_[1];
        if (std::max(rows, columns) > largest_size)
            throw std::invalid_argument(fmt::format("makes {}x{} pixels; the most is {} of each", rows, columns, largest_size));
        return {int(rows), int(columns), in[0].c};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const Shape shape = Window{"size", size_, size_}.over(out, out.c);
        return lower_call(lowering, *this, "window_sum2d_bwd", "window_sum2d_fwd", shape, inputs[0]);
    }

private:
    std::array<int, 2> size_;
};

}  // namespace

LayerTypes pools() {
    return {
        {"average_pooling2d", layer_type<Pooling2d<lower_average_pool>>("average_pooling2d")},
        {"global_average_pooling2d", layer_type<GlobalPooling2d<lower_average_pool>>("global_average_pooling2d")},
        {"global_max_pooling2d", layer_type<GlobalPooling2d<lower_max_pool>>("global_max_pooling2d")},
        {"max_pooling2d", layer_type<Pooling2d<lower_max_pool>>("max_pooling2d")},
        {"up_sampling2d", layer_type<UpSampling2d>("up_sampling2d")},
        {"zero_padding2d", layer_type<ZeroPadding2d>("zero_padding2d")},
    };
}

}  // namespace halcyon
