// The backward oracles against finite differences of the forward ones: full Jacobians, in double, on tiny shapes.
#include "tests/catch.h"
#include "tests/kernels/data.h"
#include "tests/kernels/oracle.h"
#include "tests/kernels/run.h"

#include <cfloat>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <string>
#include <vector>

using namespace halcyon;
using namespace halcyon::oracle;

namespace {

using Arrays = std::vector<Array>;

/// A function of its inputs and, by hand, the gradient of each input for the gradient `upstream` of its output.
struct Differentiable {
    std::function<Array(const Arrays &inputs)> forward;
    std::function<Arrays(const Arrays &inputs, const Array &upstream)> backward;
};

/// Elements of gradients that are not trivially zero.
struct Counts {
    int checked = 0, kinks = 0;
};

/// The largest difference of two elements.
double distance(const Array &a, const Array &b) {
    double largest = 0;
    for (std::size_t i = 0; i < a.values.size(); i++) largest = std::max(largest, std::abs(a.values[i] - b.values[i]));
    return largest;
}

std::vector<int> extents_of(const Array &tensor) { return {tensor.extent(0), tensor.extent(1), tensor.extent(2), tensor.extent(3)}; }

/// Central differences with step h are wrong by h^2/6 times the third derivative and by the rounding of the values over h. At h = cbrt(eps)
/// both are eps^(2/3) = 4e-11 times a magnitude; the factor covers magnitudes and sums of up to a thousand.
const double h = std::cbrt(DBL_EPSILON);
const double tolerance = 1e3 * std::pow(DBL_EPSILON, 2.0 / 3);

/// One-sided differences of a smooth function differ by h times its second derivative, at a kink by the change of slope; sqrt(h) lies
/// between.
const double kink = std::sqrt(h);

struct Jacobian {
    std::vector<std::vector<double>> slopes;  // [input element][output element]
    std::vector<std::vector<bool>> smooth;
};

Jacobian finite_differences(const Differentiable &f, Arrays inputs, std::size_t input) {
    Jacobian jacobian;
    const Array here = f.forward(inputs);
    for (double &value : inputs[input].values) {
        const double kept = value;
        value = kept + h;
        const Array above = f.forward(inputs);
        value = kept - h;
        const Array below = f.forward(inputs);
        value = kept;

        std::vector<double> slopes;
        std::vector<bool> smooth;
        for (std::size_t j = 0; j < here.values.size(); j++) {
            const double right = (above.values[j] - here.values[j]) / h, left = (here.values[j] - below.values[j]) / h;
            slopes.push_back((left + right) / 2);
            smooth.push_back(std::abs(right - left) < kink * std::max(1.0, std::abs(right)));
        }
        jacobian.slopes.push_back(slopes);
        jacobian.smooth.push_back(smooth);
    }
    return jacobian;
}

/// Compares backward(upstream) with upstream times the Jacobian, in the elements that no kink of a live output touches.
void compare(const Array &gradient, const Array &upstream, const Jacobian &jacobian, Counts &counts) {
    REQUIRE(gradient.values.size() == jacobian.slopes.size());
    for (std::size_t i = 0; i < gradient.values.size(); i++) {
        double expected = 0, magnitude = 1;
        bool smooth = true;
        for (std::size_t j = 0; j < upstream.values.size(); j++) {
            expected += upstream.values[j] * jacobian.slopes[i][j];
            magnitude += std::abs(upstream.values[j] * jacobian.slopes[i][j]);
            smooth = smooth && (upstream.values[j] == 0 || jacobian.smooth[i][j]);
        }
        counts.kinks += !smooth;
        if (!smooth) continue;
        counts.checked += expected != 0;
        CAPTURE(i, gradient.values[i], expected);
        CHECK(std::abs(gradient.values[i] - expected) <= tolerance * magnitude);
    }
}

/// Compares the gradients of the first inputs, as many as `f` has by hand, for each of `upstreams`.
Counts compare(const Differentiable &f, const Arrays &inputs, const Arrays &upstreams) {
    std::vector<Arrays> gradients;
    for (const Array &upstream : upstreams) gradients.push_back(f.backward(inputs, upstream));

    Counts counts;
    for (std::size_t input = 0; input < gradients[0].size(); input++) {
        CAPTURE(input);
        const Jacobian jacobian = finite_differences(f, inputs, input);
        for (std::size_t row = 0; row < upstreams.size(); row++) compare(gradients[row][input], upstreams[row], jacobian, counts);
    }
    return counts;
}

/// A gradient in which every output takes part.
Array full_upstream(const Differentiable &f, const Arrays &inputs) {
    Random random(7);
    return random.reals(extents_of(f.forward(inputs)), -1, 1);
}

/// Checks every input's whole Jacobian, row by row, and once a gradient in which every output takes part.
void check(const Differentiable &f, const Arrays &inputs, bool expect_kinks = false) {
    Arrays upstreams = {full_upstream(f, inputs)};
    for (std::size_t j = 0; j < upstreams.front().values.size(); j++) {
        upstreams.emplace_back(extents_of(upstreams.front()));
        upstreams.back().values[j] = upstreams.front().values[j];
    }
    const Counts counts = compare(f, inputs, upstreams);
    CAPTURE(counts.checked, counts.kinks);
    CHECK(counts.checked > 4 * counts.kinks);
    CHECK((counts.kinks > 0) == expect_kinks);
}

// The rows, bound to their operands.

const BoundRow relu{{"relu"}};
BoundRow mask(const Array &of) { return {{"mask"}, {{"of", of}}}; }
BoundRow affine(const Array &scale, const Array &shift) { return {{"affine"}, {{"scale", scale}, {"shift", shift}}}; }
BoundRow scaled(const Array &scale) { return affine(scale, Array({scale.extent(0)})); }
BoundRow affine_mask(const Array &of, const Array &scale, const Array &shift) {
    return {{"affinemask"}, {{"of", of}, {"scale", scale}, {"shift", shift}}};
}
BoundRow add(const Array &addend) { return {{"add"}, {{"addend", addend}}}; }
BoundRow normalise(const Array &center, const Array &factor) { return {{"normalise"}, {{"center", center}, {"factor", factor}}}; }
BoundRow dropout(const Array &step, int layer = 0) { return {{"dropout", layer}, {{"step", step}}}; }
BoundRow spatial_dropout(const Array &step, int layer = 0) { return {{"spatialdropout", layer}, {{"step", step}}}; }
BoundRow kept(const Array &step, int layer = 0) { return {{"kept", layer}, {{"step", step}}}; }

/// Rows whose gradient is that of other rows, which may depend on what they read.
Differentiable pass(const BoundRows &rows, const std::function<BoundRows(const Array &input)> &backward) {
    return {[=](const Arrays &inputs) { return applied(rows, inputs[0]); },
            [=](const Arrays &inputs, const Array &upstream) { return Arrays{applied(backward(inputs[0]), upstream)}; }};
}

/// A convolution and what is behind it, whose gradient is that of the rows that `gradient` makes of the output. Inputs: values, weights,
/// bias.
Differentiable convolution(
    const Shape &s, const BoundRows &behind = {},
    const std::function<BoundRows(const Array &output)> &gradient = [](const Array &) { return BoundRows(); }) {
    const auto forward = [=](const Arrays &inputs) { return run("conv2d_fwd", s, inputs, {{"output", behind}})[0]; };
    const auto backward = [=](const Arrays &inputs, const Array &upstream) {
        const BoundRows rows = gradient(forward(inputs));
        const Arrays d_input = run("conv2d_bwd_data", s, {upstream, inputs[1]}, {{"d_output", rows}});
        const Arrays d_parameters = run("conv2d_bwd_weights", s, {inputs[0], upstream}, {{"d_output", rows}});
        return Arrays{d_input[0], d_parameters[0], d_parameters[1]};
    };
    return {forward, backward};
}

Arrays convolution_inputs(const Shape &s, int images) {
    Random random(1);
    return {random.reals({s.in_c, s.in_w, s.in_h, images}, -1, 1), random.reals(s.weights(), -1, 1), random.reals({s.out_c}, -1, 1)};
}

/// A layer that is a row, with the gradient that its row names.
Differentiable pointwise_layer(const Link &link) {
    const auto backward = [link](const Array &input) {
        const RowGradient &gradient = *find_row(link.row).gradient;
        const Array read = gradient.reads == RowGradient::Reads::output ? applied({{link}}, input) : input;
        return BoundRows{{{.row = gradient.row, .constants = link.constants}, {{gradient.operand, read}}}};
    };
    return pass({{link}}, backward);
}

/// All activations, and all layers with the defaults of their options and with others.
std::vector<Link> pointwise_links() {
    std::vector<Link> links;
    for (const Activation &activation : all_activations()) {
        links.push_back(activation.link);
        if (activation.approximate) links.push_back(*activation.approximate);
    }
    for (const PointwiseLayer &layer : pointwise_layers()) {
        std::vector<float> defaults, others;
        for (const RowConstant &constant : find_row(layer.row).constants) {
            defaults.push_back(float(constant.otherwise));
            others.push_back(constant.name == "max_value" ? 3 : 0.25f);
        }
        for (const std::vector<float> &constants : {defaults, others}) links.push_back({.row = layer.row, .constants = constants});
    }
    return links;
}

/// The cores that pool: each "<layer>_fwd" slides a window over its one input. "<layer>_bwd" may read that as well.
std::vector<std::string> pools() {
    std::vector<std::string> layers;
    for (const Core &core : all_cores())
        if (core.sizes == Sizes::window && core.inputs.size() == 1 && core.name.ends_with("_fwd"))
            layers.push_back(core.name.substr(0, core.name.rfind("_fwd")));
    return layers;
}

Differentiable pooling(const std::string &layer, const Shape &s) {
    const bool reads_input = find_core(layer + "_bwd").inputs.size() == 2;
    return {[=](const Arrays &inputs) { return run(layer + "_fwd", s, inputs)[0]; },
            [=](const Arrays &inputs, const Array &upstream) {
                return run(layer + "_bwd", s, reads_input ? Arrays{upstream, inputs[0]} : Arrays{upstream});
            }};
}

/// A batch norm's gamma and beta, and what its statistics are of some values.
struct Statistics {
    Statistics(Shape s, const Array &of, const Array &gamma, const Array &beta) : gamma(gamma) {
        s.epsilon = 1e-3f, s.momentum = 0.99f;
        const Arrays outputs = run("batch_norm_stats", s, {of, gamma, beta});
        mean = outputs[0], inv_std = outputs[1], scale = outputs[2], shift = outputs[3];
    }

