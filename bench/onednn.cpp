// oneDNN's convolutions (version 2) on the shapes of our kernels: it chooses the layouts, and nothing is reordered within the time.
#include "bench/benchmarks.h"

#include "runtime/engine/network.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <memory>
#include <omp.h>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace halcyon {
namespace {

using dnnl::convolution_backward_data;
using dnnl::convolution_backward_weights;
using dnnl::convolution_forward;
using dnnl::memory;

/// A primitive with its arguments in memory of their own.
class Convolution {
public:
    Convolution(const Kernel &kernel, int batch) : Convolution(kernel, kernel.shape, batch) {}

    void operator()() {
        primitive_.execute(stream_, arguments_);
        stream_.wait();
    }

    const std::string &implementation() const { return implementation_; }
    double bytes() const { return bytes_; }

private:
    /// `kernel` is a conv2d_fwd, conv2d_bwd_data or conv2d_bwd_weights.
    Convolution(const Kernel &kernel, const Shape &shape, int batch)
        : source_(any({batch, shape.in_c, shape.in_h, shape.in_w})),
          weights_(any({shape.out_c, shape.in_c, shape.kernel_h, shape.kernel_w})), bias_(any({shape.out_c})),
          output_(any({batch, shape.out_c, shape.out_h, shape.out_w})), strides_{shape.stride_h, shape.stride_w},
          before_{shape.pad_top, shape.pad_left}, after_{shape.pad_bottom(), shape.pad_right()} {
        if (kernel.core == "conv2d_fwd")
            build<convolution_forward>(forward(!kernel.chains.empty()), {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST});
        else if (kernel.core == "conv2d_bwd_data")
            build<convolution_backward_data>(backward_data(), {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC});
        else
            build<convolution_backward_weights>(backward_weights(),
                                                {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS});
    }

    static constexpr auto algorithm = dnnl::algorithm::convolution_auto;

    static memory::desc any(const memory::dims &extents) { return {extents, memory::data_type::f32, memory::format_tag::any}; }

    convolution_forward::primitive_desc forward(bool relu) const {
        dnnl::primitive_attr attributes;
        if (relu) {
            dnnl::post_ops epilogue;
            epilogue.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
            attributes.set_post_ops(epilogue);
        }
        return {{dnnl::prop_kind::forward_training, algorithm, source_, weights_, bias_, output_, strides_, before_, after_},
                attributes,
                engine_};
    }

    convolution_backward_data::primitive_desc backward_data() const {
        return {{algorithm, source_, weights_, output_, strides_, before_, after_}, engine_, forward(false)};
    }

    convolution_backward_weights::primitive_desc backward_weights() const {
        return {{algorithm, source_, weights_, bias_, output_, strides_, before_, after_}, engine_, forward(false)};
    }

    template<typename Primitive>
    void build(const typename Primitive::primitive_desc &description, const std::vector<int> &arguments) {
        primitive_ = Primitive(description);
        implementation_ = description.impl_info_str();
        for (const int argument : arguments) {
            const memory array(description.query_md(dnnl::query::exec_arg_md, argument), engine_);
            const std::size_t bytes = array.get_desc().get_size();
            std::fill_n(static_cast<float *>(array.get_data_handle()), bytes / sizeof(float), 0.25f);
            arguments_.emplace(argument, array);
            bytes_ += static_cast<double>(bytes);
        }
    }

    dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream_{engine_};
    memory::desc source_, weights_, bias_, output_;
    memory::dims strides_, before_, after_;
    dnnl::primitive primitive_;
    std::unordered_map<int, memory> arguments_;
    std::string implementation_;
    double bytes_ = 0;
};

void run(benchmark::State &state, const Kernel &kernel, int batch) {
    Convolution convolution(kernel, batch);
    for (auto iteration : state) {
        static_cast<void>(iteration);
        convolution();
    }
}

/// Chains other than a forward ReLU have no counterpart.
bool has_counterpart(const Kernel &kernel) {
    if (kernel.core == "conv2d_bwd_data" || kernel.core == "conv2d_bwd_weights") return kernel.chains.empty();
    const std::map<std::string, Chain> relu = {{"output", {{"relu"}}}};
    return kernel.core == "conv2d_fwd" && (kernel.chains.empty() || kernel.chains == relu);
}

}  // namespace

void register_onednn(const Plan &plan, const BenchOptions &options, Results &results) {
    omp_set_num_threads(options.threads);
    const auto add = [&](const Kernel &kernel, int batch) {
        const Convolution convolution(kernel, batch);
        results.kernels.push_back({.kernel = work_name(kernel),
                                   .shape = shape_name(kernel),
                                   .set = "onednn",
                                   .entry = convolution.implementation(),
                                   .batch = batch,
                                   .flops = flops(kernel) * batch,
                                   .bytes = convolution.bytes()});
        benchmark::RegisterBenchmark(results.kernels.back().name().c_str(),
                                     [kernel, batch](benchmark::State &state) { run(state, kernel, batch); })
            ->UseRealTime()
            ->MinTime(0.05)
            ->Unit(benchmark::kMillisecond);
    };
    std::set<std::string> seen;
    for (const SetPlan &set : plan.sets)
        for (const CompiledKernel &kernel : set.kernels)
            if (has_counterpart(kernel.kernel) && seen.insert(kernel_name(kernel.kernel)).second)
                for (const int batch : options.batches) add(kernel.kernel, batch);
}

}  // namespace halcyon
