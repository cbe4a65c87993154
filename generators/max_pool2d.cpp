#include "generators/layers/max_pool2d.h"

#include "generators/layer_generator.h"
#include "schedules/schedules.h"

#include <optional>

namespace halcyon {
namespace {

using Halide::Buffer;

class MaxPool2dForwardGenerator : public LayerGenerator<MaxPool2dForwardGenerator> {
public:
    static constexpr const char *kernel = "max_pool2d_fwd";
    Input<Buffer<float, 4>> input{"input"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(input, shape());
        output = stages->output;
    }

    void schedule() {
        input_activations(input);
        output_activations(output);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<MaxPool2dForward> stages;
};

class MaxPool2dBackwardGenerator : public LayerGenerator<MaxPool2dBackwardGenerator> {
public:
    static constexpr const char *kernel = "max_pool2d_bwd";
    Input<Buffer<float, 4>> d_output{"d_output"}, input{"input"};
    Output<Buffer<float, 4>> d_input{"d_input"};

    void generate() {
        stages.emplace(d_output, input, shape());
        d_input = stages->d_input;
    }

    void schedule() {
        output_activations(d_output);
        input_activations(input, d_input);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<MaxPool2dBackward> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::MaxPool2dForwardGenerator, max_pool2d_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::MaxPool2dBackwardGenerator, max_pool2d_bwd)
