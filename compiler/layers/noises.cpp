// What is random in training and nothing in inference.
#include "compiler/layers/types.h"

#include "compiler/graph.h"
#include "plan/pointwise.h"
#include "plan/step.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace halcyon {
namespace {

/// Its gradient is dropped by the same row: the same elements fall to the same random numbers.
class Dropout : public Layer {
public:
    explicit Dropout(Options &options, std::string row = "dropout")
        : row_(std::move(row)), rate_(options.number("rate", 0, is_dropout_rate, dropout_rate_range)) {}

    FeatureMap infer() const override { return in[0]; }
    std::optional<double> dropout_rate() const override { return rate_; }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int input = inputs[0];
        if (!lowering.training()) return input;
        const AppliedLink dropout{row_, {{"step", lowering.external("step")}}, lowering.next_dropout()};
        const int output = lowering.activation(name, out);
        lowering.apply(name, dropout, input, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) {
            const int d_input = lowering.gradient(input);
            lowering.apply(name, dropout, d_output, d_input);
            lowering.add_gradient(name, input, d_input);
        });
        return output;
    }

private:
    std::string row_;
    double rate_;
};

/// The same, but each channel of an image is dropped or kept as one.
class SpatialDropout2d : public Dropout {
public:
    explicit SpatialDropout2d(Options &options) : Dropout(options, "spatialdropout") {}

    FeatureMap infer() const override {
        require_spatial(in[0]);
        return in[0];
    }
};

/// Noise in training, of which no gradient comes.
class GaussianNoise : public Layer {
public:
    explicit GaussianNoise(Options &options) : stddev_(options.number("stddev", 0, 1)) {}

    FeatureMap infer() const override { return in[0]; }

    int lower(Lowering &lowering, const std::vector<int> &inputs) const override {
        const int input = inputs[0];
        if (!lowering.training() || stddev_ == 0) return input;
        const int output = lowering.activation(name, out);
        lowering.apply(name, {"noise", {{"step", lowering.external("step")}}, lowering.next_noise(), {float(stddev_)}}, input, output);
        lowering.on_backward(output, [=, this, &lowering](int d_output) { lowering.add_gradient(name, input, d_output); });
        return output;
    }

private:
    double stddev_;
};

}  // namespace

LayerTypes noises() {
    return {
        {"dropout", layer_type<Dropout>("dropout")},
        {"gaussian_noise", layer_type<GaussianNoise>("gaussian_noise")},
        {"spatial_dropout2d", layer_type<SpatialDropout2d>("spatial_dropout2d")},
    };
}

}  // namespace halcyon
