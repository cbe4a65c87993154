#include "schedules/conv2d/entries.h"

#include "plan/block_tile.h"
#include "plan/stack.h"
#include "plan/winograd.h"
#include "schedules/entries.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace halcyon {
namespace {

std::string many_images(const Shape &s, const Set &) { return s.batch == 1 ? "a single image fills no block of images" : ""; }

std::string one_image(const Shape &s, const Set &) { return s.batch == 1 ? "" : "it tiles the pixels of a single image"; }

std::string whole_output_vectors(const Shape &s, const Set &set) {
    return first_refusal({on_x86(s, set), s.out_c % set.vector_floats ? "the output channels are no whole vectors" : ""});
}

/// Its tiles sum over all input channels for all output channels.
std::string one_group(const Shape &s, const Set &) { return s.groups > 1 ? fmt::format("the channels are in {} groups", s.groups) : ""; }

std::string near_taps(const Shape &s, const Set &) { return s.dilation_h > 1 || s.dilation_w > 1 ? "the window is dilated" : ""; }

std::string direct(const Shape &s, const Set &set) { return first_refusal({on_x86(s, set), plain_weights(s, set), one_group(s, set)}); }

std::string one_window_a_channel(const Shape &s, const Set &set) {
    return first_refusal({on_x86(s, set), s.depthwise() ? "" : "the channels have more than a window each"});
}

std::string direct_one_image(const Shape &s, const Set &set) { return first_refusal({direct(s, set), one_image(s, set)}); }

/// What a window that reaches beyond the convolution reads of it Halide bounds by the whole picture, and a few rows of that are all there
/// is room for.
std::string windows_inside(const Shape &s, const Set &) { return s.pool().padded() ? "the pool's windows reach beyond its input" : ""; }

/// Pairs of an output and an input along an axis that a 3-tap window connects.
int taps(int in, int out, int pad) {
    int pairs = 0;
    for (int at = 0; at < out; at++)
        for (int tap = 0; tap < 3; tap++) pairs += at + tap - pad >= 0 && at + tap - pad < in;
    return pairs;
}

/// That each pair of channels takes in Winograd's tiles.
int products(const WinogradTile &tile, const Shape &s) { return tile.tiles(s.out_h) * tile.tiles(s.out_w) * tile.inputs() * tile.inputs(); }

/// Whether Winograd's tiles serve the convolution and save enough of the products that each pair of channels takes: below 1.5 times the
/// transforms eat up the gain. Of 5x5 and 6x6 pixels the smaller tiles take no more products, and have fewer weights to transform: 3.3
/// instead of 6.5 ms for 6x6x256 -> 256, batch 32 (two cores of a Zen 4, AVX-512).
template<const WinogradTile &tile>
std::string saves_products(const Shape &s, const Set &set) {
    if (set.family != "x86") return "the set is not x86";
    if (s.kernel_h != 3 || s.kernel_w != 3 || s.stride_h != 1 || s.stride_w != 1) return "not 3x3 with stride 1";
    if (const std::string refusal = both<one_group, near_taps>(s, set); !refusal.empty()) return refusal;
    if (s.tile > 0 && s.tile != tile.outputs) return "the weights are for other tiles";
    if (s.in_c % set.vector_floats || s.out_c % set.vector_floats) return "the channels are no whole vectors";
    const int direct = taps(s.in_h, s.out_h, s.pad_top) * taps(s.in_w, s.out_w, s.pad_left);
    const int tiled = products(tile, s);
    if (direct < 1.5 * tiled) return fmt::format("{} products in tiles save too little beside {}", tiled, direct);
    return tile.outputs > winograd_f2.outputs && products(winograd_f2, s) <= tiled ? "smaller tiles take as few products" : "";
}

/// Where `what` a task keeps on its stack takes no more than task_stack_bytes.
std::string fits_stack(const std::string &what, std::int64_t floats) {
    const std::int64_t bytes = floats * std::int64_t{sizeof(float)};
    return bytes > task_stack_bytes ? fmt::format("{} need {} KiB of stack", what, bytes / 1024) : "";
}

/// The convolution's outputs under a window lie on the stack, for a tile of up to two vectors of channels x 6 images.
std::string few_pixels_a_window(const Shape &s, const Set &set) {
    const std::int64_t tile = 6 * std::min(2 * set.vector_floats, s.out_c);
    return first_refusal({windows_inside(s, set), fits_stack("the pool's windows", tile * s.pool_h * s.pool_w)});
}

/// Of a single image those under a row of windows, for a tile of as many vectors of channels as leave a register for each sum.
std::string few_pixels_a_row(const Shape &s, const Set &set) {
    const std::int64_t channels = std::min(set.vector_registers / 2 * set.vector_floats, s.out_c);
    return first_refusal({windows_inside(s, set), fits_stack("the pool's rows", channels * s.pool_h * s.out_w)});
}

/// The planes of all channels, an image longer than the task's block.
std::string fits_stack(const WinogradTile &tile, std::int64_t channels, int planes, int images) {
    return fits_stack(fmt::format("tiles of {0}x{0} outputs", tile.outputs), channels * planes * (images + 1));
}

template<const WinogradTile &tile>
std::string forward_tiles(const Shape &s, const Set &set) {
    return first_refusal({many_images(s, set), saves_products<tile>(s, set),
                          fits_stack(tile, s.in_c, tile.inputs() * tile.inputs(), WinogradImages::forward)});
}

/// A single image reads all weights for its own tiles alone, so they must have been transformed before, and for fewer than 4 tiles it would
/// wait for memory. It keeps all tiles' inputs on the stack.
template<const WinogradTile &tile>
std::string forward_tiles_one_image(const Shape &s, const Set &set) {
    const int tiles = tile.tiles(s.out_h) * tile.tiles(s.out_w);
    return first_refusal({one_image(s, set), s.tile > 0 ? "" : "the weights are not for tiles", saves_products<tile>(s, set),
                          tiles < 4 ? fmt::format("{} tiles are too few for the weights", tiles) : "",
                          fits_stack(tile, tiles * s.in_c, tile.inputs() * tile.inputs(), 0)});
}

/// Where the tiles are made of whole windows of the pool behind them.
template<const WinogradTile &tile>
std::string whole_windows(const Shape &s, const Set &) {
    const bool separate = s.pool_stride_h == s.pool_h && s.pool_stride_w == s.pool_w && s.pool_pad_top == 0 && s.pool_pad_left == 0;
    return separate && tile.outputs % s.pool_h == 0 && tile.outputs % s.pool_w == 0 ? "" : "the pool's windows do not divide the tiles";
}

/// The task makes all tiles of its images.
template<const WinogradTile &tile>
std::string backward_data_tiles(const Shape &s, const Set &set) {
    const std::int64_t tiles = std::int64_t(tile.tiles(s.out_h)) * tile.tiles(s.out_w);
    const int planes = tile.inputs() * tile.inputs();
    return first_refusal({saves_products<tile>(s, set), fits_stack(tile, tiles * s.out_c, planes, WinogradImages::backward_data)});
}

/// The same as a convolution of the gradient, whose tiles are of inputs instead of outputs. That is faster (15x15x32 -> 64: 0.78 of the
/// time in a step) unless it takes many more tiles (13x13 has 16 of inputs and 9 of outputs), and large layers fit.
template<const WinogradTile &tile>
std::string backward_data_input_tiles(const Shape &s, const Set &set) {
    const Shape convolution = s.backward_data();
    const int inputs = tile.tiles(s.in_h) * tile.tiles(s.in_w), outputs = tile.tiles(s.out_h) * tile.tiles(s.out_w);
    return first_refusal({saves_products<tile>(s, set), forward_tiles<tile>(convolution, set),
                          inputs > 1.2 * outputs ? fmt::format("{} tiles of outputs are fewer than {} of inputs", outputs, inputs) : ""});
}

/// The task makes rows of planes, of inputs and of gradients.
template<const WinogradTile &tile>
std::string backward_weights_tiles(const Shape &s, const Set &set) {
    const int planes = weights_rows(tile, s, set) * tile.inputs();
    return first_refusal({saves_products<tile>(s, set), fits_stack(tile, s.in_c + s.out_c, planes, WinogradImages::backward_weights)});
}

std::vector<Workspace> transposed_weights(const Shape &s, const Set &) {
    return {{"transposed", {s.in_c, s.group_out(), s.kernel_w, s.kernel_h}}};
}

template<const WinogradTile &tile>
std::vector<Workspace> transformed_forward(const Shape &s, const Set &) {
    if (s.tile > 0) return {};
    return {{"transformed_weights", {s.out_c, s.in_c, tile.inputs(), tile.inputs()}}};
}

template<const WinogradTile &tile>
std::vector<Workspace> transformed_backward(const Shape &s, const Set &) {
    return {{"transformed_weights", {s.in_c, s.out_c, tile.inputs(), tile.inputs()}}};
}

std::vector<Workspace> bias_rows(const Shape &s, const Set &) { return {{"bias_rows", {s.out_c, s.out_h}}}; }

/// Where the weights of a pixel's window, for all output channels, take no more than an eighth of the L1 cache, or a fifth where there are
/// rows for many tasks. 1x1x16 -> 96, which take that, over 48x48 pixels: 0.52 of register_tile's time with AVX-512, 0.60 with AVX2.
/// 3x3x3 -> 64, 6.75 KiB: 1.8 times with AVX2 (one core of a Zen 4).
std::string few_weights(const Shape &s, const Set &set) {
    if (const std::string refusal = both<on_x86, one_group>(s, set); !refusal.empty()) return refusal;
    const int bytes = s.out_c * s.in_c * s.kernel_w * s.kernel_h * int(sizeof(float));
    return bytes > (s.out_h < 16 ? 4096 : 6144) ? fmt::format("{} bytes of weights are too many", bytes) : "";
}

/// A task's sums for a row of the pool's windows, or of outputs where there is none.
std::vector<Workspace> row_sums(const Shape &s, const Set &) {
    return {{"row_sums", {s.out_c, s.weight_columns(), divide_up(s.out_h, s.pool_stride_h)}}};
}

template<const WinogradTile &tile>
std::vector<Workspace> row_products(const Shape &s, const Set &) {
    return {{"row_products", {s.out_c, s.in_c, tile.inputs(), tile.inputs(), tile.tiles(s.out_h)}}, {"bias_rows", {s.out_c, s.out_h}}};
}

/// The gradients of a window's pixels lie on the stack. Where windows are cut off, or leave pixels out at the end, Halide wants room for a
/// whole row of them.
std::string few_weights_behind_windows(const Shape &s, const Set &set) {
    const std::int64_t gradients = std::int64_t{s.pool_stride_w} * s.pool_stride_h * s.out_c * rows_images;
    const bool whole_windows = s.out_w % s.pool_stride_w == 0 && s.out_h % s.pool_stride_h == 0;
    return first_refusal({few_weights(s, set), separate_windows(s.pool(), set), whole_windows ? "" : "the windows do not divide the pixels",
                          fits_stack(fmt::format("windows of {} images", rows_images), gradients)});
}

/// Where 64 images make blocks for most of a GPU's processors, of which an H100 has 132, and a block's shared memory, 48 KiB, holds them.
std::string shared_tiles(const Shape &s, int from, int to, int width, int height) {
    const BlockTile tile = shared_tile(from, to, s);
    const int blocks = width * height * (to / tile.channels), bytes = shared_bytes(tile, s);
    return first_refusal({s.tile > 0 ? "the weights are for tiles" : "", s.batch == 1 ? "a single image fills no block of images" : "",
                          blocks < 100 ? fmt::format("{} blocks of 64 images are too few", blocks) : "",
                          bytes > 48 * 1024 ? fmt::format("a block needs {} bytes of shared memory", bytes) : ""});
}

/// The staged kernels, on devices, go through chunks of all input channels and whole windows.
std::string staged(const Shape &s, const Set &set) { return first_refusal({on_device(s, set), one_group(s, set), near_taps(s, set)}); }

std::string forward_shared_tile(const Shape &s, const Set &set) {
    return first_refusal({staged(s, set), shared_tiles(s, s.in_c, s.out_c, s.out_w, s.out_h)});
}

std::string backward_data_shared_tile(const Shape &s, const Set &set) {
    return first_refusal({staged(s, set), shared_tiles(s, s.out_c, s.in_c, s.in_w, s.in_h)});
}

std::string direct_on_device(const Shape &s, const Set &set) { return first_refusal({staged(s, set), plain_weights(s, set)}); }

/// A block makes all logits of its images.
std::string all_classes_in_block(const Shape &s, const Set &set) {
    const int classes = sliced_tile(s.in_c, s.out_c, s).channels;
    return first_refusal({staged(s, set), classes < s.out_c ? fmt::format("{} of {} classes fit a block", classes, s.out_c) : ""});
}

/// The sums of each part of the pixels.
std::vector<Workspace> weight_parts(const Shape &s, const Set &) {
    const WeightsTile tile = weights_shared_tile(s);
    return {{"parts", {s.out_c, tile.columns_of_all, tile.parts}}};
}

/// Of one pixel, a dense layer's: more would be too much for a block, as would be more inputs, 32 images of which lie in its shared memory.
std::string weights_channels(const Shape &s, const Set &set) {
    const int pixels = s.out_w * s.out_h, inputs = weights_channels_tile(s).columns;
    return first_refusal({staged(s, set), pixels > 1 ? fmt::format("{} pixels are too many for one block", pixels) : "",
                          inputs > 256 ? fmt::format("{} inputs are too many for one block", inputs) : ""});
}

/// What a window of the pool compares, and what its gradient goes through, is made once; what the weights are multiplied by is not.
std::string behind_the_pool(const Kernel &kernel, const Set &set) {
    for (const char *place : {"input", "d_output"})
        if (!kernel.chain(place).empty()) return fmt::format("it reads its {} again and again", place);
    return any_that_draws_nothing(kernel, set);
}

/// A task that makes all tiles of its images writes each pixel of four images at a time, and an activation read beside them is a stream
/// more. That costs more than a pass of its own: 1.14 ms, where 13x13x64 takes 1.03 and the pass 0.07 (two cores of a Zen 4, AVX-512). A
/// mask saves its pass all the same.
std::string any_but_a_norm_gradient(const Kernel &kernel, const Set &set) {
    for (const Link &link : kernel.chain("d_input"))
        if (link.row == "normgradient") return "another activation is a stream more, slower than a pass";
    return any_that_draws_nothing(kernel, set);
}

const Entry gpu_reference_direct{"gpu_reference", both<on_device, plain_weights>, nullptr, any_chain};

}  // namespace

