#include "schedules/reference/reference.h"

namespace halcyon {

// One pixel of one image at a time, its channels innermost: they lie side by side in the weights.
void reference(Conv2dForward &f) {
    f.output.parallel(f.n);
    f.sum.compute_at(f.output, f.x).update().reorder(f.k, f.taps.x, f.taps.y, f.taps.z);
}

void reference(Conv2dBackwardData &f) {
    f.d_input.parallel(f.n);
    f.sum.compute_at(f.d_input, f.x).update().reorder(f.c, f.taps.x, f.taps.y, f.taps.z);
}

void reference(Conv2dBackwardWeights &f) {
    f.d_weights.update().reorder(f.k, f.pixels.x, f.pixels.y, f.pixels.z, f.c).parallel(f.c);
    f.bias_rows.compute_at(f.d_bias, f.rows);
}

}  // namespace halcyon
