#include "generators/layers/conv2d.h"

#include "generators/layers/conv2d_pool.h"
#include "generators/layers/conv2d_softmax_cross_entropy.h"
#include "generators/layers/conv2d_winograd.h"
#include "plan/divisors.h"
#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

void gpu_reference(Conv2dForward &f) {
    element_threads(f.output, f.k, f.x, f.y, f.n);
    f.sum.compute_at(f.output, thread);
}

void gpu_reference(Conv2dPoolForward<Conv2dForward> &f, const Shape &s, const Set &set) {
    apply_schedule(f.pool, s.pool(), set, "gpu_reference");
    f.convolution.sum.compute_at(f.pool.output, thread);
}

void gpu_reference(Conv2dSoftmaxCrossEntropy<Conv2dForward> &f, const Shape &s, const Set &set) {
    apply_schedule(f.loss, pooled_shape(s), set, "gpu_reference");
    f.convolution.output.compute_at(f.loss.forward.probabilities, thread).bound_storage(f.convolution.n, 1);
    f.convolution.sum.compute_at(f.convolution.output, f.convolution.k);
}

void gpu_reference(Conv2dFold &f) {
    element_threads(f.folded_weights, f.k, f.dx, f.dy, f.c);
    element_threads(f.folded_bias, f.k);
    f.shifted.compute_at(f.folded_bias, thread);
}

void gpu_reference(Conv2dFoldOutput &f) {
    element_threads(f.folded_weights, f.k, f.dx, f.dy, f.c);
    element_threads(f.folded_bias, f.k);
}

void gpu_reference(Conv2dFoldBackward &f) {
    element_threads(f.d_weights, f.k, f.dx, f.dy, f.c);
    for (Halide::Func output : {f.d_gamma, f.d_beta}) element_threads(output, f.c);
    f.d_beta.compute_with(f.d_gamma, thread);
    f.sums.compute_at(f.d_gamma, thread);
}

void gpu_reference(WinogradWeights &f) { element_threads(f.transformed_weights, f.k, f.a, f.b, f.c); }

void gpu_reference(Conv2dBackwardData &f) {
    element_threads(f.d_input, f.c, f.x, f.y, f.n);
    f.sum.compute_at(f.d_input, thread);
}

void gpu_reference(Conv2dBackwardWeights &f) {
    element_threads(f.d_weights, f.k, f.dx, f.dy, f.c);
    element_threads(f.d_weights.update(), f.k, f.dx, f.dy, f.c);
    element_threads(f.bias_rows.compute_root(), f.k, f.y);
    element_threads(f.bias_rows.update(), f.k, f.y);
    element_threads(f.d_bias, f.k);
    element_threads(f.d_bias.update(), f.k);
}

void gpu_reference(Conv2dPoolBackwardWeights &f) {
    Conv2dBackwardWeightsByRows &weights = f.weights;
    const Halide::Var block{"block"};
    for (Halide::Stage sums : {Halide::Stage(weights.row_sums.compute_root()), weights.row_sums.update()})
        sums.split(weights.k, block, thread, 64, Halide::TailStrategy::GuardWithIf)
            .gpu_blocks(block, weights.column, weights.y)
            .gpu_threads(thread);
    for (Halide::Stage gradient : {Halide::Stage(weights.d_weights), weights.d_weights.update()})
        element_threads(gradient, weights.k, weights.dx, weights.dy, weights.c);
    for (Halide::Stage gradient : {Halide::Stage(weights.d_bias), weights.d_bias.update()}) element_threads(gradient, weights.k);
    f.pool.sum.compute_at(weights.row_sums, weights.pixels.x);
    f.pool.choice.compute_at(f.pool.sum, f.pool.windows.x);
}

using Halide::Func;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

const Var block{"block"}, share{"share"};

/// Has `sum` made by `threads` threads of a block of `output`, each of which takes every so many channels, and then added up in order: one
/// thread alone would wait for the 576 weights of a 3x3 window of 64 channels. Returns what each thread makes, and its loop.
struct SharedChannels {
    Func shares;
    RVar every;
};
SharedChannels share_channels(Func sum, Func output, const RVar &channels, int threads) {
    const RVar every{"every"}, of_them{"of_them"};
    sum.compute_at(output, thread).update().split(channels, every, of_them, threads);
    Func shares = sum.update().rfactor(of_them, share);
    shares.compute_at(output, block);
    return {shares, every};
}

/// A block makes all weights of up to 8 output channels, whose bias sums over every one of them: 8 blocks of 18 KiB for 64 channels.
void fold_shared_sums(Conv2dFold &f, const Shape &s, const Set &) {
    output_channel_blocks(f, f.folded_weights, f.folded_bias, divisor_up_to(8, s.out_c));
    auto [shares, every] = share_channels(f.shifted, f.folded_bias, f.taps.x, 32);
    shares.gpu_threads(f.k, share).update().reorder(every, f.taps.y, f.taps.z, f.k, share).gpu_threads(f.k, share);
}

/// The output channels, which lie side by side, are shared by the 32 threads of a warp; a block has up to 4 input channels, of which it
/// makes all gradients.
void fold_backward_shared_sums(Conv2dFoldBackward &f, const Shape &s, const Set &) {
    const Var lane{"lane"}, lanes{"lanes"};
    const int channels = divisor_up_to(4, s.in_c);
    for (Func gradient : {f.d_gamma, f.d_beta}) gradient.split(f.c, block, thread, channels).gpu_blocks(block).gpu_threads(thread);
    f.d_weights.split(f.c, block, thread, channels)
        .split(f.k, lanes, lane, 32, TailStrategy::GuardWithIf)
        .reorder(lane, thread, lanes, f.dx, f.dy, block)
        .gpu_blocks(block)
        .gpu_threads(lane, thread);
    f.d_beta.compute_with(f.d_gamma, thread);
    f.d_weights.compute_with(f.d_gamma, block);
    auto [shares, every] = share_channels(f.sums, f.d_gamma, f.taps.x, 32);
    shares.reorder(share, f.c).gpu_threads(share, f.c);
    shares.update().reorder(every, f.taps.y, f.taps.z, share, f.c).gpu_threads(share, f.c);
}

const Schedules<Conv2dForward> forward_schedules{{"gpu_reference", gpu_reference}};
const Schedules<WinogradWeights> winograd_weights_schedules{{"gpu_reference", gpu_reference}};
const Schedules<Conv2dPoolForward<Conv2dForward>> pool_schedules{{"gpu_reference", gpu_reference}};
const Schedules<Conv2dSoftmaxCrossEntropy<Conv2dForward>> loss_schedules{{"gpu_reference", gpu_reference}};
const Schedules<Conv2dFold> fold_schedules{{"shared_sums", fold_shared_sums}, {"gpu_reference", gpu_reference}};
const Schedules<Conv2dFoldOutput> fold_output_schedules{{"gpu_reference", gpu_reference}};
const Schedules<Conv2dFoldBackward> fold_backward_schedules{{"shared_sums", fold_backward_shared_sums}, {"gpu_reference", gpu_reference}};
const Schedules<Conv2dBackwardData> backward_data_schedules{{"gpu_reference", gpu_reference}};
const Schedules<Conv2dBackwardWeights> backward_weights_schedules{{"gpu_reference", gpu_reference}};
const Schedules<Conv2dPoolBackwardWeights> pool_backward_weights_schedules{{"gpu_reference", gpu_reference}};

}  // namespace
}  // namespace halcyon
