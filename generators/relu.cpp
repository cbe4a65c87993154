#include "generators/layers/relu.h"

#include "generators/layer_generator.h"
#include "schedules/schedules.h"

#include <optional>

namespace halcyon {
namespace {

using Halide::Buffer;

class ReluForwardGenerator : public LayerGenerator<ReluForwardGenerator> {
public:
    static constexpr const char *kernel = "relu_fwd";
    Input<Buffer<float, 4>> input{"input"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(input);
        output = stages->output;
    }

    void schedule() {
        input_activations(input, output);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<ReluForward> stages;
};

class ReluBackwardGenerator : public LayerGenerator<ReluBackwardGenerator> {
public:
    static constexpr const char *kernel = "relu_bwd";
    Input<Buffer<float, 4>> d_output{"d_output"}, output{"output"};
    Output<Buffer<float, 4>> d_input{"d_input"};

    void generate() {
        stages.emplace(d_output, output);
        d_input = stages->d_input;
    }

    void schedule() {
        input_activations(d_output, output, d_input);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<ReluBackward> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::ReluForwardGenerator, relu_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::ReluBackwardGenerator, relu_bwd)
