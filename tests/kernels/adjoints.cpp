// A second opinion on the backward oracles: Halide's automatic differentiation of a small network, written as Funcs from scratch. Both
// sides compute in double, so that a difference is a mistake and not rounding.
#include "tests/catch.h"
#include "tests/kernels/data.h"
#include "tests/kernels/oracle.h"
#include "tests/kernels/run.h"

#include <Halide.h>

#include <cfloat>
#include <cmath>

using halcyon::applied;
using halcyon::run;
using halcyon::Shape;
namespace oracle = halcyon::oracle;

namespace {

// convolution 3x3 (4x4x4) -> batch normalisation -> ReLU -> max pool 2x2 (2x2x4) -> dense 5 -> softmax with cross-entropy, mean over the
// batch. The ReLU stands right before the pool because Halide gives a tie's gradient to both sides: that of the zeros is masked then.
constexpr int in_c = 2, in_w = 6, in_h = 6, conv_c = 4, conv_w = 4, conv_h = 4, pool_w = 2, pool_h = 2, classes = 5;
constexpr int images = 4;  // a power of two: the step buffer holds its inverse as a float
constexpr float epsilon = 1e-3f;

struct Network {
    oracle::Array input, kernel, bias, gamma, beta, dense, dense_bias, labels, indices;
};

Network make_network() {
    halcyon::Random random(11);
    Network net{random.reals({in_c, in_w, in_h, images}, -1, 1),
                random.reals({conv_c, in_c, 3, 3}, -1, 1),
                random.reals({conv_c}, -1, 1),
                oracle::Array({conv_c}),
                random.reals({conv_c}, -1, 1),
                random.reals({classes, conv_c, pool_w, pool_h}, -1, 1),
                random.reals({classes}, -1, 1),
                oracle::Array({images}),
                oracle::Array({images})};
    net.gamma.values = {1.25, -0.5, -2, 0.75};
    net.labels.values = {4, 0, 2, 2};
    net.indices.values = {0, 1, 2, 3};
    return net;
}

/// The gradients of input, kernel, bias, gamma, beta, dense kernel, dense bias.
using Gradients = std::vector<std::vector<double>>;

Gradients by_oracles(const Network &net) {
    const Shape conv{
        .in_h = in_h, .in_w = in_w, .in_c = in_c, .out_h = conv_h, .out_w = conv_w, .out_c = conv_c, .kernel_h = 3, .kernel_w = 3};
    const Shape norm{.in_h = conv_h, .in_w = conv_w, .in_c = conv_c, .epsilon = epsilon};
    const Shape pool{.in_h = conv_h,
                     .in_w = conv_w,
                     .in_c = conv_c,
                     .out_h = pool_h,
                     .out_w = pool_w,
                     .out_c = conv_c,
                     .kernel_h = 2,
                     .kernel_w = 2,
                     .stride_h = 2,
                     .stride_w = 2};
    const Shape dense{.in_h = pool_h, .in_w = pool_w, .in_c = conv_c, .out_c = classes, .kernel_h = pool_h, .kernel_w = pool_w};
    const Shape loss{.in_c = classes};
    const oracle::Array step = halcyon::make_step(halcyon::step_words(0, classes), 0, images, classes);

    const auto sum = run("conv2d_fwd", conv, {net.input, net.kernel, net.bias})[0];
    const auto stats = run("batch_norm_stats", norm, {sum, net.gamma, net.beta});
    const auto normalised = applied({{{"affine"}, {{"scale", stats[2]}, {"shift", stats[3]}}}}, sum);
    const auto active = applied({{{"relu"}}}, normalised);
    const auto pooled = run("max_pool2d_fwd", pool, {active})[0];
    const auto logits = run("conv2d_fwd", dense, {pooled, net.dense, net.dense_bias})[0];
    const auto softmax = run("softmax_cross_entropy_fwd", loss, {logits, net.labels, net.indices, step});

    const auto d_logits = applied({{{"onehotgradient"}, {{"labels", net.labels}, {"indices", net.indices}, {"step", step}}}}, softmax[0]);
    const auto d_dense = run("conv2d_bwd_weights", dense, {pooled, d_logits});
    const auto d_pooled = run("conv2d_bwd_data", dense, {d_logits, net.dense})[0];
    const auto d_active = run("max_pool2d_bwd", pool, {d_pooled, active})[0];
    const auto d_normalised = applied({{{"mask"}, {{"of", active}}}}, d_active);
    const auto d_norm = run("batch_norm_bwd_stats", norm, {d_normalised, sum, stats[0], stats[1]});
    const auto d_sum = applied({{{"normgradient"},
                                 {{"input", sum},
                                  {"gamma", net.gamma},
                                  {"mean", stats[0]},
                                  {"inv_std", stats[1]},
                                  {"d_gamma", d_norm[0]},
                                  {"d_beta", d_norm[1]}}}},
                               d_normalised);
    const auto d_conv = run("conv2d_bwd_weights", conv, {net.input, d_sum});
    const auto d_input = run("conv2d_bwd_data", conv, {d_sum, net.kernel})[0];
    return {d_input.values, d_conv[0].values, d_conv[1].values, d_norm[0].values, d_norm[1].values, d_dense[0].values, d_dense[1].values};
}

Gradients by_halide(Network net) {
    using namespace Halide;
    const Buffer<double> input_data(net.input.values.data(), {in_c, in_w, in_h, images}),
        kernel_data(net.kernel.values.data(), {conv_c, in_c, 3, 3}), bias_data(net.bias.values.data(), conv_c),
        gamma_data(net.gamma.values.data(), conv_c), beta_data(net.beta.values.data(), conv_c),
        dense_data(net.dense.values.data(), {classes, conv_c, pool_w, pool_h}), dense_bias_data(net.dense_bias.values.data(), classes),
        labels(net.labels.values.data(), images);

    // Derivatives are taken with respect to Funcs, not buffers.
    Var c("c"), k("k"), x("x"), y("y"), n("n");
    Func input("input"), kernel("kernel"), bias("bias"), gamma("gamma"), beta("beta"), dense("dense"), dense_bias("dense_bias");
    input(c, x, y, n) = input_data(c, x, y, n);
    kernel(k, c, x, y) = kernel_data(k, c, x, y);
    bias(k) = bias_data(k);
    gamma(c) = gamma_data(c);
    beta(c) = beta_data(c);
    dense(k, c, x, y) = dense_data(k, c, x, y);
    dense_bias(k) = dense_bias_data(k);

    const RDom taps(0, in_c, 0, 3, 0, 3), batch(0, conv_w, 0, conv_h, 0, images), window(0, conv_c, 0, pool_w, 0, pool_h),
        class_(0, classes);
    const double population = conv_w * conv_h * images;

    Func sum("sum"), mean("mean"), variance("variance"), normalised("normalised"), active("active"), pooled("pooled"), logits("logits");
    sum(k, x, y, n) = bias(k);
    sum(k, x, y, n) += kernel(k, taps.x, taps.y, taps.z) * input(taps.x, x + taps.y, y + taps.z, n);

    mean(c) = cast<double>(0);
    mean(c) += sum(c, batch.x, batch.y, batch.z) / Expr(population);
    const Expr distance = sum(c, batch.x, batch.y, batch.z) - mean(c);
    variance(c) = cast<double>(0);
    variance(c) += distance * distance / Expr(population);
    normalised(c, x, y, n) = gamma(c) * (sum(c, x, y, n) - mean(c)) / sqrt(variance(c) + Expr(double(epsilon))) + beta(c);
    active(c, x, y, n) = max(normalised(c, x, y, n), cast<double>(0));

    // As a tree of max(): Halide cannot differentiate a reduction by max.
    const auto at = [&](int dx, int dy) { return active(c, 2 * x + dx, 2 * y + dy, n); };
    pooled(c, x, y, n) = max(max(at(0, 0), at(1, 0)), max(at(0, 1), at(1, 1)));
    logits(k, n) = dense_bias(k);
    logits(k, n) += dense(k, window.x, window.y, window.z) * pooled(window.x, window.y, window.z, n);

    // For the same reason the softmax's gradient is written by hand. The logits are small: no maximum needs to be subtracted.
    Func total("total"), d_logits("d_logits");
    total(n) = cast<double>(0);
    total(n) += exp(logits(class_, n));
    const Expr label = cast<int>(labels(n)), weight = cast<double>((label + 1) % 3) + Expr(0.5);  // as make_step() weights them
    d_logits(k, n) = (exp(logits(k, n)) / total(n) - select(k == label, cast<double>(1), cast<double>(0))) * weight / Expr(double(images));

    for (Func f : {sum, mean, variance, normalised, active, pooled, logits, total, d_logits}) f.compute_root();
    const Derivative derivative = propagate_adjoints(logits, d_logits, {{0, classes - 1}, {0, images - 1}});
    for (const Func &f : {normalised, active, pooled}) derivative(f).compute_root();
    for (const Func &f : {sum, mean, variance})
        for (int update : {-1, 0}) derivative(f, update).compute_root();

    const Func with_respect_to[] = {input, kernel, bias, gamma, beta, dense, dense_bias};
    std::vector<Buffer<double>> buffers = {input_data.copy(), kernel_data.copy(), bias_data.copy(),      gamma_data.copy(),
                                           beta_data.copy(),  dense_data.copy(),  dense_bias_data.copy()};
    std::vector<Func> outputs;
    for (const Func &f : with_respect_to) outputs.push_back(derivative(f));
    Pipeline(outputs).realize(Realization({buffers.begin(), buffers.end()}));

    Gradients gradients;
    for (const Buffer<double> &buffer : buffers) gradients.emplace_back(buffer.begin(), buffer.end());
    return gradients;
}

}  // namespace

TEST_CASE("Halide's derivative of a small network agrees with the oracles") {
    const Network net = make_network();
    const Gradients ours = by_oracles(net), theirs = by_halide(net);
    const char *names[] = {"input", "kernel", "bias", "gamma", "beta", "dense kernel", "dense bias"};
    REQUIRE(ours.size() == theirs.size());

    // No sum on the way, down or up, has more than 100 terms (batch statistics: 64; a window: 18), five of them stand in a row. The bias's
    // gradient is 0, because the batch's mean takes it away again: the magnitudes are those of all gradients together.
    double norm = 0;
    for (const auto &gradient : theirs)
        for (double value : gradient) norm += std::abs(value);
    const double tolerance = 500 * DBL_EPSILON * norm;

    for (std::size_t g = 0; g < ours.size(); g++) {
        REQUIRE(ours[g].size() == theirs[g].size());
        for (std::size_t i = 0; i < ours[g].size(); i++) {
            CAPTURE(names[g], i, ours[g][i], theirs[g][i]);
            CHECK(std::abs(ours[g][i] - theirs[g][i]) <= tolerance);
        }
    }
}
