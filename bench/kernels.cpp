#include "bench/benchmarks.h"

#include "plan/augment.h"
#include "plan/step.h"
#include "plan/traffic.h"
#include "runtime/engine/machine.h"
#include "runtime/engine/memory.h"
#include "runtime/engine/network.h"
#include "runtime/engine/tensor.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon {
namespace {

/// A kernel's arguments in memory of their own, with values that occur: nothing denormal, indices and labels in range, a quarter dropped.
class BoundKernel {
public:
    BoundKernel(const halcyon_kernel &function, const CompiledKernel &kernel, const SetPlan &set, int batch, Session &session)
        : function_(function), user_context_(&session) {
        arguments_.push_back(&user_context_);
        for (const Buffer &argument : kernel.arguments) {
            const std::int64_t bytes = bytes_of(argument, batch, batch);
            TwinBlock &block = memory_.emplace_back(device_of(set.set), session, bytes);
            fill(argument, {block.host(), static_cast<std::size_t>(bytes)});
            block.send(bytes);
            tensors_.push_back(std::make_unique<Tensor>(argument, set.order, block.place(0), batch, batch));
            arguments_.push_back(tensors_.back()->get());
        }
    }

    int operator()() { return function_.call(arguments_.data()); }

    /// Waits for a device to finish.
    void wait() { memory_.front().wait(); }

private:
    static void fill(const Buffer &argument, std::span<std::byte> memory) {
        if (argument.type == "float32") {
            for (std::size_t i = 0; i < memory.size() / 4; i++) {
                const float value = static_cast<float>(i % 7) * 0.25f - 0.5f;
                std::memcpy(&memory[4 * i], &value, 4);
            }
        } else if (argument.name == "augment") {
            fill_augment(memory);
        } else if (argument.type == "int32") {
            for (std::size_t i = 0; i < memory.size() / 4; i++) {
                const auto value = static_cast<std::int32_t>(i);
                std::memcpy(&memory[4 * i], &value, 4);
            }
        } else if (argument.type == "uint32") {
            fill_step(memory);
        } else if (argument.type == "uint16") {
            for (std::size_t i = 0; i < memory.size() / 2; i++) {
                const auto label = static_cast<std::uint16_t>(i % 10);
                std::memcpy(&memory[2 * i], &label, 2);
            }
        } else {
            for (std::size_t i = 0; i < memory.size(); i++) memory[i] = static_cast<std::byte>(i % 251);
        }
    }

    /// Each image turned by ten degrees, without another contrast, which is what an image is read twice for.
    static void fill_augment(std::span<std::byte> memory) {
        std::vector<std::int32_t> words(memory.size() / 4);
        for (std::size_t image = 0; image < words.size(); image += augment_words) {
            words.at(image + augment_xx) = words.at(image + augment_yy) = 64540;
            words.at(image + augment_xy) = -(words.at(image + augment_yx) = 11380);
            words.at(image + augment_gain) = augment_one;
        }
        std::memcpy(memory.data(), words.data(), memory.size());
    }

    static void fill_step(std::span<std::byte> memory) {
        std::vector<std::uint32_t> words(memory.size() / 4);
        const auto set_float = [&](int field, float value) {
            words.at(static_cast<std::size_t>(field)) = std::bit_cast<std::uint32_t>(value);
        };
        for (const int field : {step_learning_rate, step_inverse_batch}) set_float(field, 0.001f);
        for (int setting = 0; setting < most_optimizer_settings; setting++) set_float(step_first_setting + setting, 0.001f);
        words.at(step_flip_threshold) = 32768;
        for (int layer = 0; dropout_scale(layer) < static_cast<int>(words.size()); layer++) {  // and over the classes' weights
            words.at(static_cast<std::size_t>(dropout_threshold(layer))) = 16384;
            words.at(static_cast<std::size_t>(dropout_scale(layer))) = std::bit_cast<std::uint32_t>(1 / 0.75f);
        }
        std::memcpy(memory.data(), words.data(), memory.size());
    }

