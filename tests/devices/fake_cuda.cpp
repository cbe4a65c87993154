// A CUDA driver without a device: memory is the host's, launches compute nothing. It is built as libcuda.so.1 and put before the machine's
// own, so that what the runtime asks of a driver, and what it says of one that fails, is tested where there is no GPU. FAKE_CUDA chooses
// what is wrong with it; at its end it writes what was asked for into the file that FAKE_CUDA_LOG names.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

enum Result { success = 0, out_of_memory = 2, no_device = 100, unknown = 999 };

bool is(const char *fault) {
    const char *chosen = std::getenv("FAKE_CUDA");
    return chosen && std::string_view(chosen) == fault;
}

/// Some address, to be told from null and from others.
int primary_context, own_stream, module, function;

/// What was asked for.
struct Log {
    int contexts_created = 0, wrong_contexts = 0, modules = 0, modules_with_options = 0, launches = 0, wrong_streams = 0, too_large = 0;
    int allocations = 0, to_device = 0, to_host = 0, live_streams = 0;
    void *context = nullptr;

    ~Log() {
        const char *path = std::getenv("FAKE_CUDA_LOG");
        std::FILE *file = path ? std::fopen(path, "w") : nullptr;
        if (!file) return;
        std::fprintf(file,
                     R"({"contexts_created":%d,"wrong_contexts":%d,"modules":%d,"modules_with_options":%d,"launches":%d,)"
                     R"("wrong_streams":%d,"too_large":%d,"allocations":%d,"to_device":%d,"to_host":%d,"live_streams":%d})",
                     contexts_created, wrong_contexts, modules, modules_with_options, launches, wrong_streams, too_large, allocations,
                     to_device, to_host, live_streams);
        std::fclose(file);
    }

    void check_context() { wrong_contexts += context != &primary_context; }
    void check_stream(void *stream) { wrong_streams += stream != &own_stream; }
};

Log log;

Result copy(void *to, const void *from, std::size_t bytes, void *stream, int &count) {
    log.check_context();
    log.check_stream(stream);
    std::memcpy(to, from, bytes);
    ++count;
    return success;
}

void *address(unsigned long long device) { return reinterpret_cast<void *>(device); }

}  // namespace

extern "C" {

Result cuInit(unsigned) { return is("cuInit fails") ? unknown : success; }
Result cuGetErrorString(Result result, const char **text) {
    *text = result == unknown ? "unknown error" : "another error";
    return success;
}
Result cuDeviceGetCount(int *count) {
    *count = is("no device") ? 0 : 1;
    return success;
}
Result cuDeviceGet(int *device, int) {
    *device = 0;
    return success;
}
Result cuDeviceGetAttribute(int *value, int attribute, int) {
    const int major = is("old device") ? 7 : 9;
    *value = attribute == 75 ? major : attribute == 76 ? 5 : 1;
    return success;
}
Result cuDeviceGetName(char *name, int length, int) {
    std::snprintf(name, static_cast<std::size_t>(length), "Fake GPU");
    return success;
}
Result cuDeviceTotalMem_v2(std::size_t *bytes, int) {
    *bytes = std::size_t{1} << 30;
    return success;
}

Result cuDevicePrimaryCtxRetain(void **context, int) {
    *context = &primary_context;
    return success;
}
Result cuCtxCreate_v2(void **, unsigned, int) {
    ++log.contexts_created;
    return unknown;
}
Result cuCtxDestroy_v2(void *) { return unknown; }
Result cuCtxGetApiVersion(void *, unsigned *) { return unknown; }
Result cuCtxGetDevice(int *device) { return cuDeviceGet(device, 0); }
Result cuCtxPushCurrent_v2(void *context) {
    log.context = context;
    return success;
}
Result cuCtxPopCurrent_v2(void **context) {
    *context = log.context;
    log.context = nullptr;
    return success;
}
Result cuCtxSynchronize() { return success; }
Result cuProfilerStop() { return success; }

Result cuStreamCreate(void **stream, unsigned) {
    log.check_context();
    if (is("no stream")) return unknown;
    ++log.live_streams;
    *stream = &own_stream;
    return success;
}
Result cuStreamDestroy_v2(void *) {
    --log.live_streams;
    return success;
}
Result cuStreamSynchronize(void *stream) {
    log.check_stream(stream);
    return success;
}

Result cuModuleLoadData(void **loaded, const void *image) {
    log.check_context();
    ++log.modules;
    *loaded = &module;
    return std::strstr(static_cast<const char *>(image), ".target sm_80") ? success : unknown;
}
Result cuModuleLoadDataEx(void **loaded, const void *image, unsigned, void *, void **) {
    ++log.modules_with_options;
    return cuModuleLoadData(loaded, image);
}
Result cuModuleUnload(void *) { return success; }
Result cuModuleGetFunction(void **found, void *, const char *) {
    *found = &function;
    return success;
}

Result cuMemAlloc_v2(unsigned long long *device, std::size_t bytes) {
    log.check_context();
    if (is("full device") && log.allocations > 3) return out_of_memory;
    ++log.allocations;
    *device = reinterpret_cast<unsigned long long>(std::calloc(1, bytes));
    return success;
}
Result cuMemFree_v2(unsigned long long device) {
    std::free(address(device));
    return success;
}
Result cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, std::size_t bytes, void *stream) {
    return copy(address(to), from, bytes, stream, log.to_device);
}
Result cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, std::size_t bytes, void *stream) {
    return copy(to, address(from), bytes, stream, log.to_host);
}

// What Halide looks for and the runtime does not use.
Result cuMemcpyHtoD_v2() { return unknown; }
Result cuMemcpyDtoH_v2() { return unknown; }
Result cuMemcpyDtoD_v2() { return unknown; }
Result cuMemcpyDtoDAsync_v2() { return unknown; }
Result cuMemcpy3D_v2() { return unknown; }
Result cuPointerGetAttribute() { return unknown; }

Result cuLaunchKernel(void *, unsigned, unsigned, unsigned, unsigned x, unsigned y, unsigned z, unsigned shared_bytes, void *stream,
                      void **, void **) {
    log.check_context();
    log.check_stream(stream);
    log.too_large += x * y * z > 1024 || shared_bytes > 48 * 1024;
    ++log.launches;
    return success;
}
}
