#include "generators/layers/augment.h"

#include "schedules/schedules.h"

namespace halcyon {
namespace {

template<typename Pixel>
void reference(Augment<Pixel> &f) {
    f.augmented.reorder(f.c, f.x, f.y, f.n).parallel(f.n);
    f.offset.compute_at(f.augmented, f.n);
    f.sum.compute_at(f.offset, f.c);
    f.row_sum.compute_at(f.sum, f.rows);
}

const Schedules<Augment<uint8_t>> byte_schedules{{"reference", reference}};
const Schedules<Augment<float>> float_schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