    BoundRow forward() const { return affine(scale, shift); }

    /// `sums` are the gradients of gamma and beta.
    std::map<std::string, Array> backward(const Arrays &sums) const {
        return {{"gamma", gamma}, {"mean", mean}, {"inv_std", inv_std}, {"d_gamma", sums[0]}, {"d_beta", sums[1]}};
    }
    BoundRow backward(const Arrays &sums, const Array &input) const {
        auto operands = backward(sums);
        operands.emplace("input", input);
        return {{"normgradient"}, operands};
    }
    /// The same, where the values are an input of the kernel.
    BoundRow backward(const Arrays &sums, int input) const { return {{.row = "normgradient", .same_as = input}, backward(sums)}; }

    Array gamma, mean{{1}}, inv_std{{1}}, scale{{1}}, shift{{1}};
};

/// A channel that is turned round, and one that a batch norm makes the same everywhere, or nearly.
Array mixed_gamma(double last) {
    Array gamma({3});
    gamma.values = {1.5, -0.7, last};
    return gamma;
}

/// Batch normalisation in training, through the statistics; of a ReLU's output where `rectified`. Inputs: values, gamma, beta.
Differentiable batch_normalisation(const Shape &s, bool rectified) {
    const BoundRows before = rectified ? BoundRows{relu} : BoundRows{};
    const auto forward = [=](const Arrays &inputs) {
        const Array input = applied(before, inputs[0]);
        return applied({Statistics(s, input, inputs[1], inputs[2]).forward()}, input);
    };
    const auto backward = [=](const Arrays &inputs, const Array &upstream) {
        const Array input = applied(before, inputs[0]);
        const Statistics statistics(s, input, inputs[1], inputs[2]);
        const Arrays sums = run("batch_norm_bwd_stats", s, {upstream, input, statistics.mean, statistics.inv_std});
        BoundRows rows = {statistics.backward(sums, input)};
        if (rectified) rows.push_back(mask(input));
        return Arrays{applied(rows, upstream), sums[0], sums[1]};
    };
    return {forward, backward};
}

/// The same with a max pool and a dropout after it, with the dropout's mask held.
Differentiable pooled_batch_normalisation(const Shape &s, bool rectified, const Array &step) {
    const BoundRows before = rectified ? BoundRows{relu} : BoundRows{};
    const auto forward = [=](const Arrays &inputs) {
        const Array input = applied(before, inputs[0]);
        const Statistics statistics(s, input, inputs[1], inputs[2]);
        return run("max_pool2d_fwd", s, {input}, {{"input", {statistics.forward()}}, {"output", {dropout(step)}}})[0];
    };
    const auto backward = [=](const Arrays &inputs, const Array &upstream) {
        const Array input = applied(before, inputs[0]), d_pooled = applied({dropout(step)}, upstream);
        const Statistics statistics(s, input, inputs[1], inputs[2]);
        const Arrays sums = run("batch_norm_pool_bwd_stats", s, {d_pooled, input, statistics.mean, statistics.inv_std},
                                {{"input", {statistics.forward()}}});
        BoundRows rows = {statistics.backward(sums, 1)};
        if (rectified) rows.push_back({{.row = "mask", .same_as = 1}});
        const Arrays d_input = run("max_pool2d_bwd", s, {d_pooled, input}, {{"input", {statistics.forward()}}, {"d_input", rows}});
        return Arrays{d_input[0], sums[0], sums[1]};
    };
    return {forward, backward};
}

/// A convolution, its ReLU where `rectified`, batch normalisation in training and the pool of `s`. Inputs: weights, bias, gamma, beta.
Differentiable pooled_convolution(const Shape &s, const Array &input, bool rectified) {
    const BoundChains behind = {{"output", rectified ? BoundRows{relu} : BoundRows{}}};
    const auto convolution = [=](const Arrays &inputs) { return run("conv2d_fwd", s, {input, inputs[0], inputs[1]}, behind)[0]; };
    const auto forward = [=](const Arrays &inputs) {
        const Statistics statistics(s.pool(), convolution(inputs), inputs[2], inputs[3]);
        return run("max_pool2d_fwd", s.pool(), {convolution(inputs)}, {{"input", {statistics.forward()}}})[0];
    };
    const auto backward = [=](const Arrays &inputs, const Array &upstream) {
        const Array compared = convolution(inputs);
        const Statistics statistics(s.pool(), compared, inputs[2], inputs[3]);
        const Arrays sums = run("batch_norm_pool_bwd_stats", s.pool(), {upstream, compared, statistics.mean, statistics.inv_std},
                                {{"input", {statistics.forward()}}});
        BoundRows rows = {statistics.backward(sums, 2)};
        if (rectified) rows.push_back({{.row = "mask", .same_as = 2}});
        const Arrays d_parameters = run("conv2d_pool_bwd_weights", s, {input, upstream, compared},
                                        {{"convolution", {statistics.forward()}}, {"d_convolution", rows}});
        return Arrays{d_parameters[0], d_parameters[1], sums[0], sums[1]};
    };
    return {forward, backward};
}

// Random chains.

BoundRow random_row(const std::vector<int> &extents, const Array &step, Random &random) {
    const Array factor = random.reals({extents[0]}, -2, 2), offset = random.reals({extents[0]}, -1, 1);
    switch (random.integer(0, 4)) {
    case 0:
        return relu;
    case 1:
        return affine(factor, offset);
    case 2:
        return normalise(offset, factor);
    case 3:
        return add(random.reals(extents, -1, 1));
    default:
        return dropout(step, random.integer(0, 1));
    }
}

/// Up to three of the rows that layers are made of.
BoundRows random_rows(const std::vector<int> &extents, const Array &step, Random &random) {
    BoundRows rows;
    for (int count = random.integer(0, 3); count > 0; count--) rows.push_back(random_row(extents, step, random));
    return rows;
}

/// The rows that make of the gradient of what `rows` make of `input` that of `input`: as the planner writes them, which masks a ReLU of an
/// affine value by that value, and a dropped ReLU by what the dropout made.
BoundRows backward_rows(const BoundRows &rows, const Array &input) {
    Arrays values = {input};  // before each row and behind the last
    for (const BoundRow &row : rows) values.push_back(applied({row}, values.back()));
    BoundRows backward;
    for (int i = int(rows.size()) - 1; i >= 0; i--) {
        const auto &[link, operands] = rows[i];
        const std::string before = i == 0 ? "" : rows[i - 1].link.row;
        if (link.row == "relu" && before == "affine") {
            backward.push_back(affine_mask(values[i - 1], rows[i - 1].operands.at("scale"), rows[i - 1].operands.at("shift")));
        } else if (link.row == "relu") {
            backward.push_back(mask(values[i + 1]));
        } else if (link.row == "dropout" && before == "relu") {
            backward.push_back(kept(operands.at("step"), link.number));
            backward.push_back(mask(values[i + 1]));
            i--;
        } else if (link.row == "dropout") {
            backward.push_back(rows[i]);
        } else if (link.row == "affine") {
            backward.push_back(scaled(operands.at("scale")));
        } else if (link.row == "normalise") {
            backward.push_back(scaled(operands.at("factor")));
        }
    }
    return backward;
}

Shape random_shape(const std::string &core, Random &random) {
    const int h = random.integer(3, 5), w = random.integer(3, 5), channels = random.integer(1, 5);
    if (core == "pointwise") return {.in_h = h, .in_w = w, .in_c = channels};
    const int outputs = core == "conv2d_fwd" ? random.integer(1, 4) : channels;
    const int kernel_h = random.integer(1, 3), kernel_w = random.integer(1, 3), stride_h = random.integer(1, 2),
              stride_w = random.integer(1, 2), same = random.integer(0, 1);
    return window_shape(h, w, channels, outputs, kernel_h, kernel_w, stride_h, stride_w, same);
}

/// A core with rows before its input and behind its output. Its gradient is one call as well, whose rows are those of the gradient.
Differentiable chained(const std::string &core, const Shape &s, const BoundRows &before, const BoundRows &behind) {
    const auto forward = [=](const Arrays &inputs) { return run(core, s, inputs, {{"input", before}, {"output", behind}})[0]; };
    const auto backward = [=](const Arrays &inputs, const Array &upstream) {
        const BoundRows d_input = backward_rows(before, inputs[0]);
        const BoundRows d_output = backward_rows(behind, run(core, s, inputs, {{"input", before}})[0]);
        if (core == "pointwise") return run(core, s, {upstream}, {{"input", d_output}, {"output", d_input}});
        if (core == "max_pool2d_fwd")
            return run("max_pool2d_bwd", s, {upstream, inputs[0]}, {{"d_output", d_output}, {"input", before}, {"d_input", d_input}});
        Arrays gradients = run("conv2d_bwd_data", s, {upstream, inputs[1]}, {{"d_output", d_output}, {"d_input", d_input}});
        for (const Array &gradient : run("conv2d_bwd_weights", s, {inputs[0], upstream}, {{"input", before}, {"d_output", d_output}}))
            gradients.push_back(gradient);
        return gradients;
    };
    return {forward, backward};
}

/// Whether all arrays are the same but for the rounding of a few sums.
void check_equal(const Arrays &a, const Arrays &b) {
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); i++) {
        CAPTURE(i);
        REQUIRE(a[i].values.size() == b[i].values.size());
        CHECK(distance(a[i], b[i]) < 1e-12);
    }
}

}  // namespace

