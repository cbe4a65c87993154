// What all kernel generators share: the shape as generator parameters, the chosen menu entry, the buffers' strides, the workspaces.
#pragma once

#include "plan/menu.h"
#include "plan/shape.h"

#include <Halide.h>

#include <map>
#include <string>

namespace halcyon {

/// Base of the generator of kernel `T::kernel`. A derived class declares its inputs and outputs, builds the algorithm's stages in
/// generate() and applies the entry to them in schedule().
template<typename T>
class LayerGenerator : public Halide::Generator<T> {
public:
    Halide::GeneratorParam<std::string> set{"set", "reference"}, entry{"entry", "reference"};
    Halide::GeneratorParam<int> in_h{"in_h", 1}, in_w{"in_w", 1}, in_c{"in_c", 1};
    Halide::GeneratorParam<int> out_h{"out_h", 1}, out_w{"out_w", 1}, out_c{"out_c", 1};
    Halide::GeneratorParam<int> kernel_h{"kernel_h", 1}, kernel_w{"kernel_w", 1}, stride_h{"stride_h", 1}, stride_w{"stride_w", 1};
    Halide::GeneratorParam<int> pad_top{"pad_top", 0}, pad_left{"pad_left", 0};
    Halide::GeneratorParam<int> pool_h{"pool_h", 1}, pool_w{"pool_w", 1};
    Halide::GeneratorParam<int> pool_stride_h{"pool_stride_h", 1}, pool_stride_w{"pool_stride_w", 1};
    Halide::GeneratorParam<int> pool_pad_top{"pool_pad_top", 0}, pool_pad_left{"pool_pad_left", 0};
    Halide::GeneratorParam<int> pooled_h{"pooled_h", 1}, pooled_w{"pooled_w", 1};
    Halide::GeneratorParam<int> tile{"tile", 0}, batch{"batch", 0}, relu{"relu", 0}, dropout{"dropout", 0}, elements{"elements", 0};
    Halide::GeneratorParam<int> floats{"floats", 0};
    Halide::GeneratorParam<float> image_scale{"image_scale", 0}, image_offset{"image_offset", 0};
    Halide::GeneratorParam<float> epsilon{"epsilon", 0}, momentum{"momentum", 0};

    /// Adds the entry's workspaces to the outputs.
    void configure() {
        for (const Entry &candidate : menu(T::kernel))
            if (candidate.name == entry.value() && candidate.workspaces)
                for (const Workspace &workspace : candidate.workspaces(shape(), schedule_set()))
                    workspaces_[workspace.name] = {
                        this->template add_output<Halide::Buffer<>>(workspace.name, Halide::Float(32), int(workspace.extents.size())),
                        workspace.extents};
    }

protected:
    Shape shape() const {
        return {in_h,    in_w,     in_c,   out_h,   out_w,         out_c,         kernel_h,     kernel_w,      stride_h, stride_w,
                pad_top, pad_left, pool_h, pool_w,  pool_stride_h, pool_stride_w, pool_pad_top, pool_pad_left, pooled_h, pooled_w,
                tile,    batch,    relu,   dropout, elements,      floats,        image_scale,  image_offset,  epsilon,  momentum};
    }

    Set schedule_set() const { return select_sets({set.value()}).front(); }

    /// Where the entry asks for the workspace `name`, `stage` is stored there instead of in memory of the kernel's own.
    void place(const std::string &name, const Halide::Func &stage) {
        const auto found = workspaces_.find(name);
        if (found == workspaces_.end()) return;
        auto &[output, extents] = found->second;
        *output = stage;
        dense(*output, extents);
    }

    /// Activations (c, x, y, n): the extents are known, that of the batch where the shape says so. A tuned entry may also count on the
    /// set's storage order.
    template<typename Buffer>
    void activations(Buffer &buffer, int channels, int width, int height) const {
        buffer.dim(0).set_bounds(0, channels);
        buffer.dim(1).set_bounds(0, width);
        buffer.dim(2).set_bounds(0, height);
        buffer.dim(3).set_min(0);
        if (batch > 0) buffer.dim(3).set_extent(Halide::Expr(batch));
        if (entry.value() == "reference") return;
        if (schedule_set().order == StorageOrder::hwnc) {
            const Halide::Expr images = buffer.dim(3).extent();
            buffer.dim(3).set_stride(channels);
            buffer.dim(1).set_stride(images * channels);
            buffer.dim(2).set_stride(images * (channels * width));
        } else {
            buffer.dim(1).set_stride(channels);
            buffer.dim(2).set_stride(channels * width);
            buffer.dim(3).set_stride(channels * width * height);
        }
    }

    template<typename... Buffers>
    void input_activations(Buffers &...buffers) const {
        (activations(buffers, in_c, in_w, in_h), ...);
    }

    template<typename Buffer>
    void output_activations(Buffer &buffer) const {
        activations(buffer, out_c, out_w, out_h);
    }

    /// A value for each input channel.
    template<typename... Buffers>
    void channel_values(Buffers &...buffers) const {
        (dense(buffers, {in_c}), ...);
    }

    /// Everything else is dense, the first dimension innermost.
    template<typename Buffer>
    static void dense(Buffer &buffer, const std::vector<int> &extents) {
        int stride = 1;
        for (int d = 0; d < int(extents.size()); d++) {
            buffer.dim(d).set_bounds(0, extents[d]).set_stride(stride);
            stride *= extents[d];
        }
    }

    /// An autoscheduler also wants to know how large each argument may be: as large as it must be, and of the batch 64 images.
    Halide::Pipeline build_pipeline() override {
        const Halide::Pipeline pipeline = Halide::Generator<T>::build_pipeline();
        if (entry.value() == "autoscheduled") estimate_arguments();
        return pipeline;
    }

private:
    static Halide::Expr estimate(const Halide::Expr &extent) { return extent.defined() && is_const(extent) ? extent : 64; }

    void estimate_arguments() {
        for (const auto &argument : this->arginfos()) {
            if (argument.dir == Halide::Internal::ArgInfoDirection::Output)
                for (Halide::Func &output : this->output_func(argument.name)) estimate_output(output);
            else
                for (Halide::Parameter &input : this->input_parameter(argument.name)) estimate_input(input);
        }
    }

    static void estimate_input(Halide::Parameter &input) {
        for (int d = 0; d < input.dimensions(); d++) {
            input.set_min_constraint_estimate(d, 0);
            input.set_extent_constraint_estimate(d, estimate(input.extent_constraint(d)));
        }
    }

    static void estimate_output(Halide::Func &output) {
        for (Halide::OutputImageParam &buffer : output.output_buffers())
            for (int d = 0; d < output.dimensions(); d++) buffer.dim(d).set_estimate(0, estimate(buffer.parameter().extent_constraint(d)));
    }

    struct WorkspaceOutput {
        Halide::GeneratorOutput<Halide::Buffer<>> *output;
        std::vector<int> extents;
    };
    std::map<std::string, WorkspaceOutput> workspaces_;
};

}  // namespace halcyon
