// The backward oracles against finite differences of the forward ones: full Jacobians, in double, on tiny shapes.
#include "tests/catch.h"
#include "tests/kernels/data.h"
#include "tests/kernels/oracle.h"

#include <cfloat>
#include <cmath>
#include <functional>
#include <string_view>

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

/// Runs an oracle; returns its outputs.
Arrays run(std::string_view kernel, const Shape &shape, Arrays inputs, const std::vector<std::vector<int>> &output_extents) {
    Arrays arguments = std::move(inputs);
    const std::size_t first_output = arguments.size();
    for (const auto &extents : output_extents) arguments.emplace_back(extents);
    find_oracle(kernel)(shape, arguments);
    return {arguments.begin() + first_output, arguments.end()};
}

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
            smooth.push_back(std::abs(right - left) < kink);
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

/// Checks every input's whole Jacobian, row by row, and once a gradient in which every output takes part.
void check(const Differentiable &f, const Arrays &inputs, bool expect_kinks = false) {
    Random random(7);
    const Array output = f.forward(inputs);
    std::vector<Array> upstreams = {random.reals(extents_of(output), -1, 1)};
    for (std::size_t j = 0; j < output.values.size(); j++) {
        upstreams.emplace_back(extents_of(output));
        upstreams.back().values[j] = upstreams.front().values[j];
    }

    std::vector<Arrays> gradients;
    for (const Array &upstream : upstreams) gradients.push_back(f.backward(inputs, upstream));

    Counts counts;
    for (std::size_t input = 0; input < gradients[0].size(); input++) {
        CAPTURE(input);
        const Jacobian jacobian = finite_differences(f, inputs, input);
        for (std::size_t row = 0; row < upstreams.size(); row++) compare(gradients[row][input], upstreams[row], jacobian, counts);
    }
    CAPTURE(counts.checked, counts.kinks);
    CHECK(counts.checked > 4 * counts.kinks);
    CHECK((counts.kinks > 0) == expect_kinks);
}

Differentiable convolution(const Shape &s, int images) {
    const std::vector<int> in = {s.in_c, s.in_w, s.in_h, images}, out = {s.out_c, s.out_w, s.out_h, images};
    const std::vector<int> weights = {s.out_c, s.in_c, s.kernel_w, s.kernel_h}, bias = {s.out_c};
    const auto forward = [=](const Arrays &inputs) { return run("conv2d_fwd", s, inputs, {out})[0]; };
    const auto backward = [=](const Arrays &inputs, const Array &upstream) {
        const Array d_output = s.relu ? run("relu_bwd", s, {upstream, forward(inputs)}, {out})[0] : upstream;
        const Array d_input = run("conv2d_bwd_data", s, {d_output, inputs[1]}, {in})[0];
        const Arrays d_parameters = run("conv2d_bwd_weights", s, {inputs[0], d_output}, {weights, bias});
        return Arrays{d_input, d_parameters[0], d_parameters[1]};
    };
    return {forward, backward};
}

Arrays convolution_inputs(const Shape &s, int images) {
    Random random(1);
    return {random.reals({s.in_c, s.in_w, s.in_h, images}, -1, 1), random.reals({s.out_c, s.in_c, s.kernel_w, s.kernel_h}, -1, 1),
            random.reals({s.out_c}, -1, 1)};
}

Differentiable pooling(const Shape &s, int images) {
    const std::vector<int> in = {s.in_c, s.in_w, s.in_h, images}, out = {s.out_c, s.out_w, s.out_h, images};
    const auto forward = [=](const Arrays &inputs) { return run("max_pool2d_fwd", s, inputs, {out})[0]; };
    const auto backward = [=](const Arrays &inputs, const Array &upstream) {
        return run("max_pool2d_bwd", s, {upstream, inputs[0]}, {in});
    };
    return {forward, backward};
}

/// Batch normalisation in training, through the statistics; of a ReLU's output where `s.relu`. Inputs: values, gamma, beta.
Differentiable batch_normalisation(const Shape &s, const std::vector<int> &extents) {
    const std::vector<int> c = {s.in_c};
    const auto normalised = [=](const Arrays &inputs) { return s.relu ? run("relu_fwd", s, {inputs[0]}, {extents})[0] : inputs[0]; };
    const auto statistics = [=](const Arrays &inputs) {
        return run("batch_norm_stats", s, {normalised(inputs), inputs[1], inputs[2]}, {c, c, c, c, c, c});
    };
    const auto forward = [=](const Arrays &inputs) {
        const Arrays stats = statistics(inputs);
        return run("batch_norm_fwd", s, {normalised(inputs), stats[2], stats[3]}, {extents})[0];
    };
    const auto backward = [=](const Arrays &inputs, const Array &upstream) {
        const Arrays stats = statistics(inputs);
        const Array input = normalised(inputs);
        const Arrays sums = run("batch_norm_bwd_stats", s, {upstream, input, stats[0], stats[1]}, {c, c});
        const Array d_input =
            run("batch_norm_bwd_data", s, {upstream, input, inputs[1], stats[0], stats[1], sums[0], sums[1]}, {extents})[0];
        return Arrays{d_input, sums[0], sums[1]};
    };
    return {forward, backward};
}

