// The oracles on a few numbers that can be worked out by hand.
#include "plan/optimizers.h"
#include "tests/catch.h"
#include "tests/kernels/data.h"
#include "tests/kernels/oracle.h"
#include "tests/kernels/run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <vector>

using namespace halcyon;
using namespace halcyon::oracle;

namespace {

using Values = std::vector<double>;

/// A row of pixels of one channel.
Array pixels(const Values &values) {
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

bool near(double a, double b) { return std::abs(a - b) <= 1e-12 * std::abs(b); }

}  // namespace

TEST_CASE("Philox gives the known answers of its authors") {
    using Words = std::array<std::uint32_t, 2>;
    CHECK(philox2x32({0, 0}, 0) == Words{0xff1dae59, 0x6cd10df2});
    CHECK(philox2x32({0xffffffff, 0xffffffff}, 0xffffffff) == Words{0x2c3f628b, 0xab4fd7ad});
    CHECK(philox2x32({0x243f6a88, 0x85a308d3}, 0x13198a2e) == Words{0xdd7ce038, 0xf62a4c12});
}

TEST_CASE("a convolution is a correlation, padded on the right first") {
    const Array input = pixels({1, 2, 3, 4, 5}), bias = list({1000});
    Array three({1, 1, 3}), two({1, 1, 2});
    three.values = {1, 10, 100};
    two.values = {1, 10};
    CHECK(run("conv2d_fwd", window_shape(1, 5, 1, 1, 1, 3, 1, 1, false), {input, three, bias})[0].values == Values{1321, 1432, 1543});
    CHECK(run("conv2d_fwd", window_shape(1, 5, 1, 1, 1, 3, 1, 2, true), {input, three, bias})[0].values == Values{1210, 1432, 1054});
    CHECK(run("conv2d_fwd", window_shape(1, 5, 1, 1, 1, 2, 1, 1, true), {input, two, bias})[0].values ==
          Values{1021, 1032, 1043, 1054, 1005});
}

TEST_CASE("taps lie as far apart as the window is dilated") {
    const Array input = pixels({1, 2, 3, 4, 5}), bias = list({1000});
    Array three({1, 1, 3});
    three.values = {1, 10, 100};
    CHECK(run("conv2d_fwd", dilated(window_shape(1, 5, 1, 1, 1, 5, 1, 1, false), 1, 2), {input, three, bias})[0].values == Values{1531});
    CHECK(run("conv2d_fwd", dilated(window_shape(1, 5, 1, 1, 1, 5, 1, 1, true), 1, 2), {input, three, bias})[0].values ==
          Values{1310, 1420, 1531, 1042, 1053});
}

TEST_CASE("a group's outputs are made of its inputs alone") {
    const Shape s = in_groups(window_shape(1, 1, 4, 4, 1, 1, 1, 1, false), 2);
    const Array input = list({1, 2, 3, 4}), bias = list({0, 0, 0, 1000});
    Array pixel({4, 1, 1, 1}), weights({4, 2, 1, 1});
    pixel.values = input.values;
    weights.values = {1, 10, 100, 1000, 2, 20, 200, 2000};  // of the first input of each group, of the second
    CHECK(run("conv2d_fwd", s, {pixel, weights, bias})[0].values == Values{5, 50, 1100, 12000});
    CHECK(run("conv2d_bwd_data", s, {pixel, weights})[0].values == Values{21, 42, 4300, 8600});
}

TEST_CASE("a convolution's weights are (out, in, column, row)") {
    const Shape s = window_shape(2, 2, 2, 3, 2, 2, 1, 1, false);
    Array input({2, 2, 2}), weights({3, 2, 2, 2});
    input(1, 0, 1) = 1;  // channel 1, column 0, row 1
    for (std::size_t i = 0; i < weights.values.size(); i++) weights.values[i] = double(i);
    // Keras's (row, column, in, out), row-major: [1, 0, 1, k] lies at ((1 * 2 + 0) * 2 + 1) * 3 + k.
    CHECK(run("conv2d_fwd", s, {input, weights, Array({3})})[0].values == Values{15, 16, 17});
}

TEST_CASE("a pool's padding lies on the right and never wins, the first maximum gets the gradient") {
    const Array input = pixels({-3, -1, -1, -4, -2}), gradient = pixels({1, 10, 100});
    const Shape halves = window_shape(1, 5, 1, 1, 1, 2, 1, 2, true), overlapping = window_shape(1, 5, 1, 1, 1, 3, 1, 1, false);
    CHECK(run("max_pool2d_fwd", halves, {input})[0].values == Values{-1, -1, -2});
    CHECK(run("max_pool2d_bwd", halves, {gradient, input})[0].values == Values{0, 1, 10, 0, 100});
    CHECK(run("max_pool2d_bwd", overlapping, {gradient, input})[0].values == Values{0, 11, 100, 0, 0});
}

TEST_CASE("batch normalisation moves its statistics by the biased variance, or by the unbiased one") {
    const Shape s{.in_w = 2, .in_c = 1, .epsilon = 3, .momentum = 0.75f};
    const auto stats = run("batch_norm_stats", s, {pixels({1, 3}), list({2}), list({1}), list({10}), list({5})});
    CHECK(stats[0](0) == 2);                // mean
    CHECK(stats[1](0) == 0.5);              // 1 / sqrt(1 + 3)
    CHECK(stats[2](0) == 1);                // scale = 2 * 0.5
    CHECK(stats[3](0) == -1);               // shift = 1 - 2 * 1
    CHECK(stats[4](0) == 10 * 0.75 + 0.5);  // + 2 * 0.25
    CHECK(stats[5](0) == 5 * 0.75 + 0.25);  // + 1 * 0.25

    Shape unbiased = s;
    unbiased.unbiased = 1;
    const auto moved = run("batch_norm_stats", unbiased, {pixels({1, 3}), list({2}), list({1}), list({10}), list({5})});
    CHECK(moved[1](0) == 0.5);
    CHECK(moved[5](0) == 5 * 0.75 + 0.5);  // + 2 / 1 * 0.25, as PyTorch's

    const auto fold = run("batch_norm_fold", s, {list({2}), list({1}), list({2}), list({1})});
    CHECK(fold[0](0) == 1);
    CHECK(fold[1](0) == -1);
}

TEST_CASE("an image is scaled to 0..1, and mirrored where its random bits are below the threshold") {
    Array images({1, 3, 1, 2}), step = make_step(step_words(0, 0), 0, 1);
    images.values = {0, 0, 0, 255, 102, 51};
    step(step_flip_threshold) = 0;
    CHECK(run("input_fwd", {.in_w = 3}, {images, list({1}), step})[0].values == Values{1, 0.4, 0.2});
    step(step_flip_threshold) = 65536;
    CHECK(run("input_fwd", {.in_w = 3}, {images, list({1}), step})[0].values == Values{0.2, 0.4, 1});
}

TEST_CASE("floats stay as they are, and either type is rescaled where the model says so") {
    Array step = make_step(step_words(0, 2), 0, 1);
    step(step_flip_threshold) = 0;
    const auto input = [&](const Shape &s) { return run("input_fwd", s, {pixels({51, -3}), list({0}), step})[0].values; };
    CHECK(input({.in_w = 2, .floats = 1}) == Values{51, -3});
    CHECK(input({.in_w = 2, .image_scale = 2, .image_offset = 1}) == Values{103, -5});
    CHECK(input({.in_w = 2, .floats = 1, .image_scale = 2, .image_offset = 1}) == Values{103, -5});
}

// Keras's documentation: adapted to 1, 2, 3, 4, 5, which have the mean 3 and the variance 2, 1, 2, 3 become -1.414, -0.707, 0.
TEST_CASE("an image is normalised as Keras does, whatever rescaled it before") {
    Array step = make_step(step_words(0, 2), 0, 1);
    step(step_flip_threshold) = 0;
    const auto normalised = [&](const Shape &fold, const Array &image) {
        const auto folded = run("normalization_fold", fold, {list({3}), list({2})});
        const BoundRow normalise{{"normalise"}, {{"center", folded[0]}, {"factor", folded[1]}}};
        return run("input_fwd", {.in_w = 3, .image_scale = 1}, {image, list({0}), step}, {{"pixel", {normalise}}})[0].values;
    };
    for (const Values &values :
         {normalised({.image_scale = 1}, pixels({1, 2, 3})), normalised({.image_scale = 0.5, .image_offset = -1}, pixels({4, 6, 8}))}) {
        CHECK(near(values[0], -std::sqrt(2)));
        CHECK(near(values[1], -std::sqrt(0.5)));
        CHECK(values[2] == 0);
    }
    // A channel that is the same everywhere: its deviation counts as 1e-7.
    const auto constant = run("normalization_fold", {.image_scale = 1}, {list({3}), list({0})});
    CHECK(constant[0](0) == 3);
    CHECK(near(constant[1](0), 1e7));
}

TEST_CASE("the rows that neither draw nor divide") {
    const auto made = [](const BoundRow &row) { return applied({row}, pixels({-3, 0, 2, 5})).values; };
    const Array of = pixels({1, -1, 0, 2}), two = list({2}), minus_one = list({-1});
    CHECK(made({{"relu"}}) == Values{0, 0, 2, 5});
    CHECK(made({{"mask"}, {{"of", of}}}) == Values{-3, 0, 0, 5});
    CHECK(made({{"affine"}, {{"scale", two}, {"shift", minus_one}}}) == Values{-7, -1, 3, 9});
    // 2 * of - 1 is 1, -3, -1, 3.
    CHECK(made({{"affinemask"}, {{"of", of}, {"scale", two}, {"shift", minus_one}}}) == Values{-3, 0, 0, 5});
    CHECK(made({{"affinemask"}, {{"of", of}, {"scale", minus_one}, {"shift", two}}}) == Values{-3, 0, 2, 0});
    CHECK(made({{"add"}, {{"addend", of}}}) == Values{-2, -1, 2, 7});
    CHECK(made({{"normalise"}, {{"center", minus_one}, {"factor", two}}}) == Values{-4, 2, 6, 12});
}

TEST_CASE("a row's channels are the innermost dimension") {
    Array values({2, 2});
    values.values = {1, 2, 3, 4};
    CHECK(applied({{{"affine"}, {{"scale", list({10, 100})}, {"shift", list({5, 6})}}}}, values).values == Values{15, 206, 35, 406});
}

TEST_CASE("a chain's rows come one after the other, before a core and behind it") {
    const BoundRow minus{{"affine"}, {{"scale", list({-1})}, {"shift", list({0})}}}, relu{{"relu"}};
    const Array input = pixels({-3, 1, 2, -1});
    const Shape pairs = window_shape(1, 4, 1, 1, 1, 2, 1, 2, false);
    const auto pooled = [&](const BoundChains &chains) { return run("max_pool2d_fwd", pairs, {input}, chains)[0].values; };
    CHECK(pooled({}) == Values{1, 2});
    CHECK(pooled({{"input", {minus}}}) == Values{3, 1});
    CHECK(pooled({{"input", {minus, relu}}, {"output", {minus}}}) == Values{-3, -1});
    CHECK(pooled({{"input", {relu, minus}}, {"output", {relu}}}) == Values{0, 0});
    // An operand that is another of the kernel's inputs, as it is given.
    CHECK(pooled({{"input", {minus, {{.row = "add", .same_as = 0}}}}}) == Values{0, 0});
}

TEST_CASE("dropout drops the share it is asked for and keeps the mean") {
    const Array step = make_step(step_words(1, 0), 0.25, 1);
    const Values values = applied({{{"dropout"}, {{"step", step}}}}, Array({30, 10, 10, 10}, 1)).values;
    const double scale = float(1 / 0.75), sum = std::accumulate(values.begin(), values.end(), 0.0);
    CHECK(std::ranges::all_of(values, [&](double value) { return value == 0 || value == scale; }));
    // 30000 elements: the mean's deviation is sqrt(0.25 / 0.75 / 30000) = 0.0033.
    CHECK(std::abs(sum / 30000 - 1) < 4 * 0.0033);
    CHECK(applied({{{"kept"}, {{"step", step}}}}, Array({1}, 3))(0) == 3 * scale);
}

TEST_CASE("spatial dropout drops whole channels of images, the share it is asked for, and keeps the mean") {
    const Array step = make_step(step_words(1, 0), 0.25, 1);
    const Array dropped = applied({{{"spatialdropout"}, {{"step", step}}}}, Array({30, 2, 3, 1000}, 1));
    const double scale = float(1 / 0.75);
    double sum = 0;
    for (int n = 0; n < 1000; n++)
        for (int c = 0; c < 30; c++) {
            const double value = dropped(c, 0, 0, n);
            CHECK((value == 0 || value == scale));
            for (int y = 0; y < 3; y++)
                for (int x = 0; x < 2; x++) CHECK(dropped(c, x, y, n) == value);
            sum += value;
        }
    // 30000 channels: the mean's deviation is sqrt(0.25 / 0.75 / 30000) = 0.0033.
    CHECK(std::abs(sum / 30000 - 1) < 4 * 0.0033);
}

TEST_CASE("noise is of a normal distribution, and each element, image, layer and epoch has its own") {
    Array step = make_step(step_words(0, 0), 0, 1);
    const auto noise = [&](int layer, float stddev = 1, double of = 0) {
        const Link link{.row = "noise", .number = layer, .constants = {stddev}};
        return applied({{link, {{"step", step}}}}, Array({10, 12, 10, 100}, of)).values;
    };
    const Values first = noise(0);
    const auto count = double(first.size());  // 120000
    const auto mean_product = [&](const Values &a, const Values &b, std::size_t shift = 0) {
        double sum = 0;
        for (std::size_t i = 0; i < a.size(); i++) sum += a[i] * b[(i + shift) % b.size()];
        return sum / count;
    };
    const double deviation = 1 / std::sqrt(count), within = 4 * deviation;  // of the mean of numbers of the variance 1
    CHECK(std::abs(mean_product(first, Values(first.size(), 1))) < within);
    CHECK(std::abs(mean_product(first, first) - 1) < within * std::sqrt(2));  // the variance of a square is 2
    // The shares beyond 1, 2 and 3 deviations, on each side.
    for (const auto &[bound, share] : {std::pair(1.0, 0.158655), std::pair(2.0, 0.0227501), std::pair(3.0, 0.00134990)})
        for (const double side : {-1.0, 1.0}) {
            const auto beyond = double(std::ranges::count_if(first, [side, limit = bound](double value) { return side * value > limit; }));
            CAPTURE(bound, side);
            CHECK(std::abs(beyond / count - share) < within * std::sqrt(share));
        }
    // Neighbours in a channel, a column, a row and an image; both words of a pair are used for one number.
    for (const std::size_t shift : {1, 10, 120, 1200}) {
        CAPTURE(shift);
        CHECK(std::abs(mean_product(first, first, shift)) < within);
    }
    CHECK(std::abs(mean_product(first, noise(1))) < within);
    step(step_epoch) = step(step_epoch) + 1;
    CHECK(std::abs(mean_product(first, noise(0))) < within);
    step(step_epoch) = step(step_epoch) - 1;
    step(step_position) = step(step_position) + 1;  // the next image takes the place of the one before
    CHECK(std::equal(first.begin() + 1200, first.end(), noise(0).begin()));
    step(step_position) = step(step_position) - 1;
    const Values scaled = noise(0, 0.25F, 3);
    for (std::size_t i = 0; i < first.size(); i++) REQUIRE(std::abs(scaled[i] - (3 + first[i] / 4)) < 1e-12);
}

TEST_CASE("each dropout layer has its own rate and its own random numbers") {
    Array step = make_step(step_words(2, 0), 0.5, 1);
    const auto dropped = [&](int layer) { return applied({{{"dropout", layer}, {{"step", step}}}}, Array({64}, 1)).values; };
    CHECK(dropped(0) != dropped(1));
    step(dropout_threshold(1)) = 0, set_real(step, dropout_scale(1), 1);
    CHECK(dropped(0) != Values(64, 1));
    CHECK(dropped(1) == Values(64, 1));
}

TEST_CASE("a penalty adds l1 times a weight's sign and twice l2 times the weight to its gradient") {
    const Array of = list({-2, 0, 3});
    const auto penalised = [&](float l1, float l2) {
        const Link link{.row = "penalised", .constants = {l1, l2}};
        return applied({{link, {{"of", of}}}}, list({10, 20, 30})).values;
    };
    CHECK(penalised(0.5f, 0) == Values{9.5, 20, 30.5});
    CHECK(penalised(0, 0.25f) == Values{9, 20, 31.5});
    CHECK(penalised(0.5f, 0.25f) == Values{8.5, 20, 32});
}

TEST_CASE("softmax, its loss and its first largest class") {
    const Shape s{.in_c = 3};
    Array logits({3, 1, 1, 2});
    logits.values = {0, std::log(3), 0, 7, 7, 7};
    const Array labels = list({0, 2}), indices = list({1, 0});
    const Array step = make_step(step_words(0, 3), 0, 2, 3);  // the classes weigh 1.5, 2.5, 0.5
    const auto outputs = run("softmax_cross_entropy_fwd", s, {logits, labels, indices, step});
    const Array &probabilities = outputs[0], &loss = outputs[1], &correct = outputs[2];
    CHECK(near(probabilities(1, 0, 0, 0), 0.6));
    CHECK(near(probabilities(0, 0, 0, 1), 1.0 / 3));
    CHECK(near(loss(0), 0.5 * std::log(5)));
    CHECK(near(loss(1), 1.5 * std::log(3)));
    // Keras 3.15's SparseCategoricalCrossentropy(from_logits=True) with these as sample weights, which float32 rounds.
    CHECK(std::abs((loss(0) + loss(1)) / 2 - 1.2263187) < 1e-6);
    CHECK(correct(0) == 0);  // label 2, largest 1
    CHECK(correct(1) == 1);  // label 0, all equal
    const Array gradients = applied({{{"onehotgradient"}, {{"labels", labels}, {"indices", indices}, {"step", step}}}}, probabilities);
    CHECK(near(gradients(1, 0, 0, 0), 0.5 * 0.6 / 2));
    CHECK(near(gradients(0, 0, 0, 1), 1.5 * (1.0 / 3 - 1) / 2));
}

TEST_CASE("the optimizers' first steps") {
    Array step = make_step(step_words(0, 0), 0, 1);
    const Shape s{.elements = 1};
    const auto set = [&](const char *optimizer, const char *key, float value) {
        set_real(step, find_optimizer(optimizer).word_of(key), value);
    };
    set("sgd", "momentum", 0.5f);
    const auto sgd = run("sgd", s, {list({8}), step, list({1}), list({4})});
    CHECK(sgd[1](0) == 0);  // 0.5 * 4 - 0.25 * 8
    CHECK(sgd[0](0) == 1);

    set("adam", "beta_1", 0.5f);
    set("adam", "beta_2", 0.75f);
    set("adam", "epsilon", 0.5f);
    const auto adam = run("adam", s, {list({2}), step, list({1}), list({0}), list({1.25})});
    CHECK(adam[1](0) == 1);       // 2 * 0.5
    CHECK(adam[2](0) == 1.9375);  // 1.25 * 0.75 + 4 * 0.25
    CHECK(near(adam[0](0), 1 - 0.25 / (std::sqrt(1.9375) + 0.5)));
}
