// One value of several.
#include "compiler/layers/types.h"

#include "compiler/graph.h"
#include "compiler/layers/window.h"
#include "plan/pointwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace halcyon {
namespace {

/// What makes one value of several.
class Merge : public Layer {
public:
    explicit Merge(Options &) {}

    bool takes_many() const override { return true; }
};

/// The shape that all have.
FeatureMap one_shape(const std::vector<FeatureMap> &in, const char *verb) {
    for (const FeatureMap &map : in)
        if (map != in[0]) throw std::invalid_argument(fmt::format("cannot {} {} and {}", verb, to_string(in[0]), to_string(map)));
    return in[0];
}

int sum_of(Lowering &lowering, const Layer &layer, const std::vector<int> &inputs) {
    int sum = inputs[0];
    for (std::size_t i = 1; i < inputs.size(); ++i) {
        const int output = lowering.activation(layer.name, layer.out);
        lowering.apply(layer.name, {"add", {{"addend", inputs[i]}}}, sum, output);
        sum = output;
    }
    return sum;
}

class Add : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override { return one_shape(in, "add"); }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int sum = sum_of(lowering, *this, inputs);
        lowering.on_backward(sum, [=, this, &lowering](int d_output) {
            for (int input : inputs) lowering.add_gradient(name, input, d_output);
        });
        return sum;
    }
};

class Average : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override { return one_shape(in, "average"); }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const AppliedLink share{.row = "times", .constants = {1 / float(inputs.size())}};
        const int sum = sum_of(lowering, *this, inputs), mean = lowering.activation(name, out);
        lowering.apply(name, share, sum, mean);
        lowering.on_backward(mean, [=, this, &lowering](int d_mean) {
            const int d_input = lowering.gradient(mean);
            lowering.apply(name, share, d_mean, d_input);
            for (int input : inputs) lowering.add_gradient(name, input, d_input);
        });
        return mean;
    }
};

class Subtract : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override {
        if (in.size() != 2) throw std::invalid_argument(fmt::format("takes two inputs, has {}", in.size()));
        return one_shape(in, "subtract");
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int output = lowering.activation(name, out);
        lowering.apply(name, {"subtract", {{"subtrahend", inputs[1]}}}, inputs[0], output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            lowering.add_gradient(name, inputs[0], d_output);
            if (!lowering.wants_gradient(inputs[1])) return;
            const int d_input = lowering.gradient(inputs[1]);
            lowering.apply(name, {.row = "times", .constants = {-1}}, d_output, d_input);
            lowering.add_gradient(name, inputs[1], d_input);
        });
        return output;
    }
};

/// Of what is equal, either has half of the gradient.
class Maximum : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override { return one_shape(in, "compare"); }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        int largest = inputs[0];
        for (std::size_t i = 1; i < inputs.size(); ++i) largest = larger_of(lowering, largest, inputs[i]);
        return largest;
    }

private:
    int larger_of(Lowering &lowering, int first, int second) const {
        const int output = lowering.activation(name, out);
        lowering.apply(name, {"maximum", {{"other", second}}}, first, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            const int margin = lowering.gradient(output), d_first = lowering.gradient(first);
            lowering.apply(name, {"subtract", {{"subtrahend", second}}}, first, margin);
            lowering.apply(name, {"larger", {{"margin", margin}}}, d_output, d_first);
            lowering.add_gradient(name, first, d_first);
            if (!lowering.wants_gradient(second)) return;
            const int d_second = lowering.gradient(second);
            lowering.apply(name, {"subtract", {{"subtrahend", d_first}}}, d_output, d_second);
            lowering.add_gradient(name, second, d_second);
        });
        return output;
    }
};

