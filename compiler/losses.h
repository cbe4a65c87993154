// The losses. A loss is one class in losses.cpp: what it takes from the last layer, what it reads and writes of the runtime's, its forward
// calls and its backward calls.
#pragma once

#include "compiler/layers/layer.h"
#include "compiler/options.h"
#include "plan/plan.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace halcyon {

class Loss {
public:
    virtual ~Loss() = default;

    FeatureMap in;  // what the last layer makes

    /// The activation of the last layer that it takes in: it is computed from logits. "": it takes in none.
    virtual std::string activation() const = 0;

    /// How many classes there are to tell apart: the probabilities of an image. 0 where units are no classes.
    virtual int classes() const { return 0; }

    /// How many targets an image has, one for each unit of the last layer; 0 where it has a label. Those of classes are their shares.
    virtual int units() const { return 0; }

    /// What is reported beside it.
    virtual Metric metric() const { return Metric::accuracy; }

    /// Throws std::invalid_argument with the reason where it cannot take `in`.
    virtual void check() const = 0;

    /// What it reads of the data set: buffers that the runtime binds by their names.
    virtual std::vector<Buffer> targets() const = 0;

    /// What it writes for the runtime: the predictions, and for each image the loss and what else is reported.
    virtual std::vector<Buffer> metrics() const = 0;

    /// Appends the forward calls, which write the metrics. `output` is the value that the last layer made.
    virtual void lower_forward(Lowering &lowering, int output) const = 0;

    /// In training, behind lower_forward(): appends the backward calls and adds the gradient of `output`, by which backward begins.
    virtual void lower_backward(Lowering &lowering, int output) const = 0;
};

/// Makes the loss for what the last layer makes: of one unit it may be another than of many.
using MakeLoss = std::function<std::unique_ptr<Loss>(const FeatureMap &in)>;

/// The loss that a model file names. Throws std::invalid_argument with the reason.
MakeLoss read_loss(Options &options);

}  // namespace halcyon