TEST_CASE("gradients of convolutions") {
    const Shape shape = GENERATE(window_shape(4, 5, 2, 3, 3, 3, 1, 1, false),  // plain
                                 window_shape(4, 5, 2, 3, 3, 3, 1, 1, true),   // padding on all sides
                                 window_shape(6, 5, 2, 2, 3, 3, 2, 2, true),   // padding right and below only in one direction
                                 window_shape(5, 4, 1, 2, 3, 2, 2, 1, true),   // an even kernel, two strides
                                 window_shape(7, 2, 2, 2, 5, 1, 1, 1, false),  // a column
                                 window_shape(3, 5, 2, 2, 1, 1, 2, 2, false),  // strides that skip inputs
                                 window_shape(2, 3, 2, 4, 2, 3, 1, 1, false),  // dense: the kernel covers the input
                                 in_groups(window_shape(4, 5, 4, 6, 3, 2, 1, 1, true), 2),
                                 in_groups(window_shape(5, 4, 3, 3, 3, 3, 2, 2, true), 3),   // depthwise
                                 in_groups(window_shape(4, 4, 2, 6, 2, 3, 1, 1, false), 2),  // three outputs of each channel
                                 dilated(window_shape(6, 7, 2, 2, 3, 5, 1, 1, true), 2, 2),  // taps 2 apart
                                 in_groups(dilated(window_shape(7, 6, 2, 2, 4, 3, 2, 1, false), 3, 2), 2));
    CAPTURE(shape.in_h, shape.in_w, shape.kernel_h, shape.kernel_w, shape.groups, shape.dilation_h);
    check(convolution(shape), convolution_inputs(shape, 2));
}

