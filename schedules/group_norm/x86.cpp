// Layer and group normalisation on x86.
//
// Reached by one core of an AMD EPYC (AVX2) at 13x13x64, batch 64, in GB/s read and written, and how many times as fast as the reference;
// of groups of 8 channels:
//
//   kernel                  layer             groups
//   statistics         27  (14 times)    32 (320 times)
//   forward            91   (5 times)    76   (8 times)
//   backward means     55  (11 times)    36  (64 times)
//   backward data      92   (5 times)    73   (7 times)
#include "generators/layers/group_norm.h"

#include "schedules/schedules.h"
#include "schedules/x86/pixels.h"

#include <algorithm>

namespace halcyon {
namespace {

using Halide::Func;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

/// The largest power of two, up to a vector, that divides a group's channels.
int group_vector(const Shape &s, const Set &set) {
    int vector = set.vector_floats;
    while (channels_a_group(s) % vector != 0) vector /= 2;
    return vector;
}

/// A group's sum in the lanes of a vector, which are added up at the end.
void sum_in_lanes(GroupMean &of, const Func &at, const Var &level, const Shape &s, const Set &set) {
    const int vector = group_vector(s, set);
    of.sum.compute_at(at, level);
    if (vector == 1) return;
    if (vector == channels_a_group(s)) {
        of.sum.update().atomic().vectorize(of.channels);
        return;
    }
    const RVar next{"next"}, lane{"lane"};
    const Var share{"share"};
    Func lanes = of.sum.update().split(of.channels, next, lane, vector).rfactor(lane, share);
    lanes.compute_at(at, level).vectorize(share, vector);
    lanes.update().reorder(share, next).vectorize(share, vector);
    of.sum.update().atomic().vectorize(lane, vector);
}

/// Windows of one pixel: its channels lie side by side, and stay in the L1 cache for the second sum.
void pixel_sums(GroupStatistics &f, const Shape &s, const Set &set) {
    f.output.compute_root().bound(f.c, 0, s.out_c).reorder(f.c, f.n, f.x, f.y);
    if (groups_of(s) == 1) f.output.unroll(f.c);
    parallel_pixels(f.output, f.x, f.y, s.out_w, s.out_h, s.in_c);
    for (GroupMean *of : {&f.first, &f.second}) {
        sum_in_lanes(*of, f.output, f.n, s, set);
        of->mean.compute_at(f.output, f.n);
    }
}

/// Windows of many pixels: a task has as many images as leave the sums of their channels in the L1 cache, and reads those of a pixel side
/// by side.
void window_sums(GroupStatistics &f, const Shape &s, const Set &set) {
    const int images = std::clamp(1024 / s.in_c, 1, 8), vector = channel_vector(s.in_c, set);
    const Var task{"task"}, image{"image"};
    f.output.compute_root()
        .bound(f.c, 0, s.out_c)
        .split(f.n, task, image, images, TailStrategy::GuardWithIf)
        .reorder(f.c, image, f.x, f.y, task)
        .parallel(task);
    for (GroupMean *of : {&f.first, &f.second}) {
        of->channel.compute_at(f.output, task)
            .bound_storage(f.n, images)
            .reorder_storage(f.c, f.n, f.x, f.y)
            .vectorize(f.c, vector, TailStrategy::ShiftInwards);
        of->channel.update().reorder(f.c, f.n, of->pixels.x, of->pixels.y).vectorize(f.c, vector, TailStrategy::GuardWithIf);
        of->mean.compute_at(f.output, task).bound_storage(f.n, images).reorder_storage(f.c, f.n, f.x, f.y);
        of->sum.compute_at(of->mean, of->c);
    }
    f.center.compute_at(f.output, task)
        .bound_storage(f.n, images)
        .reorder_storage(f.c, f.n, f.x, f.y)
        .vectorize(f.c, vector, TailStrategy::ShiftInwards);
}

template<typename Stages>
void group_sums(Stages &f, const Shape &s, const Set &set) {
    GroupMean::has_pixels(s) ? window_sums(f, s, set) : pixel_sums(f, s, set);
}

void forward_channel_vectors(GroupNormForward &f, const Shape &s, const Set &set) { channel_vectors(f.output, f.c, f.x, f.y, f.n, s, set); }

void backward_channel_vectors(GroupNormBackwardData &f, const Shape &s, const Set &set) {
    channel_vectors(f.d_input, f.c, f.x, f.y, f.n, s, set);
}

const Schedules<GroupNormStats> stats_schedules{{"group_sums", group_sums<GroupNormStats>}};
const Schedules<GroupNormBackwardMeans> means_schedules{{"group_sums", group_sums<GroupNormBackwardMeans>}};
const Schedules<GroupNormForward> forward_schedules{{"channel_vectors", forward_channel_vectors}};
const Schedules<GroupNormBackwardData> backward_schedules{{"channel_vectors", backward_channel_vectors}};

}  // namespace
}  // namespace halcyon
