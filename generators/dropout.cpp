#include "generators/layers/dropout.h"

#include "generators/layer_generator.h"
#include "schedules/schedules.h"

#include <optional>

namespace halcyon {
namespace {

using Halide::Buffer;

class DropoutGenerator : public LayerGenerator<DropoutGenerator> {
public:
    static constexpr const char *kernel = "dropout";
    Input<Buffer<float, 4>> input{"input"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(input, step, shape());
        output = stages->output;
    }

    void schedule() {
        input_activations(input, output);
        step.dim(0).set_min(0);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<halcyon::Dropout> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::DropoutGenerator, dropout)
