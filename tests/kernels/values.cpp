// The oracles on a few numbers that can be worked out by hand.
#include "tests/catch.h"
#include "tests/kernels/data.h"
#include "tests/kernels/oracle.h"

#include <cmath>
#include <string_view>

using namespace halcyon;
using namespace halcyon::oracle;

namespace {

using Values = std::vector<double>;

/// A row of one channel.
Array row(const Values &values) {
    Array tensor({1, int(values.size())});
    tensor.values = values;
    return tensor;
}

/// A value a channel.
Array list(const Values &values) {
    Array tensor({int(values.size())});
    tensor.values = values;
    return tensor;
}

std::vector<Array> run(std::string_view kernel, const Shape &shape, std::vector<Array> arguments) {
    find_oracle(kernel)(shape, arguments);
    return arguments;
}

bool near(double a, double b) { return std::abs(a - b) <= 1e-12 * std::abs(b); }

}  // namespace

TEST_CASE("Philox gives the known answers of its authors") {
    using Words = std::array<std::uint32_t, 2>;
    CHECK(philox2x32({0, 0}, 0) == Words{0xff1dae59, 0x6cd10df2});
    CHECK(philox2x32({0xffffffff, 0xffffffff}, 0xffffffff) == Words{0x2c3f628b, 0xab4fd7ad});
    CHECK(philox2x32({0x243f6a88, 0x85a308d3}, 0x13198a2e) == Words{0xdd7ce038, 0xf62a4c12});
}

TEST_CASE("a convolution is a correlation, padded on the right first") {
    const Array input = row({1, 2, 3, 4, 5}), bias = list({1000});
    Array three({1, 1, 3}), two({1, 1, 2});
    three.values = {1, 10, 100};
    two.values = {1, 10};
    CHECK(run("conv2d_fwd", window_shape(1, 5, 1, 1, 1, 3, 1, 1, false), {input, three, bias, row({0, 0, 0})})[3].values ==
          Values{1321, 1432, 1543});
    CHECK(run("conv2d_fwd", window_shape(1, 5, 1, 1, 1, 3, 1, 2, true), {input, three, bias, row({0, 0, 0})})[3].values ==
          Values{1210, 1432, 1054});
    CHECK(run("conv2d_fwd", window_shape(1, 5, 1, 1, 1, 2, 1, 1, true), {input, two, bias, row({0, 0, 0, 0, 0})})[3].values ==
          Values{1021, 1032, 1043, 1054, 1005});
}

TEST_CASE("a convolution's weights are (out, in, column, row)") {
    Shape s = window_shape(2, 2, 2, 3, 2, 2, 1, 1, false);
    Array input({2, 2, 2}), weights({3, 2, 2, 2}), bias({3}), output({3});
    input(1, 0, 1) = 1;  // channel 1, column 0, row 1
    for (std::size_t i = 0; i < weights.values.size(); i++) weights.values[i] = double(i);
    // Keras's (row, column, in, out), row-major: [1, 0, 1, k] lies at ((1 * 2 + 0) * 2 + 1) * 3 + k.
    CHECK(run("conv2d_fwd", s, {input, weights, bias, output})[3].values == Values{15, 16, 17});
}

TEST_CASE("a pool's padding lies on the right and never wins, the first maximum gets the gradient") {
    const Array input = row({-3, -1, -1, -4, -2});
    const Shape halves = window_shape(1, 5, 1, 1, 1, 2, 1, 2, true), overlapping = window_shape(1, 5, 1, 1, 1, 3, 1, 1, false);
    CHECK(run("max_pool2d_fwd", halves, {input, row({0, 0, 0})})[1].values == Values{-1, -1, -2});
    CHECK(run("max_pool2d_bwd", halves, {row({1, 10, 100}), input, row({0, 0, 0, 0, 0})})[2].values == Values{0, 1, 10, 0, 100});
    CHECK(run("max_pool2d_bwd", overlapping, {row({1, 10, 100}), input, row({0, 0, 0, 0, 0})})[2].values == Values{0, 11, 100, 0, 0});
}

TEST_CASE("batch normalisation moves its statistics by the biased variance") {
    const Shape s{.in_w = 2, .in_c = 1, .epsilon = 3, .momentum = 0.75f};
    const auto stats =
        run("batch_norm_stats", s, {row({1, 3}), list({2}), list({1}), list({0}), list({0}), list({0}), list({0}), list({10}), list({5})});
    CHECK(stats[3](0) == 2);                // mean
    CHECK(stats[4](0) == 0.5);              // 1 / sqrt(1 + 3)
    CHECK(stats[5](0) == 1);                // scale = 2 * 0.5
    CHECK(stats[6](0) == -1);               // shift = 1 - 2 * 1
    CHECK(stats[7](0) == 10 * 0.75 + 0.5);  // + 2 * 0.25
    CHECK(stats[8](0) == 5 * 0.75 + 0.25);  // + 1 * 0.25

    const auto fold = run("batch_norm_fold", s, {list({2}), list({1}), list({2}), list({1}), list({0}), list({0})});
    CHECK(fold[4](0) == 1);
    CHECK(fold[5](0) == -1);
}

