#include "generators/layers/input.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

/// A block has 64 images of up to 8 pixels of a row, whose bytes share the 32 that a GPU reads of memory at least, and throws each image's
/// coin once. Its threads, one a channel of an image, write side by side, which is where the many bytes are. Of 32x32x3 with a batch of 64
/// there are 128 blocks for an H100's 132 processors.
void pixels(InputForward &f, const Shape &s, const Set &) {
    const Halide::Var block{"block"}, image{"image"}, pixel{"pixel"}, channel{"channel"};
    f.output.split(f.n, block, image, 64, Halide::TailStrategy::GuardWithIf)
        .split(f.x, f.x, pixel, divisor_up_to(8, s.in_w))
        .split(f.c, f.c, channel, divisor_up_to(4, s.in_c))
        .reorder(pixel, f.c, channel, image, f.x, f.y, block)
        .fuse(channel, image, thread)
        .gpu_blocks(f.x, f.y, block)
        .gpu_threads(thread)
        .unroll(pixel);
    f.flipped.compute_at(f.output, f.x).gpu_threads(f.n);
}

void gpu_reference(NormalizationFold &f) {
    for (const Halide::Func &output : {f.center, f.factor}) element_threads(output, f.c);
}

const Schedules<InputForward> schedules{{"pixels", pixels}};
const Schedules<NormalizationFold> fold_schedules{{"gpu_reference", gpu_reference}};

}  // namespace
}  // namespace halcyon
