// The convolutions on devices: register tiles in blocks of threads (docs/devices.md, "How a convolution is tiled").
//
// These schedules have never run on a GPU. What they reach by structure, counted in what ptxas makes of them for sm_90 and in the PTX, for
// the shipped network with a batch of 64: blocks and their threads, registers of a thread, bytes of shared memory of a block, and the
// multiply-adds for every load (of up to 4 floats) in the inner loop; beside them with the sums' way through shared memory.
//
//   layer                entry         blocks  threads  registers  shared   multiply-adds a load
//   forward
//   32x32x3  -> 32       shared_tile     900       64        70    18,560      10.7    8.9
//   15x15x32 -> 64       shared_tile     169      128        94    28,672      10.7    8.7
//   13x13x64 -> 64       shared_tile     121      128        94    28,672      10.7    8.7
//   6x6x64   -> 128      sliced          256      256        76    18,432       8.0
//   4x4x128  -> 128      sliced           64      256        76    18,432       8.0
//   1x1x128  -> 128      sliced           16      256        60    18,432       8.0
//   backward data
//   15x15x32 <- 64       shared_tile     225       64        80    17,408      10.7    8.7
//   13x13x64 <- 64       shared_tile     169      128        96    28,672      10.7    8.7
//   6x6x64   <- 128      sliced          288      256        72    18,432       8.0
//   4x4x128  <- 128      sliced          256      256        72    18,432       8.0
//   backward weights
//   32x32x3  -> 32       shared_tile     225       32        70    12,288      10.7    9.1
//   15x15x32 -> 64       shared_tile     215      128        76    32,768      10.7    9.1
//   13x13x64 -> 64       shared_tile     250      128        76    32,768      10.7    9.1
//   6x6x64   -> 128      shared_tile     160      128        80    32,768      10.7    9.1
//   4x4x128  -> 128      shared_tile     152      128        70    32,768      10.7    9.1
//
// A processor of an H100, with 65,536 registers and 227 KiB of shared memory, holds 5 blocks of 94 registers x 128 threads: 5 warps for
// each of its 4 schedulers, against latency. What those read of the L2 cache is an eighth of a byte a multiply-add.
#include "generators/layers/conv2d_staged.h"

#include "generators/layers/conv2d_softmax_cross_entropy.h"
#include "schedules/gpu/softmax_cross_entropy.h"
#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

using Halide::Func;
using Halide::MemoryType;
using Halide::RVar;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;

const Var block{"block"}, across{"across"}, down{"down"}, channel{"channel"}, column{"column"};

/// Cuts a stage over a block's sums, channels x `columns`, into its threads' register tiles.
Stage thread_tiles(Stage stage, const BlockTile &tile, const Var &channels, const Var &columns) {
    return stage.split(channels, across, channel, tile.thread_channels)
        .split(columns, down, column, tile.thread_columns, TailStrategy::RoundUp)
        .gpu_threads(across, down)
        .vectorize(channel)
        .unroll(column);
}

/// Copies what a block reads in an iteration of `loop` of `sum` into shared memory, `vector` of its `inner` dimension at a time. Where its
/// threads do not divide that, Halide would part each thread's loop by itself and put the last elements behind it: PoCL 3.1, which makes
/// loops of threads and has LLVM vectorize these, then stages other values in blocks that are 11 threads wide.
void stage(Func staged, Func sum, const RVar &loop, const BlockTile &tile, const Var &inner, const Var &outer, int vector) {
    Var element{"element"}, row{"row"}, lane{"lane"}, v{"v"};
    staged.compute_at(sum, loop)
        .store_in(MemoryType::GPUShared)
        .split(inner, inner, v, vector)
        .fuse(inner, outer, element)
        .split(element, row, lane, tile.across(), TailStrategy::GuardWithIf)
        .split(row, element, row, tile.down(), TailStrategy::GuardWithIf)
        .vectorize(v)
        .gpu_threads(lane, row)
        .never_partition(element);
}

