// What the generators of batch normalisation's statistics share, with the pass behind or without.
#pragma once

#include "generators/layer_generator.h"
#include "generators/layers/batch_norm.h"

#include <Halide.h>

namespace halcyon {

/// Base of the generator of kernel `T::kernel`, which makes the statistics and perhaps more.
template<typename T>
class StatisticsGenerator : public LayerGenerator<T> {
    using Activations = Halide::Buffer<float, 4>;
    using Channels = Halide::Buffer<float, 1>;

public:
    Halide::GeneratorInput<Activations> input{"input"};
    Halide::GeneratorInput<Channels> gamma{"gamma"}, beta{"beta"};
    Halide::GeneratorOutput<Channels> mean{"mean"}, inv_std{"inv_std"}, scale{"scale"}, shift{"shift"};
    Halide::GeneratorOutput<Channels> moving_mean{"moving_mean"}, moving_variance{"moving_variance"};

    /// A derived class may add inputs: a kernel's inputs come first whatever the order of declaration.
    bool allow_out_of_order_inputs_and_outputs() const override { return true; }

protected:
    /// Whether the entry merges the tiles by rows.
    bool by_rows() const { return this->entry.value() == "rows" || this->entry.value() == "channels"; }

    void make_statistics(BatchNormStats &stats) {
        mean = stats.mean;
        inv_std = stats.inv_std;
        scale = stats.scale;
        shift = stats.shift;
        moving_mean = stats.moving_mean;
        moving_variance = stats.moving_variance;
        this->place("tiles", stats.tile);
    }

    void constrain_statistics() {
        this->input_activations(input);
        this->channel_values(gamma, beta, mean, inv_std, scale, shift, moving_mean, moving_variance);
    }
};

}  // namespace halcyon
