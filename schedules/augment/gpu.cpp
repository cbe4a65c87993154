#include "generators/layers/augment.h"

#include "schedules/gpu/threads.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;

/// A block has an image, and threads for 32 columns of so many rows.
template<typename Pixel>
void image_blocks(Augment<Pixel> &f, int rows) {
    const Var column{"column"}, row{"row"};
    f.augmented.split(f.x, f.x, column, 32, TailStrategy::GuardWithIf)
        .split(f.y, f.y, row, rows, TailStrategy::GuardWithIf)
        .reorder(f.c, f.x, f.y, column, row, f.n)
        .gpu_blocks(f.n)
        .gpu_threads(column, row);
    for (Halide::Func value : {f.sum, f.offset}) value.compute_at(f.augmented, f.n);
    for (Stage stage : {Stage(f.sum), f.sum.update(), Stage(f.offset)})
        stage.split(f.c, f.c, thread, 32, TailStrategy::GuardWithIf).gpu_threads(thread);
}

/// A thread sums up a row, where an image's contrast changes.
template<typename Pixel>
void row_by_row(Augment<Pixel> &f) {
    image_blocks(f, 8);
    f.row_sum.compute_at(f.augmented, f.n);
    for (Stage stage : {Stage(f.row_sum), f.row_sum.update()})
        stage.split(f.y, f.y, thread, 32, TailStrategy::GuardWithIf).gpu_threads(thread);
}

/// A thread sums up a channel.
template<typename Pixel>
void channel_by_channel(Augment<Pixel> &f) {
    image_blocks(f, 1);
    f.row_sum.compute_at(f.sum, f.rows);
}

const Schedules<Augment<uint8_t>> byte_schedules{{"image_blocks", row_by_row}, {"gpu_reference", channel_by_channel}};
const Schedules<Augment<float>> float_schedules{{"image_blocks", row_by_row}, {"gpu_reference", channel_by_channel}};

}  // namespace
}  // namespace halcyon