/// The blocks of the activations' kernels. Sums beyond the batch are made, of its last image, and not written.
void image_blocks(Func output, const StagedSum &f) {
    const Var images{"images"};
    output.split(f.to, block, f.to, f.tile.channels)
        .split(f.to, across, channel, f.tile.thread_channels)
        .split(f.n, images, f.n, f.tile.columns, TailStrategy::GuardWithIf)
        .split(f.n, down, column, f.tile.thread_columns)
        .reorder(channel, column, across, down, block, images, f.x, f.y)
        .fuse(block, images, block)
        .gpu_blocks(block, f.x, f.y)
        .gpu_threads(across, down)
        .vectorize(channel);
}

/// A block of `output` begins its sums with the bias, in shared memory.
void start_sums(StagedSum &f, Func output) {
    f.sum.compute_at(output, block).align_bounds(f.n, f.tile.columns).store_in(MemoryType::GPUShared);
    thread_tiles(f.sum, f.tile, f.to, f.n).reorder(channel, column, across, down);
}

/// A thread's sums over a chunk stay in registers, where a thread of `consumer` takes them. Returns the loop over vectors of channels.
RVar sum_chunk(StagedSum &f, Func consumer) {
    RVar four{"four"}, one{"one"};
    f.part.compute_at(consumer, across)
        .vectorize(f.to)
        .unroll(f.n)
        .update()
        .split(f.taps.x, four, one, channel_vector(f.tile.chunk))
        .reorder(f.to, f.n, one, four, f.taps.y, f.taps.z)
        .vectorize(f.to)
        .unroll(f.n)
        .unroll(one);
    return four;
}

/// Sums of a block are made chunk by chunk. Channels in fours lie side by side in shared memory, so that a thread reads four at once; else
/// the images do.
void shared_tile(StagedSum &f, Func output) {
    start_sums(f, output);
    thread_tiles(f.sum.update(), f.tile, f.to, f.n).reorder(channel, column, across, down, f.chunks.y, f.chunks.x);
    sum_chunk(f, f.sum);
    const int vector = channel_vector(f.tile.chunk);
    stage(f.pixels, f.sum, f.chunks.y, f.tile, f.from, f.n, vector);
    if (vector < 4) f.pixels.reorder_storage(f.n, f.from, f.x, f.y).align_storage(f.n, f.tile.columns);
}

/// Where pixels are few, 16 images of 32 channels make a block, and up to 8 groups of its threads share the summed channels. They read
/// through the L1 cache: staging each group's own chunks would have them all wait for the slowest.
void sliced(StagedSum &f, Func output) {
    start_sums(f, output);
    thread_tiles(f.sum.update(), f.tile, f.to, f.n).reorder(channel, column, f.chunks.x, f.chunks.y, across, down);
    Func slices = f.part.in(f.sum);
    slices.compute_at(output, block).store_in(MemoryType::GPUShared);
    thread_tiles(slices, f.tile, f.to, f.n).reorder(channel, column, across, down, f.chunk).gpu_threads(f.chunk);
    const RVar four = sum_chunk(f, slices);
    f.weights.compute_at(f.part, four).unroll(f.from).unroll(f.to);
    f.pixels.compute_at(f.part, four).vectorize(f.from).unroll(f.n);
}

void forward_shared_tile(Conv2dForwardStaged &f) {
    image_blocks(f.output, f);
    shared_tile(f, f.output);
    stage(f.weights, f.sum, f.chunks.y, f.tile, f.to, f.from, f.tile.thread_channels);
}

void forward_sliced(Conv2dForwardStaged &f) {
    image_blocks(f.output, f);
    sliced(f, f.output);
    f.weights.vectorize(f.to);
}