/// The same with a max pool and a dropout after it, with the dropout's mask held.
Differentiable pooled_batch_normalisation(const Shape &s, int images, double rate) {
    const std::vector<int> c = {s.in_c}, in = {s.in_c, s.in_w, s.in_h, images}, out = {s.out_c, s.out_w, s.out_h, images};
    const Array step = make_step(step_words(2, 0), rate, images);
    const auto normalised = [=](const Arrays &inputs) { return s.relu ? run("relu_fwd", s, {inputs[0]}, {in})[0] : inputs[0]; };
    const auto statistics = [=](const Arrays &inputs) {
        return run("batch_norm_stats", s, {normalised(inputs), inputs[1], inputs[2]}, {c, c, c, c, c, c});
    };
    const auto forward = [=](const Arrays &inputs) {
        const Arrays stats = statistics(inputs);
        return run("batch_norm_pool_dropout_fwd", s, {normalised(inputs), stats[2], stats[3], step}, {out})[0];
    };
    const auto backward = [=](const Arrays &inputs, const Array &upstream) {
        const Arrays stats = statistics(inputs);
        const Array input = normalised(inputs), &mean = stats[0], &inv_std = stats[1], &scale = stats[2], &shift = stats[3];
        const Array d_pooled = run("dropout", s, {upstream, step}, {out})[0];
        const Arrays sums = run("batch_norm_pool_bwd_stats", s, {d_pooled, input, scale, shift, mean, inv_std}, {c, c});
        const Array &d_gamma = sums[0], &d_beta = sums[1];
        const Arrays d_input =
            run("batch_norm_pool_bwd_data", s, {d_pooled, input, scale, shift, inputs[1], mean, inv_std, d_gamma, d_beta}, {in});
        return Arrays{d_input[0], d_gamma, d_beta};
    };
    return {forward, backward};
}

/// A convolution, its ReLU where `s.relu`, batch normalisation in training and the pool of `s`. Inputs: weights, bias, gamma, beta.
Differentiable pooled_convolution(const Shape &s, const Array &input) {
    const int images = input.extent(3);
    const std::vector<int> c = {s.out_c}, out = {s.out_c, s.out_w, s.out_h, images}, pooled = {s.out_c, s.pooled_w, s.pooled_h, images};
    Shape norm = s.masked_pool();
    norm.epsilon = 1e-3f, norm.momentum = 0.99f;
    const auto statistics = [=](const Array &convolution, const Arrays &inputs) {
        return run("batch_norm_stats", norm, {convolution, inputs[2], inputs[3]}, {c, c, c, c, c, c});
    };
    const auto forward = [=](const Arrays &inputs) {
        const Array convolution = run("conv2d_fwd", s, {input, inputs[0], inputs[1]}, {out})[0];
        const Arrays stats = statistics(convolution, inputs);
        return run("batch_norm_pool_fwd", norm, {convolution, stats[2], stats[3]}, {pooled})[0];
    };
    const auto backward = [=](const Arrays &inputs, const Array &upstream) {
        const Array convolution = run("conv2d_fwd", s, {input, inputs[0], inputs[1]}, {out})[0];
        const Arrays stats = statistics(convolution, inputs);
        const Array &mean = stats[0], &inv_std = stats[1], &scale = stats[2], &shift = stats[3];
        const Arrays sums = run("batch_norm_pool_bwd_stats", norm, {upstream, convolution, scale, shift, mean, inv_std}, {c, c});
        return run("conv2d_pool_bwd_weights", s, {input, upstream, convolution, scale, shift, inputs[2], mean, inv_std, sums[0], sums[1]},
                   {s.weights(), c});
    };
    return {forward, backward};
}

}  // namespace

