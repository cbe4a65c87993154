#include "runtime/engine/session.h"

#include <HalideRuntime.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace halcyon {

void Session::report(std::string_view message) noexcept {
    const std::lock_guard lock(mutex_);
    if (!error_.empty()) return;
    try {
        while (message.ends_with('\n')) message.remove_suffix(1);
        error_ = message;
    } catch (...) {  // no memory for the message: the kernel's return code still tells of the failure
    }
}

std::string Session::take_error() {
    const std::lock_guard lock(mutex_);
    return std::exchange(error_, {});
}

int Session::parallel_for(int min, int extent, ThreadPool::Task task, void *context) {
    if (loops_) {
        const std::lock_guard lock(mutex_);
        loops_->push_back(extent);
    }
    return threads_.parallel_for(min, extent, task, context);
}

void *Session::cuda_context(bool create) {
    if (!cuda_.context() && create)
        if (const std::string reason = cuda_.open(); !reason.empty()) report(reason);
    return cuda_.context();
}

namespace {

struct Loop {
    void *user_context;
    halide_task_t task;
    std::uint8_t *closure;

    static int run(void *loop, int index) {
        const auto &self = *static_cast<Loop *>(loop);
        return self.task(self.user_context, index, self.closure);
    }
};

}  // namespace
}  // namespace halcyon

// The hooks. Halide's runtime defines each of them weakly; these replace them. They are in the same object file as the session, so that a
// program that has a session has its hooks too, whatever the order of the libraries. Without a session (a null user_context) loops are
// serial and messages go to stderr.

using halcyon::Session;

extern "C" {

void halide_error(void *user_context, const char *message) {
    if (user_context)
        static_cast<Session *>(user_context)->report(message);
    else
        std::fprintf(stderr, "%s\n", message);
}

void halide_print(void *, const char *message) { std::fputs(message, stderr); }

int halide_do_par_for(void *user_context, halide_task_t task, int min, int size, std::uint8_t *closure) {
    halcyon::Loop loop{user_context, task, closure};
    if (user_context) return static_cast<Session *>(user_context)->parallel_for(min, size, halcyon::Loop::run, &loop);
    for (int i = 0; i < size; ++i)
        if (const int code = halcyon::Loop::run(&loop, min + i)) return code;
    return 0;
}

void *halide_malloc(void *user_context, std::size_t bytes) {
    if (user_context) static_cast<Session *>(user_context)->count_allocation();
    constexpr std::size_t alignment = 64;  // a cache line, and the widest vector
    return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

void halide_free(void *, void *memory) { std::free(memory); }
}