std::vector<KernelMenu> conv2d_menus() {
    return {
        {"conv2d_fwd",
         {{"winograd_f4", forward_tiles<winograd_f4>, transformed_forward<winograd_f4>, any_that_draws_nothing},
          {"winograd_f2", forward_tiles<winograd_f2>, transformed_forward<winograd_f2>, any_that_draws_nothing},
          {"winograd_f4_one_image", forward_tiles_one_image<winograd_f4>, nullptr, any_that_draws_nothing},
          {"winograd_f2_one_image", forward_tiles_one_image<winograd_f2>, nullptr, any_that_draws_nothing},
          {"depthwise", both<one_window_a_channel, plain_weights>},
          {"pixel_tile", direct_one_image},
          {"register_tile", direct},
          {"shared_tile", forward_shared_tile, nullptr, any_chain},
          {"sliced", direct_on_device, nullptr, any_behind},
          autoscheduled,
          reference,
          gpu_reference_direct}},
        {"conv2d_pool_fwd",
         {{"winograd_f4", both<forward_tiles<winograd_f4>, whole_windows<winograd_f4>>, transformed_forward<winograd_f4>,
           any_that_draws_nothing},
          {"winograd_f2", both<forward_tiles<winograd_f2>, whole_windows<winograd_f2>>, transformed_forward<winograd_f2>,
           any_that_draws_nothing},
          {"winograd_f4_one_image", both<forward_tiles_one_image<winograd_f4>, whole_windows<winograd_f4>>, nullptr,
           any_that_draws_nothing},
          {"winograd_f2_one_image", both<forward_tiles_one_image<winograd_f2>, whole_windows<winograd_f2>>, nullptr,
           any_that_draws_nothing},
          {"pixel_tile", both<direct_one_image, few_pixels_a_row>},
          {"register_tile", both<direct, few_pixels_a_window>},
          {"autoscheduled", both<by_autoscheduler, windows_inside>},
          reference,
          gpu_reference_direct}},
        {"conv2d_softmax_cross_entropy", {{"sliced", all_classes_in_block}, reference, gpu_reference}},
        {"conv2d_fold", {{"channel_vectors", on_x86}, {"shared_sums", on_device}, autoscheduled, reference, gpu_reference}},
        {"conv2d_fold_output", {{"channel_vectors", on_x86}, autoscheduled, reference, gpu_reference}},
        {"conv2d_fold_bwd",
         {{"channel_vectors", both<on_x86, one_group>},
          {"shared_sums", both<on_device, one_group>},
          autoscheduled,
          reference,
          gpu_reference}},
        {"winograd_weights", {{"channel_vectors", whole_output_vectors}, autoscheduled, reference, gpu_reference}},
        {"conv2d_bwd_data",
         {{"winograd_f4_input_tiles", backward_data_input_tiles<winograd_f4>, transformed_backward<winograd_f4>, any_that_draws_nothing},
          {"winograd_f4", backward_data_tiles<winograd_f4>, transformed_backward<winograd_f4>, any_but_a_norm_gradient},
          {"winograd_f2_input_tiles", backward_data_input_tiles<winograd_f2>, transformed_backward<winograd_f2>, any_that_draws_nothing},
          {"winograd_f2", backward_data_tiles<winograd_f2>, transformed_backward<winograd_f2>, any_but_a_norm_gradient},
          {"depthwise", one_window_a_channel},
          {"register_tile", both<on_x86, one_group>, transposed_weights},
          {"shared_tile", backward_data_shared_tile, nullptr, any_chain},
          {"sliced", staged, nullptr, any_behind},
          autoscheduled,
          reference,
          gpu_reference}},
        {"conv2d_bwd_weights",
         {{"winograd_f4", backward_weights_tiles<winograd_f4>, row_products<winograd_f4>, any_that_draws_nothing},
          {"winograd_f2", backward_weights_tiles<winograd_f2>, row_products<winograd_f2>, any_that_draws_nothing},
          {"depthwise", one_window_a_channel, row_sums},
          {"rows", few_weights, row_sums},
          {"register_tile", both<on_x86, one_group>, bias_rows},
          {"channels", weights_channels, nullptr, any_chain},
          {"shared_tile", staged, weight_parts, any_chain},
          autoscheduled,
          reference,
          gpu_reference_with(bias_rows)}},
        {"conv2d_pool_bwd_weights",
         {{"rows", few_weights_behind_windows, row_sums, behind_the_pool},
          {"autoscheduled", by_one_that_ends, row_sums, any_chain},
          {"reference", on_host, row_sums, any_chain},
          gpu_reference_with(row_sums)}}};
}

}  // namespace halcyon