TEST_CASE("gradients of convolutions") {
    const Shape shape = GENERATE(window_shape(4, 5, 2, 3, 3, 3, 1, 1, false),   // plain
                                 window_shape(4, 5, 2, 3, 3, 3, 1, 1, true),    // padding on all sides
                                 window_shape(6, 5, 2, 2, 3, 3, 2, 2, true),    // padding right and below only in one direction
                                 window_shape(5, 4, 1, 2, 3, 2, 2, 1, true),    // an even kernel, two strides
                                 window_shape(7, 2, 2, 2, 5, 1, 1, 1, false),   // a column
                                 window_shape(3, 5, 2, 2, 1, 1, 2, 2, false),   // strides that skip inputs
                                 window_shape(2, 3, 2, 4, 2, 3, 1, 1, false));  // dense: the kernel covers the input
    CAPTURE(shape.in_h, shape.in_w, shape.kernel_h, shape.kernel_w);
    check(convolution(shape, 2), convolution_inputs(shape, 2));
}

TEST_CASE("gradients of a convolution with ReLU") {
    Shape shape = window_shape(4, 4, 2, 3, 3, 3, 1, 1, true);
    shape.relu = 1;
    Arrays inputs = convolution_inputs(shape, 2);
    check(convolution(shape, 2), inputs);

    // A channel at the kink: all its outputs are 0, whatever the input.
    for (int c = 0; c < 2; c++)
        for (int x = 0; x < 3; x++)
            for (int y = 0; y < 3; y++) inputs[1](0, c, x, y) = 0;
    inputs[2](0) = -1;
    inputs[0](0, 0, 0, 0) = 0;
    check(convolution(shape, 2), inputs);
}

TEST_CASE("gradients of a standalone ReLU") {
    const std::vector<int> extents = {3, 5, 4, 2};
    const Differentiable relu = {[=](const Arrays &inputs) { return run("relu_fwd", {}, inputs, {extents})[0]; },
                                 [=](const Arrays &inputs, const Array &upstream) {
                                     return run("relu_bwd", {}, {upstream, run("relu_fwd", {}, inputs, {extents})[0]}, {extents});
                                 }};
    Random random(2);
    Array input = random.reals(extents, -1, 1);
    check(relu, {input});

    input(0, 0, 0, 0) = input(1, 2, 3, 1) = 0;
    check(relu, {input}, true);
}

TEST_CASE("gradients of max pooling") {
    const Shape shape = GENERATE(window_shape(4, 6, 2, 2, 2, 2, 2, 2, false),   // plain
                                 window_shape(5, 5, 2, 2, 2, 2, 2, 2, false),   // a row and a column that no window sees
                                 window_shape(5, 5, 2, 2, 2, 2, 2, 2, true),    // padding right and below
                                 window_shape(5, 6, 2, 2, 3, 3, 2, 2, true),    // overlapping, padding on all sides
                                 window_shape(4, 7, 2, 2, 2, 3, 2, 3, true),    // not square
                                 window_shape(4, 4, 2, 2, 3, 3, 1, 1, false));  // every input in many windows
    CAPTURE(shape.in_h, shape.in_w, shape.kernel_h, shape.kernel_w);
    const std::vector<int> extents = {2, shape.in_w, shape.in_h, 2};
    Random random(3);
    Array input = random.reals(extents, -2, -1);
    check(pooling(shape, 2), {input});

    // Two equal maxima in the first window.
    input(0, 0, 0, 0) = input(0, 1, 0, 0) = -0.5;
    check(pooling(shape, 2), {input}, true);
}

TEST_CASE("gradients of batch normalisation through the statistics") {
    const Shape shape{.in_h = 2, .in_w = 3, .in_c = 3, .relu = GENERATE(0, 1), .epsilon = 1e-3f, .momentum = 0.99f};
    const std::vector<int> extents = {3, 3, 2, 2};
    Random random(4);
    Array input = random.reals(extents, -1, 1), gamma({3}), beta = random.reals({3}, -1, 1);
    gamma(0) = 1.5, gamma(1) = -0.7, gamma(2) = 0;
    check(batch_normalisation(shape, extents), {input, gamma, beta});

    if (shape.relu) {
        input(1, 0, 0, 0) = 0;
        check(batch_normalisation(shape, extents), {input, gamma, beta}, true);
    }
}