    const halcyon_kernel &function_;
    void *user_context_;
    std::vector<TwinBlock> memory_;
    std::vector<std::unique_ptr<Tensor>> tensors_;
    std::vector<void *> arguments_;
};

bool sees_the_batch(const CompiledKernel &kernel) {
    return std::any_of(kernel.arguments.begin(), kernel.arguments.end(),
                       [](const Buffer &argument) { return std::ranges::any_of(argument.extents, counts_images); });
}

/// How often the set's plan calls a kernel in a run of each of these programs; what it prepares once does not count.
int calls_of(const std::string &symbol, const SetPlan &set, const std::vector<std::string> &programs) {
    std::ptrdiff_t calls = 0;
    for (const Program &program : set.programs)
        if (std::ranges::find(programs, program.name) != programs.end())
            calls += std::count_if(program.calls.begin() + program.prepared_calls, program.calls.end(),
                                   [&](const Call &call) { return call.symbol == symbol; });
    return static_cast<int>(calls);
}

KernelResult row(const CompiledKernel &kernel, const SetPlan &set, int batch) {
    const bool sees = sees_the_batch(kernel);
    return {.kernel = work_name(kernel.kernel),
            .shape = shape_name(kernel.kernel),
            .set = set.set,
            .entry = kernel.entry,
            .batch = sees ? batch : 0,
            .train_calls = calls_of(kernel.symbol, set, {"input", "features", "gradients", "adam"}),
            .infer_calls = batch == 1 ? calls_of(kernel.symbol, set, {"input", "infer_one"})
                                      : calls_of(kernel.symbol, set, {"input", "features", "infer"}),
            .flops = flops(kernel.kernel) * (sees ? batch : 1),
            .bytes = static_cast<double>(traffic(kernel.kernel, kernel.arguments).bytes(batch))};
}

/// A device computes on while the host gives it the next call; waiting for each would add the way there and back. 20 ms of calls hide that.
int calls_in_a_row(BoundKernel &call) {
    call.wait();
    const double seconds = seconds_of([&] {
        call();
        call.wait();
    });
    return std::clamp(static_cast<int>(0.02 / seconds), 1, 1000);
}

void run(benchmark::State &state, const halcyon_kernel &function, const CompiledKernel &kernel, const SetPlan &set, int batch,
         Session &session, std::vector<int> &tasks) {
    BoundKernel call(function, kernel, set, batch, session);
    tasks.clear();
    session.record_loops(&tasks);
    call();
    session.record_loops(nullptr);
    const ThreadPool::Step awake(session.threads());
    const int calls = device_of(set.set) ? calls_in_a_row(call) : 1;
    for (auto iteration : state) {
        static_cast<void>(iteration);
        const double seconds = seconds_of([&] {
            for (int i = 0; i < calls; i++)
                if (call() != 0) state.SkipWithError(session.take_error().c_str());
            call.wait();
        });
        state.SetIterationTime(seconds / calls);
    }
}

const halcyon_kernel &find_function(const halcyon_model &model, const std::string &symbol) {
    return *std::find_if(model.kernels, model.kernels + model.kernel_count,
                         [&](const halcyon_kernel &kernel) { return kernel.symbol == symbol; });
}

}  // namespace

void register_kernels(const halcyon_model &model, const Plan &plan, const BenchOptions &options, Session &session, Results &results) {
    const auto add = [&](const SetPlan &set, const CompiledKernel &kernel, int batch) {
        results.kernels.push_back(row(kernel, set, batch));
        const halcyon_kernel &function = find_function(model, kernel.symbol);
        benchmark::RegisterBenchmark(
            results.kernels.back().name().c_str(),
            [&set, &kernel, &function, batch, &session, &results, index = results.kernels.size() - 1](benchmark::State &state) {
                run(state, function, kernel, set, batch, session, results.kernels[index].tasks);
            })
            ->UseManualTime()
            ->MinTime(0.05)
            ->Unit(benchmark::kMillisecond);
    };
    for (const SetPlan &set : plan.sets) {
        if (const std::string reason = why_not(select_sets({set.set}).front()); !reason.empty()) {
            fmt::print(stderr, "skipped {}: {}\n", set.set, reason);
            continue;
        }
        for (const CompiledKernel &kernel : set.kernels)
            for (const int batch : options.batches)
                if (kernel.kernel.shape.batch > 0 ? batch == kernel.kernel.shape.batch
                                                  : sees_the_batch(kernel) || batch == options.batches.front())
                    add(set, kernel, batch);
    }
}

}  // namespace halcyon
