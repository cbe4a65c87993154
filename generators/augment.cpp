#include "generators/layers/augment.h"

#include "generators/layer_generator.h"
#include "plan/augment.h"
#include "schedules/schedules.h"

#include <optional>
#include <type_traits>

namespace halcyon {
namespace {

template<typename Pixel>
class AugmentGenerator : public LayerGenerator<AugmentGenerator<Pixel>> {
    using Records = Halide::Buffer<Pixel, 4>;

public:
    static constexpr const char *kernel = std::is_same_v<Pixel, float> ? "augment_float" : "augment";
    Halide::GeneratorInput<Records> records{"records"};
    Halide::GeneratorInput<Halide::Buffer<int32_t, 1>> indices{"indices"};
    Halide::GeneratorInput<Halide::Buffer<int32_t, 2>> augment{"augment"};
    Halide::GeneratorOutput<Records> augmented{"augmented"};

    void generate() {
        stages.emplace(records, indices, augment, records.dim(3).extent(), this->shape());
        augmented = stages->augmented;
    }

    void schedule() {
        images(records);
        images(augmented);
        indices.dim(0).set_min(0);
        augment.dim(0).set_bounds(0, augment_words);
        augment.dim(1).set_min(0).set_stride(augment_words);
        apply_schedule(*stages, this->shape(), this->schedule_set(), this->entry);
    }

private:
    /// Whole images one after the other, the channels of a pixel side by side.
    template<typename Buffer>
    void images(Buffer &buffer) {
        const Shape s = this->shape();
        buffer.dim(0).set_bounds(0, s.in_c);
        buffer.dim(1).set_bounds(0, s.in_w).set_stride(s.in_c);
        buffer.dim(2).set_bounds(0, s.in_h).set_stride(s.in_c * s.in_w);
        buffer.dim(3).set_min(0).set_stride(s.in_c * s.in_w * s.in_h);
    }

    std::optional<Augment<Pixel>> stages;
};

using AugmentBytesGenerator = AugmentGenerator<uint8_t>;
using AugmentFloatsGenerator = AugmentGenerator<float>;

}  // namespace
}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::AugmentBytesGenerator, augment)
HALIDE_REGISTER_GENERATOR(halcyon::AugmentFloatsGenerator, augment_float)