TEST_CASE("gradients of a convolution with ReLU") {
    const Shape shape = window_shape(4, 4, 2, 3, 3, 3, 1, 1, true);
    const Differentiable rectified = convolution(shape, {relu}, [](const Array &output) { return BoundRows{mask(output)}; });
    Arrays inputs = convolution_inputs(shape, 2);
    check(rectified, inputs);

    // A channel at the kink: all its outputs are 0, whatever the input.
    for (int c = 0; c < 2; c++)
        for (int x = 0; x < 3; x++)
            for (int y = 0; y < 3; y++) inputs[1](0, c, x, y) = 0;
    inputs[2](0) = -1;
    inputs[0](0, 0, 0, 0) = 0;
    check(rectified, inputs);
}

TEST_CASE("gradients of rows") {
    const std::vector<int> extents = {3, 5, 4, 2};
    Random random(2);
    Array input = random.reals(extents, -1, 1);
    const Array scale = mixed_gamma(0.3), shift = random.reals({3}, -1, 1), step = make_step(step_words(2, 0), 0.4, 2);

    const Differentiable rectified = pass({relu}, [](const Array &values) { return BoundRows{mask(applied({relu}, values))}; });
    check(rectified, {input});
    check(pass({affine(scale, shift)}, [=](const Array &) { return BoundRows{scaled(scale)}; }), {input});
    check(pass({normalise(shift, scale)}, [=](const Array &) { return BoundRows{scaled(scale)}; }), {input});
    for (const BoundRow &row : {dropout(step, 1), spatial_dropout(step, 1)})
        check(pass({row}, [=](const Array &) { return BoundRows{row}; }), {input});
    // What an affine function made, masked by what it is made of.
    check(pass({affine(scale, shift), relu},
               [=](const Array &values) {
                   return BoundRows{affine_mask(values, scale, shift), scaled(scale)};
               }),
          {input});
    // What a dropout left of a ReLU, without drawing again.
    check(pass({relu, dropout(step)},
               [=](const Array &values) {
                   return BoundRows{kept(step), mask(applied({relu, dropout(step)}, values))};
               }),
          {input});

    input(0, 0, 0, 0) = input(1, 2, 3, 1) = 0;
    check(rectified, {input}, true);
}

TEST_CASE("gradients of layers that are rows") {
    Random random(14);
    const Array input = random.reals({3, 5, 4, 2}, -8, 8);
    for (const Link &link : pointwise_links()) {
        CAPTURE(link.row, link.constants);
        check(pointwise_layer(link), {input});
    }
}

TEST_CASE("gradients of layer and group normalisation through the statistics") {
    const int groups = GENERATE(1, 2, 4), rows = GENERATE(1, 2), columns = GENERATE(1, 3);
    CAPTURE(groups, rows, columns);
    Shape s = window_shape(2, 3, 4, 2 * groups, rows, columns, rows, columns, false);
    s.epsilon = 0.1f;
    const auto statistics_of = [=](const Array &input) { return run("group_norm_stats", s, {input})[0]; };
    const Differentiable norm = {
        [=](const Arrays &inputs) {
            return run("group_norm_fwd", s, {inputs[0], statistics_of(inputs[0]), inputs[1], inputs[2]})[0];
        },
        [=](const Arrays &inputs, const Array &upstream) {
            const Array &input = inputs[0], &gamma = inputs[1], statistics = statistics_of(input);
            const Arrays weights = run("group_norm_bwd_weights", s, {upstream, input, statistics});
            const Array means = run("group_norm_bwd_means", s, {upstream, input, statistics, gamma})[0];
            return Arrays{run("group_norm_bwd_data", s, {upstream, input, statistics, means, gamma})[0], weights[0], weights[1]};
        }};
    Random random(16);
    check(norm, {random.reals({4, 3, 2, 2}, -1, 1), random.reals({4}, -1, 1), random.reals({4}, -1, 1)});
}