/// The logits of a block's images stay in its shared memory, where a thread an image takes them.
void loss_sliced(Conv2dSoftmaxCrossEntropy<Conv2dForwardStaged> &f) {
    image_threads(f.loss, f.convolution.tile.columns);
    sliced(f.convolution, f.loss.forward.probabilities);
    f.convolution.weights.vectorize(f.convolution.to);
}

void backward_data_shared_tile(Conv2dBackwardDataStaged &f) {
    image_blocks(f.d_input, f);
    shared_tile(f, f.d_input);
    stage(f.weights, f.sum, f.chunks.y, f.tile, f.from, f.to, channel_vector(f.tile.chunk));
}

void backward_data_sliced(Conv2dBackwardDataStaged &f) {
    image_blocks(f.d_input, f);
    sliced(f, f.d_input);
    f.weights.vectorize(f.from);
}

/// A block of `consumer` makes its weights' sums chunk by chunk, in shared memory.
void sum_weights(Conv2dBackwardWeightsStaged &f, Func consumer, const Shape &s) {
    f.sum.compute_at(consumer, block).store_in(MemoryType::GPUShared);
    thread_tiles(f.sum, f.tile, f.k, f.column).reorder(channel, column, across, down);
    thread_tiles(f.sum.update(), f.tile, f.k, f.column).reorder(channel, column, across, down, f.chunks.x, f.chunks.y);
    f.chunk_sum.compute_at(f.sum, across)
        .vectorize(f.k)
        .unroll(f.column)
        .update()
        .reorder(f.k, f.column, f.images)
        .vectorize(f.k)
        .unroll(f.column)
        .unroll(f.images, 4);
    stage(f.gradients, f.sum, f.chunks.x, f.tile, f.k, f.n, f.tile.thread_channels);
    stage(f.inputs, f.sum, f.chunks.x, f.tile, f.column, f.n, channel_vector(s.in_c));
}

/// The parts' sums go to the workspace, and a thread a weight adds them up in order, the bias' with those of the weights in one launch.
void backward_weights_shared_tile(Conv2dBackwardWeightsStaged &f, const Shape &s, const Set &) {
    const Var columns{"columns"}, weight{"weight"};
    f.parts.compute_root().split(f.k, block, f.k, f.tile.channels).split(f.column, columns, f.column, f.tile.columns);
    thread_tiles(f.parts, f.tile, f.k, f.column)
        .reorder(channel, column, across, down, block, columns, f.part)
        .gpu_blocks(block, columns, f.part);
    sum_weights(f, f.parts, s);

    // One loop over all weights, and for compute_with one of the same name over the bias.
    for (const Var &outer : {f.c, f.dx, f.dy}) {
        f.d_weights.fuse(outer.same_as(f.c) ? f.k : weight, outer, weight);
        f.d_bias.rename(outer.same_as(f.c) ? f.k : weight, weight);
    }
    for (Func gradient : {f.d_weights, f.d_bias}) element_threads(gradient, weight);
    f.d_bias.compute_with(f.d_weights, thread);
}

/// A block makes all weights of its output channels and their bias: one launch, where few inputs and a single pixel leave no more to share.
void backward_weights_channels(Conv2dBackwardWeightsStaged &f, const Shape &s, const Set &) {
    output_channel_blocks(f, f.d_weights, f.d_bias, f.tile.channels);
    sum_weights(f, f.d_bias, s);
}

const Schedules<Conv2dForwardStaged> forward_schedules{{"shared_tile", forward_shared_tile}, {"sliced", forward_sliced}};
const Schedules<Conv2dSoftmaxCrossEntropy<Conv2dForwardStaged>> loss_schedules{{"sliced", loss_sliced}};
const Schedules<Conv2dBackwardDataStaged> data_schedules{{"shared_tile", backward_data_shared_tile}, {"sliced", backward_data_sliced}};
const Schedules<Conv2dBackwardWeightsStaged> weights_schedules{{"channels", backward_weights_channels},
                                                               {"shared_tile", backward_weights_shared_tile}};

}  // namespace
}  // namespace halcyon
