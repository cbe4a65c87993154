// What is done to the images. The input kernel does the work.
#include "compiler/layers/types.h"

#include "compiler/graph.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace halcyon {
namespace {

class Rescaling : public Layer {
public:
    explicit Rescaling(Options &options)
        : scale_(options.number("scale", -most_value, most_value)), offset_(options.number("offset", 0, -most_value, most_value)) {}

    FeatureMap infer() const override { return in[0]; }
    bool scales_input() const override { return true; }

    void add_to(InputScaling &scaling) const override {
        Rescaled &last = scaling.last();
        last = {last.scale * scale_, last.offset * scale_ + offset_};
        const auto in_range = [](double value) { return std::abs(value) <= most_value; };
        if (!in_range(last.scale) || !in_range(1 / last.scale) || !in_range(last.offset))
            throw std::invalid_argument(fmt::format("with those before it the scale is {:.3g}, the offset {:.3g}; a magnitude of either is "
                                                    "{:.0e} at most, of a scale {:.0e} at least",
                                                    last.scale, last.offset, most_value, 1 / most_value));
    }

    int lower(Lowering &, const std::vector<int> &inputs) const override { return inputs[0]; }

private:
    double scale_, offset_;
};

/// Keras's, with the channel as its axis. What it does is in the input kernel, but its mean and variance are weights.
class Normalization : public Layer {
public:
    explicit Normalization(Options &options) {
        const bool mean = options.has("mean"), variance = options.has("variance");
        if (mean != variance)
            throw std::invalid_argument("\"mean\" and \"variance\" go together: give both, or none to take them from the images");
        if (!mean) return;
        mean_ = options.numbers("mean", -most_value, most_value);
        variance_ = options.numbers("variance", 0, most_value);
        if (mean_.size() != variance_.size())
            throw std::invalid_argument(fmt::format("\"mean\" has {} values, \"variance\" {}", mean_.size(), variance_.size()));
    }

    FeatureMap infer() const override {
        if (mean_.size() > 1 && int(mean_.size()) != in[0].c)
            throw std::invalid_argument(fmt::format("\"mean\" has {} values, the image {} channels", mean_.size(), in[0].c));
        return in[0];
    }

    std::vector<Weight> weights() const override { return {statistic("mean", mean_), statistic("variance", variance_)}; }

    bool scales_input() const override { return true; }

    void add_to(InputScaling &scaling) const override {
        if (scaling.normalization)
            throw std::invalid_argument(fmt::format("the image is normalised already, by \"{}\"", scaling.normalization->name));
        scaling.normalization = this;
    }

    int lower(Lowering &, const std::vector<int> &inputs) const override { return inputs[0]; }

private:
    /// One value stands for all channels.
    Weight statistic(const std::string &statistic, const std::vector<double> &given) const {
        const int c = in[0].c;
        Weight weight{statistic, {c}, {c}, false, "image_" + statistic};
        if (given.empty()) return weight;
        weight.initializer = "given";
        for (int i = 0; i < c; ++i) weight.values.push_back(float(given.size() == 1 ? given[0] : given[std::size_t(i)]));
        return weight;
    }

    std::vector<double> mean_, variance_;  // empty: to be taken from the images
};

}  // namespace

LayerTypes scalings() {
    return {
        {"normalization", layer_type<Normalization>("normalization")},
        {"rescaling", layer_type<Rescaling>("rescaling")},
    };
}

}  // namespace halcyon
