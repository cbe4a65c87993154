#include "generators/layers/input.h"

#include "generators/layer_generator.h"
#include "schedules/schedules.h"

#include <optional>

namespace halcyon {
namespace {

using Halide::Buffer;

class InputForwardGenerator : public LayerGenerator<InputForwardGenerator> {
public:
    static constexpr const char *kernel = "input_fwd";
    Input<Buffer<uint8_t, 4>> images{"images"};
    Input<Buffer<int32_t, 1>> indices{"indices"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(images, indices, step, images.dim(3).extent(), shape());
        output = stages->output;
    }

    void schedule() {
        images.dim(0).set_bounds(0, in_c);
        images.dim(1).set_bounds(0, in_w).set_stride(in_c);
        images.dim(2).set_bounds(0, in_h).set_stride(int(in_w) * in_c);
        images.dim(3).set_min(0).set_stride(int(in_w) * in_h * in_c);
        indices.dim(0).set_min(0);
        step.dim(0).set_min(0);
        input_activations(output);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<InputForward> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::InputForwardGenerator, input_fwd)
