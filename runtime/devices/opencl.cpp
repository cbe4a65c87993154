#include "runtime/devices/opencl.h"

#include "runtime/engine/session.h"

#include <HalideRuntimeOpenCL.h>
#include <fmt/format.h>

#include <dlfcn.h>

#include <array>
#include <stdexcept>

// Of Halide's runtime, which has it in no header.
extern "C" int halide_acquire_cl_context(void *user_context, void **context, void **queue, bool create);
extern "C" int halide_release_cl_context(void *user_context);

namespace halcyon {
namespace {

// Of OpenCL's interface, whose headers no user needs.
constexpr unsigned queue_device = 0x1091, device_memory = 0x101F, device_name = 0x102B, device_version = 0x102F;
using GetInfo = int (*)(void *object, unsigned what, std::size_t size, void *value, std::size_t *size_needed);

/// One answer of clGet...Info about `object`.
void get_info(const char *function, void *object, unsigned what, std::size_t size, void *value) {
    static void *const library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    const auto get = reinterpret_cast<GetInfo>(library ? dlsym(library, function) : nullptr);
    if (!get || get(object, what, size, value, nullptr)) throw std::runtime_error(fmt::format("OpenCL's {} failed", function));
}

std::string text(void *device, unsigned what) {
    std::array<char, 256> text{};
    get_info("clGetDeviceInfo", device, what, text.size() - 1, text.data());
    return text.data();
}

}  // namespace

DeviceDescription describe_opencl() {
    Session session(1);
    int major = 0, minor = 0;  // of OpenCL; 0 where there is no libOpenCL
    if (halide_opencl_device_interface()->compute_capability(&session, &major, &minor))
        throw std::runtime_error(fmt::format("there is no OpenCL device: {}", session.take_error()));
    if (major == 0) throw std::runtime_error("there is no OpenCL driver (libOpenCL.so)");

    void *context = nullptr, *queue = nullptr, *device = nullptr;
    if (halide_acquire_cl_context(&session, &context, &queue, false)) throw std::runtime_error(session.take_error());
    halide_release_cl_context(&session);
    get_info("clGetCommandQueueInfo", queue, queue_device, sizeof device, &device);
    std::uint64_t bytes = 0;
    get_info("clGetDeviceInfo", device, device_memory, sizeof bytes, &bytes);
    return {
        .name = text(device, device_name), .memory_bytes = static_cast<std::int64_t>(bytes), .capability = text(device, device_version)};
}

}  // namespace halcyon
