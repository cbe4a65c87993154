#include "runtime/devices/cuda.h"

#include "runtime/engine/session.h"

#include <HalideRuntime.h>
#include <fmt/format.h>

#include <dlfcn.h>

#include <array>
#include <stdexcept>
#include <string_view>

namespace halcyon {
namespace {

// The driver's interface, of which the little that is used here is declared anew: its header comes with the toolkit, which no user needs.
using Result = int;                          // CUresult; 0 is success
constexpr unsigned stream_non_blocking = 1;  // does not wait for the default stream
enum Attribute : int {                       // CUdevice_attribute
    clock_khz = 13,
    multiprocessors = 16,
    memory_clock_khz = 36,
    memory_bus_bits = 37,
    capability_major = 75,
    capability_minor = 76,
};

void *find_symbol(const char *name) {
    // The driver's own name: libcuda.so, for which Halide looks, is only where the toolkit is.
    static void *const library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, name) : nullptr;
}

/// A function of the driver that throws std::runtime_error, a few words, where it fails or there is none.
template<typename... Parameters>
class Function {
public:
    explicit Function(const char *name) : name_(name), function_(reinterpret_cast<Result (*)(Parameters...)>(find_symbol(name))) {
        if (!function_) throw std::runtime_error(fmt::format("there is no CUDA driver: libcuda.so.1 has no {}", name));
    }

    void operator()(Parameters... arguments) const {
        if (const Result result = function_(arguments...)) throw std::runtime_error(describe(result));
    }

private:
    std::string describe(Result result) const {
        const char *text = nullptr;
        const auto to_text = reinterpret_cast<Result (*)(Result, const char **)>(find_symbol("cuGetErrorString"));
        if (to_text) to_text(result, &text);
        return fmt::format("the CUDA driver's {} failed: {}", name_, text ? text : fmt::format("error {}", result));
    }

    const char *name_;
    Result (*function_)(Parameters...);
};

/// The first device's number for the driver.
int first_device() {
    if (!find_symbol("cuInit")) throw std::runtime_error("there is no CUDA driver (libcuda.so.1)");
    Function<unsigned>("cuInit")(0);
    int devices = 0, device = 0;
    Function<int *>("cuDeviceGetCount")(&devices);
    if (devices == 0) throw std::runtime_error("there is no CUDA device");
    Function<int *, int>("cuDeviceGet")(&device, 0);
    return device;
}

int attribute(int device, Attribute which) {
    int value = 0;
    Function<int *, int, int>("cuDeviceGetAttribute")(&value, which, device);
    return value;
}

}  // namespace

DeviceDescription describe_cuda() {
    const int device = first_device();
    const int major = attribute(device, capability_major), minor = attribute(device, capability_minor);
    if (major < 8) throw std::runtime_error(fmt::format("its CUDA device has compute capability {}.{}, less than 8.0", major, minor));
    std::array<char, 256> name{};
    Function<char *, int, int>("cuDeviceGetName")(name.data(), name.size(), device);
    std::size_t bytes = 0;
    Function<std::size_t *, int>("cuDeviceTotalMem_v2")(&bytes, device);
    // NVIDIA's programming guide, "Arithmetic instructions": fp32 multiply-adds a clock of a multiprocessor. Memory moves data twice a
    // clock.
    const int multiply_adds = major == 8 && minor == 0 ? 64 : 128;
    const double gflops = 2e-6 * multiply_adds * attribute(device, multiprocessors) * attribute(device, clock_khz);
    const double gb_per_second = 2e-6 * attribute(device, memory_clock_khz) * attribute(device, memory_bus_bits) / 8;
    return {name.data(), static_cast<std::int64_t>(bytes), fmt::format("compute capability {}.{}", major, minor), gflops, gb_per_second};
}

// The context stays retained to the process's end: Halide keeps its loaded kernels by context, and would take a new one of the same address
// for the old one.
std::string CudaStream::open() {
    try {
        void *context = nullptr, *stream = nullptr, *popped = nullptr;
        Function<void **, int>("cuDevicePrimaryCtxRetain")(&context, first_device());
        Function<void *>("cuCtxPushCurrent_v2")(context);
        Function<void **, unsigned>("cuStreamCreate")(&stream, stream_non_blocking);
        Function<void **>("cuCtxPopCurrent_v2")(&popped);
        context_ = context;
        stream_ = stream;
        return "";
    } catch (const std::runtime_error &error) {
        return error.what();
    }
}

CudaStream::~CudaStream() {
    if (!stream_) return;  // a session of the host must not look for a driver
    const auto destroy = reinterpret_cast<Result (*)(void *)>(find_symbol("cuStreamDestroy_v2"));
    if (destroy) destroy(stream_);
}

namespace {

/// In place of cuModuleLoadDataEx: Halide 21 asks it for at most 64 registers a thread, with which a tile of sums spills. Without options
/// the driver gives a kernel as many as it needs.
Result load_module(void **module, const void *image, unsigned, void *, void **) {
    const auto load = reinterpret_cast<Result (*)(void **, const void *)>(find_symbol("cuModuleLoadData"));
    return load(module, image);
}

}  // namespace
}  // namespace halcyon

// Halide's hooks, which replace its weak definitions. `user_context` is a session, or null, for which there is no context.

using halcyon::Session;

extern "C" {

void *halide_cuda_get_symbol(void *, const char *name) {
    if (std::string_view(name) == "cuModuleLoadDataEx") return reinterpret_cast<void *>(halcyon::load_module);
    return halcyon::find_symbol(name);
}

int halide_cuda_acquire_context(void *user_context, void **context, bool create) {
    *context = user_context ? static_cast<Session *>(user_context)->cuda_context(create) : nullptr;
    return *context || !create ? halide_error_code_success : halide_error_code_gpu_device_error;
}

int halide_cuda_release_context(void *) { return halide_error_code_success; }

int halide_cuda_get_stream(void *user_context, void *, void **stream) {
    *stream = static_cast<Session *>(user_context)->cuda_stream();
    return halide_error_code_success;
}
}
