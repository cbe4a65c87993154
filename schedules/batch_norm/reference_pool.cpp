#include "schedules/reference/reference.h"

namespace halcyon {

void reference(BatchNormPoolForward &f) { reference(f.pool); }

void reference(BatchNormPoolDropoutForward &f) {
    reference(f.dropout);
    f.pooled.pool.largest.compute_at(f.dropout.output, f.dropout.c);
}

void reference(BatchNormStatsPoolDropoutForward &f) {
    reference(f.stats);
    Dropout &pass = f.pass.dropout;
    pass_of_channels(pass, pass.output, f.stats.mean);
    pass.key.compute_root();
    for (Halide::Func stage : {pass.words, f.pass.pooled.pool.largest}) stage.compute_at(pass.output, channel);
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

void reference(BatchNormPoolBackward &f) {
    reference(f.sums);
    BatchNormBackwardData &pass = f.pass.data;
    pass_of_channels(pass, pass.d_input, f.sums.stats.d_gamma);
    f.pass.pool.sum.compute_at(pass.d_input, channel);
    f.pass.pool.choice.compute_at(f.pass.pool.sum, f.pass.pool.windows.x);
}

}  // namespace halcyon
