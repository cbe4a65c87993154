#include "generators/layers/input.h"

#include "generators/layer_generator.h"
#include "schedules/schedules.h"

#include <optional>

namespace halcyon {
namespace {

using Halide::Buffer;

/// The arguments that all kernels have which gather a batch of images. Those are of either type.
template<typename T>
class InputGenerator : public LayerGenerator<T> {
public:
    void configure() {
        LayerGenerator<T>::configure();
        images = this->template add_input<Buffer<>>("images", this->floats ? Halide::Float(32) : Halide::UInt(8), 4);
        indices = this->template add_input<Buffer<int32_t, 1>>("indices");
        step = this->template add_input<Buffer<uint32_t, 1>>("step");
    }

protected:
    Halide::GeneratorInput<Buffer<>> *images = nullptr;
    Halide::GeneratorInput<Buffer<int32_t, 1>> *indices = nullptr;
    Halide::GeneratorInput<Buffer<uint32_t, 1>> *step = nullptr;

    void constrain_data() {
        const int c = this->in_c, w = this->in_w, h = this->in_h;
        images->dim(0).set_bounds(0, c);
        images->dim(1).set_bounds(0, w).set_stride(c);
        images->dim(2).set_bounds(0, h).set_stride(w * c);
        images->dim(3).set_min(0).set_stride(h * w * c);
        indices->dim(0).set_min(0);
        step->dim(0).set_min(0);
    }
};

class InputForwardGenerator : public InputGenerator<InputForwardGenerator> {
public:
    static constexpr const char *kernel = "input_fwd";
    Output<Buffer<float, 4>> output{"output"};

    void generate() {
        stages.emplace(*images, *indices, *step, images->dim(3).extent(), shape());
        output = stages->output;
    }

    void schedule() {
        constrain_data();
        input_activations(output);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<InputForward> stages;
};

class InputNormalizationForwardGenerator : public InputGenerator<InputNormalizationForwardGenerator> {
public:
    static constexpr const char *kernel = "input_normalization_fwd";
    Output<Buffer<float, 4>> output{"output"};

    void configure() {
        InputGenerator::configure();
        center = add_input<Buffer<float, 1>>("center");
        factor = add_input<Buffer<float, 1>>("factor");
    }

    void generate() {
        stages.emplace(*images, *indices, *step, *center, *factor, images->dim(3).extent(), shape());
        output = stages->output;
    }

    void schedule() {
        constrain_data();
        input_activations(output);
        channel_values(*center, *factor);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    Halide::GeneratorInput<Buffer<float, 1>> *center = nullptr, *factor = nullptr;
    std::optional<InputForward> stages;
};

class NormalizationFoldGenerator : public LayerGenerator<NormalizationFoldGenerator> {
public:
    static constexpr const char *kernel = "normalization_fold";
    Input<Buffer<float, 1>> mean{"mean"}, variance{"variance"};
    Output<Buffer<float, 1>> center{"center"}, factor{"factor"};

    void generate() {
        stages.emplace(mean, variance, shape());
        center = stages->center;
        factor = stages->factor;
    }

    void schedule() {
        channel_values(mean, variance, center, factor);
        apply_schedule(*stages, shape(), schedule_set(), entry);
    }

private:
    std::optional<NormalizationFold> stages;
};

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::InputForwardGenerator, input_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::InputNormalizationForwardGenerator, input_normalization_fwd)
HALIDE_REGISTER_GENERATOR(halcyon::NormalizationFoldGenerator, normalization_fold)
