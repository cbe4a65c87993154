#include "runtime/engine/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string_view>

namespace halcyon {
namespace {

const halcyon_kernel &find_compiled(const halcyon_model &model, const Call &call) {
    const std::span kernels(model.kernels, model.kernel_count);
    const auto found =
        std::ranges::find(kernels, std::string_view(call.symbol), [](const halcyon_kernel &k) { return std::string_view(k.symbol); });
    if (found == kernels.end())
        throw std::runtime_error(fmt::format("model {}: its library has no kernel {}: build it anew", model.name, call.symbol));

    const int expected = static_cast<int>(call.arguments.size()) + 1;  // the user_context
    if (const int arguments = found->metadata()->num_arguments; arguments != expected)
        throw std::runtime_error(fmt::format("model {}: kernel {} takes {} arguments and the plan passes {}: build it anew", model.name,
                                             call.symbol, arguments, expected));
    return *found;
}

bool verbose() {
    const char *value = std::getenv("HALCYON_VERBOSE");
    return value && std::string_view(value) == "1";
}

}  // namespace

Executor::Executor(const halcyon_model &model, const Program &program, StorageOrder order, Memory &memory, Session &session)
    : program_(program), order_(order), memory_(memory), session_(session), verbose_(verbose()) {
    std::size_t arguments = 0;
    for (const Call &call : program.calls) {
        kernels_.push_back({find_compiled(model, call).call, arguments});
        arguments += call.arguments.size() + 1;
    }
}

void Executor::run(int batch, int records) {
    on_kernel_stack([&] { make_calls(batch, records); });
}

void Executor::make_calls(int batch, int records) {
    const ThreadPool::Step step(session_.threads());
    memory_.begin_run();
    void **const arguments = binding(batch, records).arguments.data();
    for (std::size_t i = prepared_ ? static_cast<std::size_t>(program_.prepared_calls) : 0; i < kernels_.size(); ++i) {
        const Call &call = program_.calls[i];
        const auto start = std::chrono::steady_clock::now();
        if (const int code = kernels_[i].call(arguments + kernels_[i].arguments)) fail(call, code);
        if (verbose_) {
            memory_.wait();
            const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
            fmt::print(stderr, "{:9.3f} ms  {:24} n={:<5} {:16} {}\n", elapsed.count(), call.layer, batch, call.entry,
                       kernel_name(call.kernel));
        }
    }
    prepared_ = true;
}

Executor::Binding Executor::bind(int batch, int records) {
    Binding binding{
        .tensors = std::vector<std::optional<Tensor>>(program_.buffers.size()), .arguments = {}, .external_version = external_version_};
    for (std::size_t i = 0; i < program_.buffers.size(); ++i) {
        const Buffer &buffer = program_.buffers[i];
        binding.tensors[i].emplace(buffer, order_, memory_.place(buffer), batch, records);
    }
    for (const Call &call : program_.calls) {
        binding.arguments.push_back(&user_context_);
        for (const int buffer : call.arguments) binding.arguments.push_back(binding.tensors.at(static_cast<std::size_t>(buffer))->get());
    }
    return binding;
}

Executor::Binding &Executor::binding(int batch, int records) {
    const auto known = bindings_.find(batch);
    if (known == bindings_.end()) return bindings_.emplace(batch, bind(batch, records)).first->second;

    Binding &binding = known->second;
    if (binding.external_version == external_version_) return binding;
    // In place: the arguments point at the tensors.
    for (std::size_t i = 0; i < program_.buffers.size(); ++i) {
        const Buffer &buffer = program_.buffers[i];
        if (buffer.home == Home::external) binding.tensors[i].emplace(buffer, order_, memory_.place(buffer), batch, records);
    }
    binding.external_version = external_version_;
    return binding;
}

void Executor::fail(const Call &call, int code) {
    const std::string message = session_.take_error();
    throw std::runtime_error(fmt::format("kernel {} of layer \"{}\" failed: {} (code {}, {})", work_name(call.kernel), call.layer,
                                         message.empty() ? "it left no message" : message, code, call.symbol));
}

}  // namespace halcyon
