// Runs a program of the plan: a flat sequence of kernel calls.
#pragma once

#include "plan/plan.h"
#include "runtime/engine/memory.h"
#include "runtime/engine/session.h"
#include "runtime/engine/tensor.h"
#include "runtime/model.h"

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

namespace halcyon {

/// With HALCYON_VERBOSE=1 in the environment when it is made, it writes a line for each call to stderr: milliseconds, kernel, layer,
/// images, entry and symbol (which spells out the shape).
class Executor {
public:
    /// Keeps references to all but `model`, and the kernels' addresses. Throws std::runtime_error where the model's library lacks a kernel
    /// or has one with other arguments.
    Executor(const halcyon_model &model, const Program &program, StorageOrder order, Memory &memory, Session &session);
    Executor(const Executor &) = delete;
    Executor &operator=(const Executor &) = delete;

    /// Runs every call for `batch` images, 1 .. the memory's largest batch, with `records` records bound. A batch size allocates the first
    /// time it is seen, never again. Throws std::runtime_error with kernel, layer and message when a call fails; the calls after it are not
    /// made.
    void run(int batch, int records);

    /// To be called after external buffers have been bound to other memory.
    void rebind() { ++external_version_; }

    /// To be called after weights have changed: the next run prepares anew what it makes of them.
    void forget_preparations() { prepared_ = false; }

private:
    struct Kernel {
        int (*call)(void **arguments);
        std::size_t arguments;  // where its own begin
    };

    /// The arguments of all calls, for one batch size.
    struct Binding {
        std::vector<std::optional<Tensor>> tensors;  // as Program::buffers
        std::vector<void *> arguments;               // call after call: the user_context's address, then the buffers'
        int external_version;
    };

    void make_calls(int batch, int records);
    Binding bind(int batch, int records);
    Binding &binding(int batch, int records);
    [[noreturn]] void fail(const Call &call, int code);

    const Program &program_;
    StorageOrder order_;
    Memory &memory_;
    Session &session_;
    void *user_context_ = &session_;
    bool verbose_;
    bool prepared_ = false;        // the calls that depend on the weights alone have been made
    std::vector<Kernel> kernels_;  // as Program::calls
    std::map<int, Binding> bindings_;
    int external_version_ = 0;  // of what the external buffers are bound to
};

}  // namespace halcyon
