#include "schedules/reference/reference.h"

namespace halcyon {

void reference(BatchNormPoolForward &f) { reference(f.pool); }

void reference(BatchNormPoolDropoutForward &f) {
    reference(f.dropout);
    f.pooled.pool.largest.compute_at(f.dropout.output, f.dropout.c);
}

void reference(BatchNormPoolBackwardStats &f) {
    reference(f.stats);
    f.chosen.choice.compute_at(f.stats.tile_sums, f.stats.images);
}

void reference(BatchNormPoolBackwardData &f) {
    reference(f.data);
    f.pool.sum.compute_at(f.data.d_input, f.data.c);
    f.pool.choice.compute_at(f.pool.sum, f.pool.windows.x);
}

}  // namespace halcyon
