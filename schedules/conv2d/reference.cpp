#include "generators/layers/conv2d.h"

#include "generators/layers/conv2d_pool.h"
#include "generators/layers/conv2d_softmax_cross_entropy.h"
#include "generators/layers/conv2d_winograd.h"
#include "schedules/schedules.h"

namespace halcyon {
namespace {

// One pixel of one image of `output` at a time, its channels innermost: they lie side by side in the weights.
void pixel_sums(Conv2dForward &f, Halide::Func output, const Halide::Var &x) {
    f.sum.compute_at(output, x).update().reorder(f.k, f.taps.x, f.taps.y, f.taps.z);
}

void pixel_sums(Conv2dBackwardData &f, Halide::Func output, const Halide::Var &x) {
    f.sum.compute_at(output, x).update().reorder(f.c, f.taps.x, f.taps.y, f.taps.z);
}

void reference(Conv2dForward &f) {
    f.output.parallel(f.n);
    pixel_sums(f, f.output, f.x);
}

void reference(Conv2dSoftmaxCrossEntropy<Conv2dForward> &f, const Shape &s, const Set &set) {
    apply_schedule(f.loss, pooled_shape(s), set, "reference");
    f.convolution.output.compute_at(f.loss.forward.probabilities, f.loss.forward.n);
    f.convolution.sum.compute_at(f.convolution.output, f.convolution.k);
}

void reference(Conv2dFold &f) { f.shifted.compute_at(f.folded_bias, f.k); }

void reference(Conv2dFoldBackward &f) {
    f.d_beta.compute_with(f.d_gamma, f.c);
    f.sums.compute_at(f.d_gamma, f.c);
}

void reference(WinogradWeights &f) { f.weight_columns.compute_at(f.transformed_weights, f.k); }

// One tile of one image at a time, all its channels transformed on the stack (which only MemoryType::Register takes whatever their number).
void reference(Conv2dForwardWinograd &f) {
    Halide::Var i{"i"}, j{"j"};
    f.output.split(f.x, f.tx, i, f.outputs, Halide::TailStrategy::GuardWithIf)
        .split(f.y, f.ty, j, f.outputs, Halide::TailStrategy::GuardWithIf)
        .reorder(i, j, f.k, f.tx, f.ty, f.n);
    f.products.compute_at(f.output, f.k).bound_extent(f.tx, 1).bound_extent(f.ty, 1);
    f.sum.compute_at(f.products, f.k);
    f.transformed_input.compute_at(f.output, f.tx).bound_extent(f.tx, 1).bound_extent(f.ty, 1).store_in(Halide::MemoryType::Register);
}

// One row of windows of one image at a time, the convolution's rows that it takes on the stack: no more than `rows`.
template<typename Convolution>
void row_of_windows(Conv2dPoolForward<Convolution> &f, const Halide::Expr &rows) {
    auto &[convolution, pool] = f;
    reference(convolution);
    pool.output.parallel(pool.n);
    convolution.output.serial(convolution.n)
        .compute_at(pool.output, pool.y)
        .bound_storage(convolution.y, rows)
        .store_in(Halide::MemoryType::Register);
}

void reference(Conv2dPoolForward<Conv2dForward> &f) { row_of_windows(f, f.pool.taps.y.extent()); }

// Whole rows of tiles, one above and one below among them for all that Halide can tell.
void reference(Conv2dPoolForward<Conv2dForwardWinograd> &f) {
    const int outputs = f.convolution.outputs;
    row_of_windows(f, f.pool.taps.y.extent() + 3 * outputs);
    f.convolution.output.align_bounds(f.convolution.y, outputs);
}

void reference(Conv2dBackwardData &f) {
    f.d_input.parallel(f.n);
    pixel_sums(f, f.d_input, f.x);
}

void reference(Conv2dBackwardWeights &f) {
    f.d_weights.update().reorder(f.k, f.pixels.x, f.pixels.y, f.pixels.z, f.c).parallel(f.c);
    f.bias_rows.compute_at(f.d_bias, f.rows);
}

// One pixel of one image at a time, its gradients on the stack.
void reference(Conv2dPoolBackwardWeights &f) {
    Conv2dBackwardWeightsByRows &weights = f.weights;
    weights.row_sums.compute_root()
        .update()
        .reorder(weights.k, weights.column, weights.pixels.x, weights.pixels.y, weights.pixels.z, weights.y)
        .parallel(weights.y);
    f.d_convolution.compute_at(weights.row_sums, weights.pixels.x);
    f.pool.sum.compute_at(f.d_convolution, f.pool.c);
    f.pool.choice.compute_at(f.pool.sum, f.pool.windows.x);
}

const Schedules<Conv2dForward> forward_schedules{{"reference", reference}};
const Schedules<Conv2dForwardWinograd> winograd_schedules{{"reference", reference}};
const Schedules<WinogradWeights> winograd_weights_schedules{{"reference", reference}};
const Schedules<Conv2dPoolForward<Conv2dForward>> pool_schedules{{"reference", reference}};
const Schedules<Conv2dPoolForward<Conv2dForwardWinograd>> winograd_pool_schedules{{"reference", reference}};
const Schedules<Conv2dSoftmaxCrossEntropy<Conv2dForward>> loss_schedules{{"reference", reference}};
const Schedules<Conv2dFold> fold_schedules{{"reference", reference}};
const Schedules<Conv2dFoldBackward> fold_backward_schedules{{"reference", reference}};
const Schedules<Conv2dBackwardData> backward_data_schedules{{"reference", reference}};
const Schedules<Conv2dBackwardWeights> backward_weights_schedules{{"reference", reference}};
const Schedules<Conv2dPoolBackwardWeights> pool_backward_weights_schedules{{"reference", reference}};

}  // namespace
}  // namespace halcyon