TEST_CASE("gradients of a layer normalisation of all that an image has, whose units have weights") {
    Shape s = window_shape(2, 3, 4, 2, 2, 3, 2, 3, false);
    s.epsilon = 0.1f;
    const Array one({4}, 1), zero({4}, 0), no_shift({4, 3, 2}, 0);
    const auto statistics_of = [=](const Array &input) { return run("group_norm_stats", s, {input})[0]; };
    const auto scaled = [=](const Array &values, const Array &gamma, const Array &beta) {
        return applied({{{"unitaffine"}, {{"scale", gamma}, {"shift", beta}}}}, values);
    };
    const Differentiable norm = {
        [=](const Arrays &inputs) {
            const Array &input = inputs[0];
            return scaled(run("group_norm_fwd", s, {input, statistics_of(input), one, zero})[0], inputs[1], inputs[2]);
        },
        [=](const Arrays &inputs, const Array &upstream) {
            const Array &input = inputs[0], statistics = statistics_of(input);
            const Arrays weights = run("group_norm_bwd_unit_weights", s, {upstream, input, statistics});
            const Array d_normalised = scaled(upstream, inputs[1], no_shift);
            const Array means = run("group_norm_bwd_means", s, {d_normalised, input, statistics, one})[0];
            return Arrays{run("group_norm_bwd_data", s, {d_normalised, input, statistics, means, one})[0], weights[0], weights[1]};
        }};
    Random random(19);
    check(norm, {random.reals({4, 3, 2, 2}, -1, 1), random.reals({4, 3, 2}, -1, 1), random.reals({4, 3, 2}, -1, 1)});
}

TEST_CASE("gradients of softmax") {
    const Shape shape{.in_h = 2, .in_w = 3, .in_c = 4};
    const auto softmax = [=](const Array &input) { return run("softmax_fwd", shape, {input})[0]; };
    Random random(17);
    check({[=](const Arrays &inputs) { return softmax(inputs[0]); },
           [=](const Arrays &inputs, const Array &upstream) {
               return run("softmax_bwd", shape, {upstream, softmax(inputs[0])});
           }},
          {random.reals({4, 3, 2, 2}, -3, 3)});
}

TEST_CASE("gradients of a PReLU") {
    const Shape shape{.in_h = 4, .in_w = 5, .in_c = 3};
    const auto alpha_of = [](const Arrays &inputs) { return std::map<std::string, Array>{{"alpha", inputs[1]}}; };
    const auto prelu = [=](const std::string &row, const std::string &mask, const std::string &of_alpha) {
        return Differentiable{[=](const Arrays &inputs) {
                                  return applied({{{row}, alpha_of(inputs)}}, inputs[0]);
                              },
                              [=](const Arrays &inputs, const Array &upstream) {
                                  std::map<std::string, Array> operands = alpha_of(inputs);
                                  operands.emplace("at", inputs[0]);
                                  return Arrays{applied({{{mask}, operands}}, upstream), run(of_alpha, shape, {upstream, inputs[0]})[0]};
                              }};
    };
    Random random(15);
    const Array input = random.reals({3, 5, 4, 2}, -1, 1);
    check(prelu("prelu", "prelumask", "prelu_bwd_alpha"), {input, random.reals({3}, -1, 2)});
    check(prelu("unitprelu", "unitprelumask", "prelu_bwd_unit_alpha"), {input, random.reals({3, 5, 4}, -1, 2)});
}

TEST_CASE("gradients of weights that units share") {
    const Shape rows_and_channels{.in_h = 4, .in_w = 5, .in_c = 3, .out_w = 5, .kernel_h = 4};
    const Shape columns{.in_h = 4, .in_w = 5, .in_c = 3, .out_h = 4, .out_c = 3, .kernel_w = 5};
    const Shape all{.in_h = 4, .in_w = 5, .in_c = 3, .kernel_h = 4, .kernel_w = 5};
    Random random(18);
    for (const Shape &shape : {rows_and_channels, columns, all})
        check({[=](const Arrays &inputs) { return run("shared_weights", shape, {inputs[0]})[0]; },
               [=](const Arrays &, const Array &upstream) { return run("shared_weights_bwd", shape, {upstream}); }},
              {random.reals({shape.out_c, shape.out_w, shape.out_h}, -1, 1)});
}

TEST_CASE("gradients of a sum") {
    const Differentiable sum = {[](const Arrays &inputs) { return applied({add(inputs[1])}, inputs[0]); },
                                [](const Arrays &, const Array &upstream) {
                                    return Arrays{upstream, upstream};
                                }};
    Random random(8);
    check(sum, {random.reals({3, 2, 2, 2}, -1, 1), random.reals({3, 2, 2, 2}, -1, 1)});
}

TEST_CASE("gradients of a concatenation") {
    Random random(8);
    const Shape first{.in_h = 2, .in_w = 3, .in_c = 4, .out_h = 2, .out_w = 3, .out_c = 7};
    Shape last = first;
    last.in_c = 3;
    const Differentiable both = {[=](const Arrays &inputs) { return run("concatenate", first, inputs)[0]; },
                                 [=](const Arrays &, const Array &upstream) {
                                     return Arrays{run("first_channels", first, {upstream})[0], run("last_channels", last, {upstream})[0]};
                                 }};
    check(both, {random.reals({4, 3, 2, 2}, -1, 1), random.reals({3, 3, 2, 2}, -1, 1)});
}

TEST_CASE("rows that save a pass are the rows that they stand for") {
    const std::vector<int> extents = {6, 3, 2, 3};
    Random random(6);
    const Array input = random.reals(extents, -1, 1), gradient = random.reals(extents, -1, 1);
    const Array scale = random.reals({6}, -2, 2), shift = random.reals({6}, -1, 1), step = make_step(step_words(2, 0), 0.4, 3);
    CHECK(applied({affine_mask(input, scale, shift)}, gradient).values ==
          applied({mask(applied({affine(scale, shift), relu}, input))}, gradient).values);
    const Array rectified = applied({relu}, input);
    for (const BoundRow &row : {dropout(step, 1), spatial_dropout(step, 1)})
        CHECK(applied({kept(step, 1), mask(applied({row}, rectified))}, gradient).values ==
              applied({row, mask(rectified)}, gradient).values);
}

TEST_CASE("gradients of pooling") {
    const Shape shape = GENERATE(window_shape(4, 6, 2, 2, 2, 2, 2, 2, false),   // plain
                                 window_shape(5, 5, 2, 2, 2, 2, 2, 2, false),   // a row and a column that no window sees
                                 window_shape(5, 5, 2, 2, 2, 2, 2, 2, true),    // padding right and below
                                 window_shape(5, 6, 2, 2, 3, 3, 2, 2, true),    // overlapping, padding on all sides
                                 window_shape(4, 7, 2, 2, 2, 3, 2, 3, true),    // not square
                                 window_shape(5, 8, 2, 2, 1, 2, 2, 3, false),   // pixels between the windows
                                 window_shape(4, 4, 2, 2, 3, 3, 1, 1, false));  // every input in many windows
    CAPTURE(shape.in_h, shape.in_w, shape.kernel_h, shape.kernel_w);
    Random random(3);
    Array input = random.reals({2, shape.in_w, shape.in_h, 2}, -2, -1);
    for (const std::string &layer : pools()) {
        CAPTURE(layer);
        check(pooling(layer, shape), {input});
    }

    // Two equal maxima in the first window.
    input(0, 0, 0, 0) = input(0, 1, 0, 0) = -0.5;
    check(pooling("max_pool2d", shape), {input}, true);
}

