#include "compiler/layers/lower.h"

#include <utility>

namespace halcyon {

int lower_row(Lowering &lowering, const Layer &layer, const Link &link, int input) {
    const int output = lowering.activation(layer.name, layer.out);
    lowering.apply(layer.name, {.row = link.row, .constants = link.constants}, input, output);
    lowering.on_backward(output, [=, &lowering, &layer](int d_output) {
        const RowGradient &gradient = *find_row(link.row).gradient;
        const int d_input = lowering.gradient(input), read = gradient.reads == RowGradient::Reads::output ? output : input;
        lowering.apply(layer.name, {.row = gradient.row, .operands = {{gradient.operand, read}}, .constants = link.constants}, d_output,
                       d_input);
        lowering.add_gradient(layer.name, input, d_input);
    });
    return output;
}

int lower_call(Lowering &lowering, const Layer &layer, const char *core, const char *backward, const Shape &shape, int input) {
    const std::string &read = find_core(core).inputs.front().name, &made = find_core(core).outputs.front().name;
    const int output = lowering.activation(layer.name, layer.out);
    lowering.call(layer.name, core, shape, {{read, input}}, {{made, output}});
    lowering.on_backward(output, [=, &lowering, &layer](int d_output) {
        const int d_input = lowering.gradient(input);
        Operands again;
        for (const Argument &argument : find_core(backward).inputs)
            again.insert(argument.name, argument.name == read ? input : argument.name == made ? output : d_output);
        lowering.call(layer.name, backward, shape, std::move(again), {{find_core(backward).outputs.front().name, d_input}});
        lowering.add_gradient(layer.name, input, d_input);
    });
    return output;
}

int lower_activation(Lowering &lowering, const Layer &layer, const ActivationChoice &activation, int input) {
    if (layer.leaves_activation || activation.name == "linear") return input;
    return activation.link ? lower_row(lowering, layer, *activation.link, input)
                           : lower_call(lowering, layer, "softmax_fwd", "softmax_bwd", elementwise(layer.out), input);
}

}  // namespace halcyon
