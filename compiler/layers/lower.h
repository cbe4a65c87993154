// Calls that several layers make, each with the call of its gradient. They return the value that they make.
#pragma once

#include "compiler/graph.h"
#include "compiler/layers/choices.h"
#include "compiler/layers/layer.h"

namespace halcyon {

/// A row on `input`, which makes the layer's output, and the row that takes the gradient back.
int lower_row(Lowering &lowering, const Layer &layer, const Link &link, int input);

/// A call with one input and one output, whatever it names them, and the call that takes the gradient back. That may read either again, by
/// the same name.
int lower_call(Lowering &lowering, const Layer &layer, const char *core, const char *backward, const Shape &shape, int input);

/// `input` where the activation is linear, or left to the loss.
int lower_activation(Lowering &lowering, const Layer &layer, const ActivationChoice &activation, int input);

}  // namespace halcyon
