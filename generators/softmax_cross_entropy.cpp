#include "generators/layers/softmax_cross_entropy.h"

#include "generators/layer_generator.h"
#include "schedules/schedules.h"

#include <optional>

namespace halcyon {
namespace {

using Halide::Buffer;

class SoftmaxCrossEntropyForwardGenerator : public LayerGenerator<SoftmaxCrossEntropyForwardGenerator> {
public:
    static constexpr const char *kernel = "softmax_cross_entropy_fwd";
    Input<Buffer<float, 4>> logits{"logits"};
    Input<Buffer<uint16_t, 1>> labels{"labels"};
    Input<Buffer<int32_t, 1>> indices{"indices"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Buffer<float, 4>> probabilities{"probabilities"};
    Output<Buffer<float, 1>> loss{"loss"}, correct{"correct"};

    void generate() {
        stages.emplace(logits, labels, indices, step, labels.dim(0).extent(), step.dim(0).extent(), shape());
        probabilities = stages->probabilities;
        loss = stages->loss;
        correct = stages->correct;
    }

    void schedule() {
        input_activations(logits, probabilities);
        labels.dim(0).set_min(0);
        indices.dim(0).set_min(0);
        step.dim(0).set_min(0);
        const Halide::Expr images = probabilities.dim(3).extent();
        loss.dim(0).set_bounds(0, images);
        correct.dim(0).set_bounds(0, images);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<SoftmaxCrossEntropyForward> stages;
};

class SoftmaxCrossEntropyBackwardGenerator : public LayerGenerator<SoftmaxCrossEntropyBackwardGenerator> {
public:
    static constexpr const char *kernel = "softmax_cross_entropy_bwd";
    Input<Buffer<float, 4>> probabilities{"probabilities"};
    Input<Buffer<uint16_t, 1>> labels{"labels"};
    Input<Buffer<int32_t, 1>> indices{"indices"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Buffer<float, 4>> d_logits{"d_logits"};

    void generate() {
        stages.emplace(probabilities, labels, indices, step, labels.dim(0).extent(), step.dim(0).extent(), shape());
        d_logits = stages->d_logits;
    }

    void schedule() {
        input_activations(probabilities, d_logits);
        labels.dim(0).set_min(0);
        indices.dim(0).set_min(0);
        step.dim(0).set_min(0);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<SoftmaxCrossEntropyBackward> stages;
};

class SoftmaxCrossEntropyGenerator : public LayerGenerator<SoftmaxCrossEntropyGenerator> {
public:
    static constexpr const char *kernel = "softmax_cross_entropy";
    Input<Buffer<float, 4>> logits{"logits"};
    Input<Buffer<uint16_t, 1>> labels{"labels"};
    Input<Buffer<int32_t, 1>> indices{"indices"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Buffer<float, 4>> probabilities{"probabilities"};
    Output<Buffer<float, 1>> loss{"loss"}, correct{"correct"};
    Output<Buffer<float, 4>> d_logits{"d_logits"};

    void generate() {
        stages.emplace(logits, labels, indices, step, labels.dim(0).extent(), step.dim(0).extent(), shape());
        probabilities = stages->forward.probabilities;
        loss = stages->forward.loss;
        correct = stages->forward.correct;
        d_logits = stages->backward.d_logits;
    }

    void schedule() {
        input_activations(logits, probabilities, d_logits);
        labels.dim(0).set_min(0);
        indices.dim(0).set_min(0);
        step.dim(0).set_min(0);
        const Halide::Expr images = probabilities.dim(3).extent();
        loss.dim(0).set_bounds(0, images);
        correct.dim(0).set_bounds(0, images);
        d_logits.dim(3).set_extent(images);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<SoftmaxCrossEntropy> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::SoftmaxCrossEntropyForwardGenerator, softmax_cross_entropy_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::SoftmaxCrossEntropyBackwardGenerator, softmax_cross_entropy_bwd)
HALIDE_REGISTER_GENERATOR(halcyon::SoftmaxCrossEntropyGenerator, softmax_cross_entropy)
