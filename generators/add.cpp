#include "generators/layers/add.h"

#include "generators/layer_generator.h"
#include "schedules/schedules.h"

#include <optional>

namespace halcyon {
namespace {

using Halide::Buffer;

class AddGenerator : public LayerGenerator<AddGenerator> {
public:
    static constexpr const char *kernel = "add";
    Input<Buffer<float, 4>> a{"a"}, b{"b"};
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(a, b);
        output = stages->output;
    }

    void schedule() {
        input_activations(a, b, output);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<Add> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::AddGenerator, add)