TEST_CASE("gradients of batch normalisation through the statistics") {
    const Shape shape{.in_h = 2, .in_w = 3, .in_c = 3};
    const bool rectified = GENERATE(false, true);
    Random random(4);
    Array input = random.reals({3, 3, 2, 2}, -1, 1);
    const Array gamma = mixed_gamma(0), beta = random.reals({3}, -1, 1);
    check(batch_normalisation(shape, rectified), {input, gamma, beta});

    input(1, 0, 0, 0) = 0;
    check(batch_normalisation(shape, rectified), {input, gamma, beta}, rectified);
}

TEST_CASE("gradients of batch normalisation through the pool and the dropout after it") {
    const Shape shape = GENERATE(window_shape(4, 6, 3, 3, 2, 2, 2, 2, false),   // plain
                                 window_shape(5, 5, 3, 3, 2, 2, 2, 2, false),   // a row and a column that no window sees
                                 window_shape(5, 3, 3, 3, 2, 2, 2, 2, true),    // padding right and below
                                 window_shape(4, 4, 3, 3, 3, 3, 1, 1, false));  // every input in many windows
    const bool rectified = GENERATE(false, true);
    const double rate = GENERATE(0.0, 0.4);
    CAPTURE(shape.in_h, shape.in_w, shape.kernel_h, shape.stride_h, rectified, rate);
    Random random(9);
    const Array input = random.reals({3, shape.in_w, shape.in_h, 2}, -1, 1), beta = random.reals({3}, -1, 1);
    check(pooled_batch_normalisation(shape, rectified, make_step(step_words(2, 0), rate, 2)), {input, mixed_gamma(0.3), beta});
}

TEST_CASE("gradients of a convolution's weights through the batch normalisation and the pool after it") {
    const bool rectified = GENERATE(false, true), same = GENERATE(false, true);
    const Shape shape = window_shape(5, 4, 2, 3, 3, 3, 1, 1, true).with_pool(window_shape(5, 4, 3, 3, 2, 2, 2, 2, same));
    CAPTURE(rectified, shape.pooled_h);
    Random random(10);
    const Array input = random.reals({2, 4, 5, 2}, -1, 1), beta = random.reals({3}, -1, 1);
    check(pooled_convolution(shape, input, rectified),
          {random.reals(shape.weights(), -1, 1), random.reals({3}, -1, 1), mixed_gamma(0.3), beta});
}

TEST_CASE("gradients of softmax with cross-entropy") {
    const int classes = 5, images = 4;
    const float smoothing = GENERATE(0.0f, 0.1f);
    CAPTURE(smoothing);
    const Shape s{.in_c = classes, .label_smoothing = smoothing};
    const Array step = make_step(step_words(0, classes), 0, images, classes);
    Array labels({6}), indices({images});
    labels.values = {4, 0, 2, 2, 1, 3};
    indices.values = {5, 0, 2, 5};
    const auto softmax = [&](const Array &logits) { return run("softmax_cross_entropy_fwd", s, {logits, labels, indices, step}); };
    const Differentiable loss = {[&](const Arrays &inputs) {
                                     const Array losses = softmax(inputs[0])[1];
                                     Array mean({1});
                                     for (double value : losses.values) mean(0) += value / images;
                                     return mean;
                                 },
                                 [&](const Arrays &inputs, const Array &upstream) {
                                     Array gradient = applied({loss_gradient("onehotgradient", smoothing, labels, indices, step)},
                                                              softmax(inputs[0])[0]);
                                     for (double &value : gradient.values) value *= upstream(0);
                                     return Arrays{gradient};
                                 }};
    Random random(5);
    check(loss, {random.reals({classes, 1, 1, images}, -3, 3)});
}

TEST_CASE("gradients of softmax with cross-entropy of targets, whatever their sum") {
    const int classes = 5, images = 4;
    const float smoothing = GENERATE(0.0f, 0.1f);
    CAPTURE(smoothing);
    const Shape s{.in_c = classes, .label_smoothing = smoothing};
    const Array step = make_step(step_words(0, classes), 0, images, classes);
    Random random(5);
    const Array targets = random.reals({classes, 6}, 0, 1);
    Array indices({images});
    indices.values = {5, 0, 2, 5};
    const auto forward = [&](const Array &logits) { return run("categorical_cross_entropy_fwd", s, {logits, targets, indices, step}); };
    const Differentiable loss = {
        [&](const Arrays &inputs) {
            const Array losses = forward(inputs[0])[1];
            return Array({1}, std::accumulate(losses.values.begin(), losses.values.end(), 0.0) / images);
        },
        [&](const Arrays &inputs, const Array &upstream) {
            Array gradient = run("categorical_cross_entropy_bwd", s, {forward(inputs[0])[0], targets, indices, step})[0];
            for (double &value : gradient.values) value *= upstream(0);
            return Arrays{gradient};
        }};
    check(loss, {random.reals({classes, 1, 1, images}, -3, 3)});
}

TEST_CASE("a label is a target of 1 of its class") {
    const int classes = 5, images = 4;
    const float smoothing = GENERATE(0.0f, 0.1f);
    const Shape s{.in_c = classes, .label_smoothing = smoothing};
    const Array step = make_step(step_words(0, classes), 0, images, classes);
    Random random(6);
    const Array logits = random.reals({classes, 1, 1, images}, -3, 3);
    Array labels({6}), targets({classes, 6}), indices({images});
    labels.values = {4, 0, 2, 2, 1, 3};
    for (int record = 0; record < 6; ++record) targets(int(labels(record)), record) = 1;
    indices.values = {5, 0, 2, 5};
    const Arrays of_labels = run("softmax_cross_entropy", s, {logits, labels, indices, step});
    Arrays of_targets = run("categorical_cross_entropy_fwd", s, {logits, targets, indices, step});
    of_targets.push_back(run("categorical_cross_entropy_bwd", s, {of_targets[0], targets, indices, step})[0]);
    check_equal(of_targets, of_labels);
}