TEST_CASE("gradients of batch normalisation through the pool and the dropout after it") {
    Shape shape = GENERATE(window_shape(4, 6, 3, 3, 2, 2, 2, 2, false),   // plain
                           window_shape(5, 5, 3, 3, 2, 2, 2, 2, false),   // a row and a column that no window sees
                           window_shape(5, 3, 3, 3, 2, 2, 2, 2, true),    // padding right and below
                           window_shape(4, 4, 3, 3, 3, 3, 1, 1, false));  // every input in many windows
    shape.dropout = 1, shape.epsilon = 1e-3f, shape.momentum = 0.99f, shape.relu = GENERATE(0, 1);
    CAPTURE(shape.in_h, shape.in_w, shape.kernel_h, shape.stride_h, shape.relu);
    Random random(9);
    Array input = random.reals({3, shape.in_w, shape.in_h, 2}, -1, 1), gamma({3}), beta = random.reals({3}, -1, 1);
    gamma(0) = 1.5, gamma(1) = -0.7, gamma(2) = 0.3;
    check(pooled_batch_normalisation(shape, 2, GENERATE(0.0, 0.4)), {input, gamma, beta});
}

TEST_CASE("gradients of a convolution's weights through the batch normalisation and the pool after it") {
    Shape shape = window_shape(5, 4, 2, 3, 3, 3, 1, 1, true);
    shape.relu = GENERATE(0, 1);
    shape = shape.with_pool(window_shape(5, 4, 3, 3, 2, 2, 2, 2, GENERATE(false, true)));
    CAPTURE(shape.relu, shape.pooled_h);
    Random random(10);
    const Array input = random.reals({2, 4, 5, 2}, -1, 1);
    Array gamma({3}), beta = random.reals({3}, -1, 1);
    gamma(0) = 1.5, gamma(1) = -0.7, gamma(2) = 0.3;
    check(pooled_convolution(shape, input), {random.reals(shape.weights(), -1, 1), random.reals({3}, -1, 1), gamma, beta});
}

TEST_CASE("gradients of softmax with cross-entropy") {
    const int classes = 5, images = 4;
    const Array step = make_step(step_words(0, classes), 0, images, classes);
    Array labels({6}), indices({images});
    labels.values = {4, 0, 2, 2, 1, 3};
    indices.values = {5, 0, 2, 5};
    const Differentiable loss = {
        [&](const Arrays &inputs) {
            const Array losses =
                run("softmax_cross_entropy_fwd", {}, {inputs[0], labels, indices, step}, {{classes, 1, 1, images}, {images}, {images}})[1];
            Array mean({1});
            for (double value : losses.values) mean(0) += value / images;
            return mean;
        },
        [&](const Arrays &inputs, const Array &upstream) {
            const Arrays outputs =
                run("softmax_cross_entropy_fwd", {}, {inputs[0], labels, indices, step}, {{classes, 1, 1, images}, {images}, {images}});
            Arrays gradient = run("softmax_cross_entropy_bwd", {}, {outputs[0], labels, indices, step}, {{classes, 1, 1, images}});
            for (double &value : gradient[0].values) value *= upstream(0);
            return gradient;
        }};
    Random random(5);
    check(loss, {random.reals({classes, 1, 1, images}, -3, 3)});
}

TEST_CASE("gradients of dropout with its mask held") {
    const std::vector<int> extents = {6, 3, 2, 3};
    const Shape shape{.dropout = 1};
    const Array step = make_step(step_words(2, 0), 0.4, 3);
    const auto drop = [=](const Array &input) { return run("dropout", shape, {input, step}, {extents}); };
    const Differentiable dropout = {[=](const Arrays &inputs) { return drop(inputs[0])[0]; },
                                    [=](const Arrays &, const Array &upstream) { return drop(upstream); }};
    Random random(6);
    check(dropout, {random.reals(extents, -1, 1)});
}

TEST_CASE("gradients of a convolution between two dropouts with their masks held, and of the ReLU before them") {
    const bool rectified = GENERATE(false, true);
    const int images = 2;
    Shape s = window_shape(4, 4, 3, 2, 3, 3, 1, 1, true);
    s.dropout = 1;
    const std::vector<int> in = {s.in_c, s.in_w, s.in_h, images}, out = {s.out_c, s.out_w, s.out_h, images}, bias = {s.out_c};
    const Array step = make_step(step_words(2, 0), 0.4, images);
    const auto dropped = [=](const Array &input) {
        return run("dropout", s, {rectified ? run("relu_fwd", s, {input}, {in})[0] : input, step}, {in})[0];
    };
    const Differentiable f = {[=](const Arrays &inputs) {
                                  return run("conv2d_dropout_fwd", s, {dropped(inputs[0]), inputs[1], inputs[2], step}, {out})[0];
                              },
                              [=](const Arrays &inputs, const Array &upstream) {
                                  const Array input = dropped(inputs[0]), d_output = run("dropout", s, {upstream, step}, {out})[0];
                                  const Array d_input =
                                      rectified ? run("conv2d_relu_dropout_bwd_data", s, {d_output, inputs[1], input, step}, {in})[0]
                                                : run("conv2d_dropout_bwd_data", s, {d_output, inputs[1], step}, {in})[0];
                                  const Arrays d_parameters = run("conv2d_bwd_weights", s, {input, d_output}, {s.weights(), bias});
                                  return Arrays{d_input, d_parameters[0], d_parameters[1]};
                              }};
    check(f, convolution_inputs(s, images));
}