/// Inputs of one pixel are the same for all rows and columns.
class Multiply : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override {
        FeatureMap largest = in[0];
        for (const FeatureMap &map : in)
            if (is_gate(largest, map)) largest = map;
        for (const FeatureMap &map : in)
            if (map != largest && !is_gate(map, largest))
                throw std::invalid_argument(fmt::format("cannot multiply {} and {}", to_string(largest), to_string(map)));
        return largest;
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const std::size_t begin = std::size_t(std::ranges::find(in, out) - in.begin());
        int product = inputs[begin];
        for (std::size_t i = 0; i < inputs.size(); ++i)
            if (i != begin) product = product_of(lowering, product, inputs[i], in[i].h * in[i].w < out.h * out.w);
        return product;
    }

private:
    static bool is_gate(const FeatureMap &map, const FeatureMap &of) { return map.h * map.w == 1 && map.c == of.c && !of.flat; }

    int product_of(Lowering &lowering, int first, int second, bool gates) const {
        const AppliedLink by_second{gates ? "gate" : "multiply", {{"by", second}}};
        const int output = lowering.activation(name, out);
        lowering.apply(name, by_second, first, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            if (lowering.wants_gradient(first)) {
                const int d_first = lowering.gradient(first);
                lowering.apply(name, by_second, d_output, d_first);
                lowering.add_gradient(name, first, d_first);
            }
            if (!lowering.wants_gradient(second)) return;
            const int d_each = lowering.gradient(gates ? output : second);
            lowering.apply(name, {"multiply", {{"by", first}}}, d_output, d_each);
            if (!gates) return lowering.add_gradient(name, second, d_each);
            const int d_second = lowering.gradient(second);
            const std::array<int, 2> everything = {out.h, out.w};
            lowering.call(name, "window_sum2d_fwd", Window{"sum", everything, everything}.over(out, out.c), {{"input", d_each}},
                          {{"output", d_second}});
            lowering.add_gradient(name, second, d_second);
        });
        return output;
    }
};

/// Along the channels.
class Concatenate : public Merge {
public:
    using Merge::Merge;

    FeatureMap infer() const override {
        std::int64_t channels = 0;
        for (const FeatureMap &map : in) {
            require_channels(map, "concatenate");
            if (map.h != in[0].h || map.w != in[0].w || map.flat != in[0].flat)
                throw std::invalid_argument(fmt::format("cannot concatenate {} and {}", to_string(in[0]), to_string(map)));
            channels += map.c;
        }
        if (channels > largest_size) throw std::invalid_argument(fmt::format("has {} channels; the most is {}", channels, largest_size));
        return {in[0].h, in[0].w, int(channels), in[0].flat};
    }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        int all = inputs[0], channels = in[0].c;
        for (std::size_t i = 1; i < inputs.size(); ++i) {
            all = lower_two(lowering, all, channels, inputs[i], in[i].c);
            channels += in[i].c;
        }
        return all;
    }

private:
    int lower_two(Lowering &lowering, int first, int first_c, int second, int second_c) const {
        const FeatureMap both{out.h, out.w, first_c + second_c, out.flat};
        const auto shape_of = [=](int channels) {
            Shape shape = elementwise({both.h, both.w, channels});
            shape.out_h = both.h, shape.out_w = both.w, shape.out_c = both.c;
            return shape;
        };
        const int output = lowering.activation(name, both);
        lowering.call(name, "concatenate", shape_of(first_c), {{"first", first}, {"second", second}}, {{"output", output}});
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            const auto split = [&](const char *core, int input, int channels) {
                if (!lowering.wants_gradient(input)) return;
                const int d_input = lowering.gradient(input);
                lowering.call(name, core, shape_of(channels), {{"d_output", d_output}}, {{"d_input", d_input}});
                lowering.add_gradient(name, input, d_input);
            };
            split("first_channels", first, first_c);
            split("last_channels", second, second_c);
        });
        return output;
    }
};

}  // namespace

LayerTypes merges() {
    return {
        {"add", layer_type<Add>("add")},
        {"average", layer_type<Average>("average")},
        {"concatenate", layer_type<Concatenate>("concatenate")},
        {"maximum", layer_type<Maximum>("maximum")},
        {"multiply", layer_type<Multiply>("multiply")},
        {"subtract", layer_type<Subtract>("subtract")},
    };
}

}  // namespace halcyon
