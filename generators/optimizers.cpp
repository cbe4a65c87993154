#include "generators/layers/optimizers.h"

#include "generators/layer_generator.h"
#include "schedules/schedules.h"

#include <optional>

namespace halcyon {
namespace {

using Halide::Buffer;
using Halide::Func;

class AdamGenerator : public LayerGenerator<AdamGenerator> {
public:
    static constexpr const char *kernel = "adam";
    Input<Buffer<float, 1>> gradients{"gradients"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Func> slabs{"slabs", {Halide::Float(32), Halide::Float(32), Halide::Float(32)}, 1};  // parameters, first and second moment

    void generate() {
        stages.emplace(gradients, step);
        slabs = stages->slabs;
    }

    void schedule() {
        dense(gradients, {elements});
        Func(slabs).output_buffers().front().dim(0).set_bounds(0, elements);  // the others follow
        step.dim(0).set_min(0);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<Adam> stages;
};

class SgdGenerator : public LayerGenerator<SgdGenerator> {
public:
    static constexpr const char *kernel = "sgd";
    Input<Buffer<float, 1>> gradients{"gradients"};
    Input<Buffer<uint32_t, 1>> step{"step"};
    Output<Func> slabs{"slabs", {Halide::Float(32), Halide::Float(32)}, 1};  // parameters, velocity

    void generate() {
        stages.emplace(gradients, step);
        slabs = stages->slabs;
    }

    void schedule() {
        dense(gradients, {elements});
        Func(slabs).output_buffers().front().dim(0).set_bounds(0, elements);  // the others follow
        step.dim(0).set_min(0);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<Sgd> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::AdamGenerator, adam)
HALIDE_REGISTER_GENERATOR(halcyon::SgdGenerator, sgd)