TEST_CASE("the loss' gradient is the same in one pass") {
    const int classes = 5, images = 4;
    Random random(10);
    const Array logits = random.reals({classes, 1, 1, images}, -3, 3), step = make_step(step_words(0, classes), 0, images, classes);
    Array records({images});
    records.values = {0, 1, 2, 3};
    const std::vector<std::vector<int>> loss = {{classes, 1, 1, images}, {images}, {images}};
    const Arrays forward = run("softmax_cross_entropy_fwd", {}, {logits, records, records, step}, loss);
    const Arrays backward = run("softmax_cross_entropy_bwd", {}, {forward[0], records, records, step}, {loss[0]});
    const Arrays both = run("softmax_cross_entropy", {}, {logits, records, records, step}, {loss[0], loss[1], loss[2], loss[0]});
    for (std::size_t i = 0; i < 3; i++) CHECK(distance(both[i], forward[i]) == 0);
    CHECK(distance(both[3], backward[0]) == 0);
}

TEST_CASE("gradients of a sum") {
    const std::vector<int> extents = {3, 2, 2, 2};
    const Differentiable sum = {[=](const Arrays &inputs) { return run("add", {}, inputs, {extents})[0]; },
                                [](const Arrays &, const Array &upstream) {
                                    return Arrays{upstream, upstream};
                                }};
    Random random(8);
    check(sum, {random.reals(extents, -1, 1), random.reals(extents, -1, 1)});
}

TEST_CASE("the gradients through folded weights are those of batch norm and convolution apart") {
    Random random(7);
    const Shape s = window_shape(5, 4, 3, 2, 3, 2, 1, 1, false);
    const std::vector<int> in = {s.in_c, s.in_w, s.in_h, 3}, out = {s.out_c, s.out_w, s.out_h, 3}, weight = s.weights();
    const Array x = random.reals(in, 0, 2), weights = random.reals(weight, -1, 1), bias = random.reals({s.out_c}, -1, 1);
    const Array gamma = random.reals({s.in_c}, -1, 1), beta = random.reals({s.in_c}, -1, 1), d_output = random.reals(out, -1, 1);
    const Array zeros({s.in_c});
    Shape norm = s;
    norm.epsilon = 1e-3f, norm.momentum = 0.9f;
    std::vector<Array> stats = {x, gamma, beta, zeros, zeros, zeros, zeros, zeros, zeros};
    find_oracle("batch_norm_stats")(norm, stats);
    const Array &mean = stats[3], &inv_std = stats[4], &scale = stats[5], &shift = stats[6];

    const Array normalised = run("batch_norm_fwd", s, {x, scale, shift}, {in})[0];
    const Arrays apart = run("conv2d_bwd_weights", s, {normalised, d_output}, {weight, {s.out_c}});
    const Array d_normalised = run("conv2d_bwd_data", s, {d_output, weights}, {in})[0];
    const Arrays d_stats = run("batch_norm_bwd_stats", s, {d_normalised, x, mean, inv_std}, {{s.in_c}, {s.in_c}});

    const Arrays folded = run("conv2d_fold", s, {weights, bias, scale, shift}, {weight, {s.out_c}});
    CHECK(distance(run("conv2d_fwd", s, {x, folded[0], folded[1]}, {out})[0], run("conv2d_fwd", s, {normalised, weights, bias}, {out})[0]) <
          1e-12);
    const Arrays d_folded = run("conv2d_bwd_weights", s, {x, d_output}, {weight, {s.out_c}});
    const Arrays together =
        run("conv2d_fold_bwd", s, {weights, scale, shift, mean, inv_std, d_folded[0], d_folded[1]}, {weight, {s.in_c}, {s.in_c}});
    CHECK(distance(together[0], apart[0]) < 1e-12);
    CHECK(distance(together[1], d_stats[0]) < 1e-12);
    CHECK(distance(together[2], d_stats[1]) < 1e-12);
}
