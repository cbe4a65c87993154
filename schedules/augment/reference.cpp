#include "schedules/reference/reference.h"

namespace halcyon {
namespace {

template<typename Pixel>
void image_by_image(Augment<Pixel> &f) {
    f.augmented.reorder(f.c, f.x, f.y, f.n).parallel(f.n);
    f.offset.compute_at(f.augmented, f.n);
    f.sum.compute_at(f.offset, f.c);
    f.row_sum.compute_at(f.sum, f.rows);
}

}  // namespace

void reference(Augment<uint8_t> &f) { image_by_image(f); }
void reference(Augment<float> &f) { image_by_image(f); }

}  // namespace halcyon