TEST_CASE("an image is scaled to 0..1, and mirrored where its random bits are below the threshold") {
    Array images({1, 3, 1, 2}), step = make_step(step_words(0, 0), 0, 1);
    images.values = {0, 0, 0, 255, 102, 51};
    step(step_flip_threshold) = 0;
    CHECK(run("input_fwd", {}, {images, list({1}), step, row({0, 0, 0})})[3].values == Values{1, 0.4, 0.2});
    step(step_flip_threshold) = 65536;
    CHECK(run("input_fwd", {}, {images, list({1}), step, row({0, 0, 0})})[3].values == Values{0.2, 0.4, 1});
}

TEST_CASE("floats stay as they are, and either type is rescaled where the model says so") {
    Array step = make_step(step_words(0, 2), 0, 1);
    step(step_flip_threshold) = 0;
    const auto input = [&](const Shape &s) { return run("input_fwd", s, {row({51, -3}), list({0}), step, row({0, 0})})[3].values; };
    CHECK(input({.floats = 1}) == Values{51, -3});
    CHECK(input({.image_scale = 2, .image_offset = 1}) == Values{103, -5});
    CHECK(input({.floats = 1, .image_scale = 2, .image_offset = 1}) == Values{103, -5});
}

// Keras's documentation: adapted to 1, 2, 3, 4, 5, which have the mean 3 and the variance 2, 1, 2, 3 become -1.414, -0.707, 0.
TEST_CASE("an image is normalised as Keras does, whatever rescaled it before") {
    Array step = make_step(step_words(0, 2), 0, 1);
    step(step_flip_threshold) = 0;
    const auto normalised = [&](const Shape &fold, const Array &image) {
        const auto folded = run("normalization_fold", fold, {list({3}), list({2}), list({0}), list({0})});
        return run("input_normalization_fwd", {.image_scale = 1}, {image, list({0}), step, folded[2], folded[3], row({0, 0, 0})})[5].values;
    };
    for (const Values &values :
         {normalised({.image_scale = 1}, row({1, 2, 3})), normalised({.image_scale = 0.5, .image_offset = -1}, row({4, 6, 8}))}) {
        CHECK(near(values[0], -std::sqrt(2)));
        CHECK(near(values[1], -std::sqrt(0.5)));
        CHECK(values[2] == 0);
    }
    // A channel that is the same everywhere: its deviation counts as 1e-7.
    const auto constant = run("normalization_fold", {.image_scale = 1}, {list({3}), list({0}), list({0}), list({0})});
    CHECK(constant[2](0) == 3);
    CHECK(near(constant[3](0), 1e7));
}

TEST_CASE("dropout drops the share it is asked for and keeps the mean") {
    const Array step = make_step(step_words(1, 0), 0.25, 1);
    const auto arguments = run("dropout", {}, {Array({30, 10, 10, 10}, 1), step, Array({30, 10, 10, 10})});
    double sum = 0;
    for (double value : arguments[2].values) sum += value;
    // 30000 elements: the mean's deviation is sqrt(0.25 / 0.75 / 30000) = 0.0033.
    CHECK(std::abs(sum / 30000 - 1) < 4 * 0.0033);
}

TEST_CASE("softmax, its loss and its first largest class") {
    Array logits({3, 1, 1, 2});
    logits.values = {0, std::log(3), 0, 7, 7, 7};
    const Array step = make_step(step_words(0, 3), 0, 2, 3);  // the classes weigh 1.5, 2.5, 0.5
    const auto outputs =
        run("softmax_cross_entropy_fwd", {}, {logits, list({0, 2}), list({1, 0}), step, logits, list({0, 0}), list({0, 0})});
    CHECK(near(outputs[4](1, 0, 0, 0), 0.6));
    CHECK(near(outputs[4](0, 0, 0, 1), 1.0 / 3));
    CHECK(near(outputs[5](0), 0.5 * std::log(5)));
    CHECK(near(outputs[5](1), 1.5 * std::log(3)));
    // Keras 3.15's SparseCategoricalCrossentropy(from_logits=True) with these as sample weights, which float32 rounds.
    CHECK(std::abs((outputs[5](0) + outputs[5](1)) / 2 - 1.2263187) < 1e-6);
    CHECK(outputs[6](0) == 0);  // label 2, largest 1
    CHECK(outputs[6](1) == 1);  // label 0, all equal
    const auto gradients = run("softmax_cross_entropy_bwd", {}, {outputs[4], list({0, 2}), list({1, 0}), step, logits});
    CHECK(near(gradients[4](1, 0, 0, 0), 0.5 * 0.6 / 2));
    CHECK(near(gradients[4](0, 0, 0, 1), 1.5 * (1.0 / 3 - 1) / 2));
}

TEST_CASE("the optimizers' first steps") {
    Array step = make_step(step_words(0, 0), 0, 1);
    const Shape s{.elements = 1};
    const auto sgd = run("sgd", s, {list({8}), step, list({1}), list({4})});
    CHECK(sgd[3](0) == 0);  // 0.5 * 4 - 0.25 * 8
    CHECK(sgd[2](0) == 1);

    set_real(step, step_beta1, 0.5f);
    set_real(step, step_beta2, 0.75f);
    set_real(step, step_epsilon, 0.5f);
    const auto adam = run("adam", s, {list({2}), step, list({1}), list({0}), list({1.25})});
    CHECK(adam[3](0) == 1);       // 2 * 0.5
    CHECK(adam[4](0) == 1.9375);  // 1.25 * 0.75 + 4 * 0.25
    CHECK(near(adam[2](0), 1 - 0.25 / (std::sqrt(1.9375) + 0.5)));
}
