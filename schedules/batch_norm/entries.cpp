#include "schedules/entries.h"

#include <fmt/format.h>

#include <string>
#include <vector>

namespace halcyon {
namespace {

/// A pixel's two sums, for batch normalisation's statistics.
std::vector<Workspace> pixel_tiles(const Shape &s, const Set &) { return {{"tiles", {s.in_c, 2, s.in_w, s.in_h}}}; }

/// The same for a pixel of the pool's output.
std::vector<Workspace> pool_tiles(const Shape &s, const Set &) { return {{"tiles", {s.in_c, 2, s.out_w, s.out_h}}}; }

/// A thread merges each row of a channel's tiles, 32 channels a block.
template<int Shape::*rows>
std::string rows_of_threads(const Shape &s, const Set &set) {
    return first_refusal({on_device(s, set), s.*rows > 32 ? "more than 32 rows do not fit a block" : ""});
}

/// A block has all pixels of 8 channels, and of 16 of them a thread for 8 images each. The limit is where it would read for longer than a
/// second launch takes: 2 KiB a pixel of 64 images.
template<int Shape::*columns, int Shape::*rows>
std::string channels_of_threads(const Shape &s, const Set &set) {
    const int pixels = s.*columns * s.*rows;
    return first_refusal({on_device(s, set), rows_of_threads<rows>(s, set),
                          s.*columns > 16 ? "more than 16 columns do not fit a block" : "",
                          pixels > 192 ? fmt::format("{} pixels are too many for one block", pixels) : ""});
}

/// The statistics of so few pixels, and the pass that they are for: a pass of more of them wants more blocks.
std::string pass_of_threads(const Shape &s, const Set &set) {
    const int pixels = s.in_w * s.in_h;
    return first_refusal({on_device(s, set), pixels > 16 ? fmt::format("{} pixels are too many for one block", pixels) : ""});
}

/// For batch normalisation's statistics, which merge the pixels row by row: Mullapudi2016 makes columns of them, and means that are wrong
/// by 0.017; what Adams2019 makes of them Halide does not accept.
std::string by_one_that_keeps_order(const Shape &s, const Set &set) {
    if (set.autoscheduler == "Mullapudi2016" || set.autoscheduler == "Adams2019")
        return set.autoscheduler + " reorders loops whose order counts";
    return by_autoscheduler(s, set);
}

/// Of what is summed over a channel, beside what makes it of two activations.
const std::vector<Entry> &channel_sums() {
    static const std::vector<Entry> entries = {{"pixel_tiles", on_x86_up_to<4096>, pixel_tiles},
                                               {"channels", channels_of_threads<&Shape::in_w, &Shape::in_h>},
                                               {"rows", rows_of_threads<&Shape::in_h>, pixel_tiles},
                                               autoscheduled,
                                               reference,
                                               gpu_reference_with(pixel_tiles)};
    return entries;
}

}  // namespace

std::vector<KernelMenu> batch_norm_menus() {
    return {{"batch_norm_stats",
             {{"pixel_tiles", on_x86_up_to<4096>, pixel_tiles},
              {"channels", channels_of_threads<&Shape::in_w, &Shape::in_h>},
              {"rows", rows_of_threads<&Shape::in_h>, pixel_tiles},
              {"autoscheduled", by_one_that_keeps_order},
              reference,
              gpu_reference_with(pixel_tiles)}},
            {"batch_norm_stats_fwd", {{"channels", pass_of_threads, nullptr, any_behind}, reference, gpu_reference_with(pixel_tiles)}},
            {"batch_norm_fold", {{"channel_vectors", on_x86}, autoscheduled, reference, gpu_reference}},
            {"batch_norm_bwd_stats", channel_sums()},
            {"prelu_bwd_alpha", channel_sums()},
            {"group_norm_bwd_weights", channel_sums()},
            {"batch_norm_bwd", {{"channels", pass_of_threads, nullptr, any_behind}, reference, gpu_reference_with(pixel_tiles)}},
            {"batch_norm_stats_pool_fwd", {{"channels", pass_of_threads, nullptr, any_behind}, reference, gpu_reference_with(pixel_tiles)}},
            {"batch_norm_pool_bwd_stats",
             {{"pixel_tiles", both<on_x86_up_to<4096>, no_large_window>, pool_tiles, any_that_draws_nothing},
              {"channels", channels_of_threads<&Shape::out_w, &Shape::out_h>, nullptr, any_that_draws_nothing},
              {"rows", rows_of_threads<&Shape::out_h>, pool_tiles, any_that_draws_nothing},
              {"autoscheduled", by_one_that_ends, nullptr, any_chain},
              reference,
              gpu_reference_with(pool_tiles)}},
            {"batch_norm_pool_bwd",
             {{"channels", pass_of_threads, nullptr, any_that_draws_nothing}, reference, gpu_reference_with(pool_tiles)}}};
}

}  // namespace halcyon