TEST_CASE("gradients of sigmoid with binary cross-entropy") {
    const int images = 4;
    const float smoothing = GENERATE(0.0f, 0.1f);
    CAPTURE(smoothing);
    const Shape s{.in_c = 1, .label_smoothing = smoothing};
    const Array step = make_step(step_words(0, 2), 0, images, 2);
    Array labels({3}), indices({images});
    labels.values = {0, 1, 1};
    indices.values = {2, 0, 1, 0};
    const Differentiable loss = {[&](const Arrays &inputs) {
                                     const Array losses = run("sigmoid_cross_entropy_fwd", s, {inputs[0], labels, indices, step})[1];
                                     return Array({1}, std::accumulate(losses.values.begin(), losses.values.end(), 0.0) / images);
                                 },
                                 [&](const Arrays &inputs, const Array &upstream) {
                                     Array gradient =
                                         applied({loss_gradient("binarygradient", smoothing, labels, indices, step)}, inputs[0]);
                                     for (double &value : gradient.values) value *= upstream(0);
                                     return Arrays{gradient};
                                 }};
    Random random(5);
    check(loss, {random.reals({1, 1, 1, images}, -3, 3)});
}

TEST_CASE("gradients of the losses of units that have a target each") {
    const int images = 4, units = 3;
    const bool squares = GENERATE(false, true);
    const float smoothing = GENERATE(0.0f, 0.1f);
    CAPTURE(squares, smoothing);
    const Shape s{.in_c = units, .label_smoothing = squares ? 0 : smoothing};
    const Array step = make_step(step_words(0, 0), 0, images);
    Random random(5);
    const Array targets = random.reals({units, 5}, 0, 1);
    Array indices({images});
    indices.values = {2, 0, 4, 2};
    Link link{squares ? "squarederrorgradient" : "crossentropygradient"};
    if (!squares) link.constants = {smoothing};
    const Differentiable loss = {
        [&](const Arrays &inputs) {
            const Array losses = run(squares ? "squared_error_fwd" : "binary_cross_entropy_fwd", s, {inputs[0], targets, indices})[1];
            return Array({1}, std::accumulate(losses.values.begin(), losses.values.end(), 0.0) / images);
        },
        [&](const Arrays &inputs, const Array &upstream) {
            Array gradient = applied({{link, {{"targets", targets}, {"indices", indices}, {"step", step}}}}, inputs[0]);
            for (double &value : gradient.values) value *= upstream(0);
            return Arrays{gradient};
        }};
    check(loss, {random.reals({units, 1, 1, images}, -3, 3)});
}

TEST_CASE("gradients of a convolution between two dropouts with their masks held, and of the ReLU before them") {
    const bool rectified = GENERATE(false, true);
    const Shape s = window_shape(4, 4, 3, 2, 3, 3, 1, 1, true);
    const Array step = make_step(step_words(2, 0), 0.4, 2);
    const BoundRows before = rectified ? BoundRows{relu, dropout(step)} : BoundRows{dropout(step)}, behind = {dropout(step, 1)};
    const Differentiable f = {
        [=](const Arrays &inputs) {
            return run("conv2d_fwd", s, {applied(before, inputs[0]), inputs[1], inputs[2]}, {{"output", behind}})[0];
        },
        [=](const Arrays &inputs, const Array &upstream) {
            const Array input = applied(before, inputs[0]), d_output = applied(behind, upstream);
            const BoundRows rows = rectified ? BoundRows{kept(step), mask(input)} : before;
            const Arrays d_parameters = run("conv2d_bwd_weights", s, {input, d_output});
            return Arrays{run("conv2d_bwd_data", s, {d_output, inputs[1]}, {{"d_input", rows}})[0], d_parameters[0], d_parameters[1]};
        }};
    check(f, convolution_inputs(s, 2));
}

TEST_CASE("gradients of random chains before and behind random cores") {
    Random random(12);
    Counts counts;
    for (int i = 0; i < 180; i++) {
        const std::string core = std::vector<std::string>{"conv2d_fwd", "max_pool2d_fwd", "pointwise"}[i % 3];
        const Shape s = random_shape(core, random);
        const bool has_outputs = core != "pointwise";
        const std::vector<int> in = {s.in_c, s.in_w, s.in_h, 2}, out = {s.out_c, s.out_w, s.out_h, 2};
        const Array step = make_step(step_words(2, 0), 0.4, 2);
        const BoundRows before = random_rows(in, step, random), behind = random_rows(has_outputs ? out : in, step, random);
        CAPTURE(i, work_name(kernel_of(core, s, {{"input", before}, {"output", behind}})));
        Arrays inputs = {random.reals(in, -1, 1)};
        if (core == "conv2d_fwd") inputs.push_back(random.reals(s.weights(), -1, 1)), inputs.push_back(random.reals({s.out_c}, -1, 1));
        const Differentiable f = chained(core, s, before, behind);
        const Counts some = compare(f, inputs, {full_upstream(f, inputs)});
        counts.checked += some.checked, counts.kinks += some.kinks;
    }
    CAPTURE(counts.checked, counts.kinks);
    CHECK(counts.checked > 2000);
    CHECK(counts.kinks < counts.checked / 100);
}

