#include "generators/kernel_generator.h"

namespace halcyon {
namespace {

using Halide::Buffer;
using Halide::Expr;
using Halide::Func;

Halide::Type halide_type_of(const std::string &name) {
    if (name == "uint8") return Halide::UInt(8);
    if (name == "uint16") return Halide::UInt(16);
    if (name == "uint32") return Halide::UInt(32);
    if (name == "int32") return Halide::Int(32);
    return Halide::Float(32);
}

bool is_activation(const KernelArgument &argument) { return argument.extents.size() == 4 && argument.extents[3] == batch_extent; }

/// Activations (c, x, y, n): the extents are known, that of the batch where the shape says so. A tuned entry may also count on the set's
/// storage order.
template<typename Argument>
void constrain_activation(Argument &buffer, const std::vector<int> &extents, int batch, const Set &set, bool order_is_known) {
    for (int d = 0; d < 3; d++) buffer.dim(d).set_bounds(0, extents[d]);
    buffer.dim(3).set_min(0);
    if (batch > 0) buffer.dim(3).set_extent(Expr(batch));
    if (!order_is_known) return;
    const int channels = extents[0], width = extents[1], height = extents[2];
    if (set.order == StorageOrder::hwnc) {
        const Expr images = buffer.dim(3).extent();
        buffer.dim(3).set_stride(channels);
        buffer.dim(1).set_stride(images * channels);
        buffer.dim(2).set_stride(images * (channels * width));
    } else {
        buffer.dim(1).set_stride(channels);
        buffer.dim(2).set_stride(channels * width);
        buffer.dim(3).set_stride(channels * width * height);
    }
}

/// Everything else is dense, the first dimension innermost; only the last extent may be unknown.
template<typename Argument>
void constrain_dense(Argument &buffer, const std::vector<int> &extents) {
    int stride = 1;
    for (int d = 0; d < int(extents.size()); d++) {
        if (extents[d] > 0)
            buffer.dim(d).set_bounds(0, extents[d]);
        else
            buffer.dim(d).set_min(0);
        if (d > 0) buffer.dim(d).set_stride(stride);
        stride *= extents[d];
    }
}

Expr estimate(const Expr &extent) { return extent.defined() && is_const(extent) ? extent : 64; }

void estimate_input(Halide::Parameter &input) {
    for (int d = 0; d < input.dimensions(); d++) {
        input.set_min_constraint_estimate(d, 0);
        input.set_extent_constraint_estimate(d, estimate(input.extent_constraint(d)));
    }
}

void estimate_output(Func &output) {
    for (Halide::OutputImageParam &buffer : output.output_buffers())
        for (int d = 0; d < output.dimensions(); d++) buffer.dim(d).set_estimate(0, estimate(buffer.parameter().extent_constraint(d)));
}

}  // namespace

void KernelGenerator::configure() {
    spec_ = parse_kernel_name(kernel.value());
    std::vector<Halide::Type> slab_types;
    for (const KernelArgument &argument : arguments_of(spec_)) {
        const Halide::Type type = halide_type_of(argument.type);
        const int dimensions = int(argument.extents.size());
        if (!argument.is_output)
            inputs_[argument.name] = add_input<Buffer<>>(argument.name, type, dimensions);
        else if (argument.is_updated && spec_.of().sizes == Sizes::slab)
            slab_types.push_back(type);
        else
            outputs_[argument.name] = add_output<Buffer<>>(argument.name, type, dimensions);
    }
    if (!slab_types.empty()) slabs_ = add_output<Func>("slabs", slab_types, 1);
    for (const Entry &candidate : menu(spec_.core))
        if (candidate.name == entry.value() && candidate.workspaces)
            for (const Workspace &workspace : candidate.workspaces(shape(), schedule_set())) {
                outputs_[workspace.name] = add_output<Buffer<>>(workspace.name, Halide::Float(32), int(workspace.extents.size()));
                workspaces_[workspace.name] = workspace.extents;
            }
}

void KernelGenerator::schedule() {
    const Set of = schedule_set();
    const bool order_is_known = entry.value() != "reference";
    const auto constrain = [&](auto &buffer, const KernelArgument &argument) {
        if (is_activation(argument))
            constrain_activation(buffer, argument.extents, shape().batch, of, order_is_known);
        else
            constrain_dense(buffer, argument.extents);
    };
    for (const KernelArgument &argument : arguments_of(spec_)) {
        if (!argument.is_output)
            constrain(*inputs_.at(argument.name), argument);
        else if (slabs_)
            Func(*slabs_).output_buffers().front().dim(0).set_bounds(0, shape().elements);  // the others follow
        else
            constrain(*outputs_.at(argument.name), argument);
    }
    for (const auto &[name, extents] : workspaces_) constrain_dense(*outputs_.at(name), extents);
    apply_entry_();
    for (const auto &[place, chain] : chains_)
        schedule_chain(chain, extents_of(spec_.of().find(place)->role, shape()).front(), of, entry.value());
}

ChainedActivation KernelGenerator::activation_at(const Argument &place) {
    const std::vector<int> extents = extents_of(place.role, shape());
    ChainedActivation activation{extents[0], extents[1], extents[2], {}, {}, {}};
    for (const Argument &argument : spec_.of().inputs)
        if (extents_of(argument.role, shape()).size() == 4 && extents_of(argument.role, shape())[3] == batch_extent) {
            activation.images = images(argument.name);
            break;
        }
    if (inputs_.contains("labels")) activation.records = extent("labels", 0);
    if (inputs_.contains("targets")) activation.records = extent("targets", 1);
    if (inputs_.contains("step")) activation.words = extent("step", 0);
    return activation;
}

BoundChain KernelGenerator::chain(const std::string &place) {
    const Chain &links = spec_.chain(place);
    if (links.empty()) return {};
    if (const auto known = chains_.find(place); known != chains_.end()) return known->second;
    const ChainedActivation activation = activation_at(*spec_.of().find(place));
    const std::vector<KernelArgument> arguments = arguments_of(spec_);
    std::vector<BoundLink> bound;
    for (int i = 0; i < int(links.size()); i++) {
        std::map<std::string, Func> operands;
        for (const RowOperand &operand : find_row(links[i].row).operands) {
            const bool is_other_input = operand.beside == Beside::element && links[i].same_as >= 0;
            operands[operand.name] =
                raw_input(is_other_input ? arguments.at(links[i].same_as).name : operand_name(spec_, place, i, operand));
        }
        bound.push_back(bind_link(links[i], operands, activation));
    }
    return chains_[place] = BoundChain(std::move(bound));
}

void KernelGenerator::place(const std::string &name, const Func &stage) {
    if (workspaces_.contains(name)) output(name, stage);
}

Halide::Pipeline KernelGenerator::build_pipeline() {
    const Halide::Pipeline pipeline = Halide::Generator<KernelGenerator>::build_pipeline();
    if (entry.value() != "autoscheduled") return pipeline;
    for (const auto &argument : arginfos()) {
        if (argument.dir == Halide::Internal::ArgInfoDirection::Output)
            for (Func &output : output_func(argument.name)) estimate_output(output);
        else
            for (Halide::Parameter &input : input_parameter(argument.name)) estimate_input(input);
    }
    return pipeline;
}

}  // namespace halcyon

HALIDE_REGISTER_GENERATOR(halcyon::KernelGenerator, kernel)