TEST_CASE("what is made in one call is what its parts make") {
    Random random(13);
    const Array beta = random.reals({3}, -1, 1), gamma = mixed_gamma(0.3), step = make_step(step_words(2, 0), 0.4, 2);
    Shape pool = window_shape(5, 4, 3, 3, 2, 2, 2, 2, true);
    pool.epsilon = 1e-3f, pool.momentum = 0.99f;
    const Array input = random.reals({3, 4, 5, 2}, -1, 1), d_full = random.reals({3, 4, 5, 2}, -1, 1);
    const Array d_pooled = random.reals({3, pool.out_w, pool.out_h, 2}, -1, 1);
    const Statistics statistics(pool, input, gamma, beta);
    const auto &[_, mean, inv_std, scale, shift] = statistics;

    SECTION("a batch norm") {
        Arrays parts = run("batch_norm_stats", pool, {input, gamma, beta});
        parts.push_back(applied({statistics.forward(), relu}, input));
        check_equal(run("batch_norm_stats_fwd", pool, {input, gamma, beta}, {{"output", {relu}}}), parts);

        parts = run("batch_norm_bwd_stats", pool, {d_full, input, mean, inv_std});
        parts.push_back(applied({statistics.backward(parts, input), dropout(step)}, d_full));
        check_equal(run("batch_norm_bwd", pool, {d_full, input, gamma, mean, inv_std}, {{"d_input", {dropout(step)}}}), parts);
    }
    SECTION("a batch norm and a pool") {
        const BoundRows normalised = {statistics.forward(), relu};
        Arrays parts = run("batch_norm_stats", pool, {input, gamma, beta});
        parts.push_back(run("max_pool2d_fwd", pool, {input}, {{"input", normalised}, {"output", {dropout(step)}}})[0]);
        check_equal(run("batch_norm_stats_pool_fwd", pool, {input, gamma, beta}, {{"normalised", {relu}}, {"output", {dropout(step)}}}),
                    parts);

        const Array d_compared = run("max_pool2d_bwd", pool, {d_pooled, applied(normalised, input)})[0];
        parts = run("batch_norm_bwd_stats", pool, {d_compared, input, mean, inv_std});
        check_equal(run("batch_norm_pool_bwd_stats", pool, {d_pooled, input, mean, inv_std}, {{"input", normalised}}), parts);
        parts.push_back(applied({statistics.backward(parts, input), mask(input)}, d_compared));
        check_equal(run("batch_norm_pool_bwd", pool, {d_pooled, input, gamma, mean, inv_std},
                        {{"input", normalised}, {"d_input", {{{.row = "mask", .same_as = 1}}}}}),
                    parts);
    }
    SECTION("a convolution and a pool") {
        const Shape s = window_shape(5, 4, 2, 3, 3, 3, 1, 1, true).with_pool(pool);
        const Array of = random.reals({2, 4, 5, 2}, -1, 1), weights = random.reals(s.weights(), -1, 1), bias = random.reals({3}, -1, 1);
        const BoundRows behind = {statistics.forward(), relu};
        const Array convolution = run("conv2d_fwd", s, {of, weights, bias}, {{"input", {relu}}})[0];
        check_equal(
            run("conv2d_pool_fwd", s, {of, weights, bias}, {{"input", {relu}}, {"convolution", behind}, {"output", {dropout(step)}}}),
            run("max_pool2d_fwd", pool, {convolution}, {{"input", behind}, {"output", {dropout(step)}}}));
        const Array d_convolution =
            run("max_pool2d_bwd", pool, {d_pooled, convolution}, {{"input", behind}, {"d_input", {scaled(scale)}}})[0];
        check_equal(run("conv2d_pool_bwd_weights", s, {of, d_pooled, convolution},
                        {{"input", {relu}}, {"convolution", behind}, {"d_convolution", {scaled(scale)}}}),
                    run("conv2d_bwd_weights", s, {of, d_convolution}, {{"input", {relu}}}));
    }
    SECTION("a convolution of weights in tiles") {
        Shape s = window_shape(5, 4, 2, 3, 3, 3, 1, 1, true);
        const Array of = random.reals({2, 4, 5, 2}, -1, 1), weights = random.reals(s.weights(), -1, 1), bias = random.reals({3}, -1, 1);
        const Arrays plain = run("conv2d_fwd", s, {of, weights, bias});
        s.tile = GENERATE(2, 4);
        check_equal(run("conv2d_fwd", s, {of, run("winograd_weights", s, {weights})[0], bias}), plain);
    }
    SECTION("a convolution and its output's scale and shift") {
        const Shape s = window_shape(5, 4, 2, 3, 3, 3, 1, 1, true);
        const Array of = random.reals({2, 4, 5, 2}, -1, 1), weights = random.reals(s.weights(), -1, 1), bias = random.reals({3}, -1, 1);
        const Arrays folded = run("conv2d_fold_output", s, {weights, bias, scale, shift});
        check_equal(run("conv2d_fwd", s, {of, folded[0], folded[1]}),
                    run("conv2d_fwd", s, {of, weights, bias}, {{"output", {statistics.forward()}}}));
    }
}

TEST_CASE("the loss, its gradient and the convolution that makes the logits are the same in one call") {
    const int classes = 5, images = 4;
    const float smoothing = GENERATE(0.0f, 0.1f);
    Shape s = window_shape(2, 1, 3, classes, 2, 1, 1, 1, false);
    s.label_smoothing = smoothing;
    const Shape logits_shape{.in_c = classes, .label_smoothing = smoothing};
    Random random(10);
    const Array input = random.reals({3, 1, 2, images}, -1, 1), weights = random.reals(s.weights(), -3, 3),
                bias = random.reals({classes}, -1, 1);
    const Array step = make_step(step_words(0, classes), 0, images, classes);
    Array labels({6}), indices({images});
    labels.values = {4, 0, 2, 2, 1, 3};
    indices.values = {5, 0, 2, 5};
    const Array logits = run("conv2d_fwd", s, {input, weights, bias})[0];
    Arrays parts = run("softmax_cross_entropy_fwd", logits_shape, {logits, labels, indices, step});
    parts.push_back(applied({loss_gradient("onehotgradient", smoothing, labels, indices, step)}, parts[0]));
    check_equal(run("softmax_cross_entropy", logits_shape, {logits, labels, indices, step}), parts);
    check_equal(run("conv2d_softmax_cross_entropy", s, {input, weights, bias, labels, indices, step}), parts);
}

TEST_CASE("the gradients through folded weights are those of batch norm and convolution apart") {
    Random random(7);
    const Shape s = GENERATE(window_shape(5, 4, 3, 2, 3, 2, 1, 1, false), in_groups(window_shape(5, 4, 4, 6, 3, 2, 1, 1, false), 2));
    const Array x = random.reals({s.in_c, s.in_w, s.in_h, 3}, 0, 2), d_output = random.reals({s.out_c, s.out_w, s.out_h, 3}, -1, 1);
    const Array weights = random.reals(s.weights(), -1, 1), bias = random.reals({s.out_c}, -1, 1);
    const Statistics statistics(s, x, random.reals({s.in_c}, -1, 1), random.reals({s.in_c}, -1, 1));
    const auto &[_, mean, inv_std, scale, shift] = statistics;

    const Array normalised = applied({statistics.forward()}, x);
    const Array d_normalised = run("conv2d_bwd_data", s, {d_output, weights})[0];
    const Arrays sums = run("batch_norm_bwd_stats", s, {d_normalised, x, mean, inv_std});

    const Arrays folded = run("conv2d_fold", s, {weights, bias, scale, shift});
    check_equal(run("conv2d_fwd", s, {x, folded[0], folded[1]}), run("conv2d_fwd", s, {normalised, weights, bias}));
    const Arrays d_folded = run("conv2d_bwd_weights", s, {x, d_output});
    check_equal(run("conv2d_fold_bwd", s, {weights, scale, shift, mean, inv_std, d_folded[0], d_folded[1]}),
                {run("conv2d_bwd_weights", s, {normalised, d_output})[0], sums[0], sums[1]});
}
