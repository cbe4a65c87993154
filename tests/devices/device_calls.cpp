#include "tests/devices/device_calls.h"

#include <HalideRuntime.h>

#include <cstddef>
#include <cstdint>

using halcyon::DeviceCalls;

DeviceCalls DeviceCalls::counted;

namespace {

using Run = int(void *, void *, const char *, int, int, int, int, int, int, int, std::size_t *, void **, std::int8_t *);

template<Run &run>
int count_launch(void *user_context, void *state, const char *entry, int blocks_x, int blocks_y, int blocks_z, int threads_x, int threads_y,
                 int threads_z, int shared_bytes, std::size_t *sizes, void **arguments, std::int8_t *are_buffers) {
    DeviceCalls &counted = DeviceCalls::counted;
    counted.launches++;
    counted.most_threads = std::max(counted.most_threads, threads_x * threads_y * threads_z);
    counted.most_shared_bytes = std::max(counted.most_shared_bytes, shared_bytes);
    return run(user_context, state, entry, blocks_x, blocks_y, blocks_z, threads_x, threads_y, threads_z, shared_bytes, sizes, arguments,
               are_buffers);
}

}  // namespace

extern "C" {

Run __real_halide_cuda_run, __real_halide_opencl_run;

int __wrap_halide_cuda_run(void *user_context, void *state, const char *entry, int bx, int by, int bz, int tx, int ty, int tz, int shared,
                           std::size_t *sizes, void **arguments, std::int8_t *are_buffers) {
    return count_launch<__real_halide_cuda_run>(user_context, state, entry, bx, by, bz, tx, ty, tz, shared, sizes, arguments, are_buffers);
}

int __wrap_halide_opencl_run(void *user_context, void *state, const char *entry, int bx, int by, int bz, int tx, int ty, int tz, int shared,
                             std::size_t *sizes, void **arguments, std::int8_t *are_buffers) {
    return count_launch<__real_halide_opencl_run>(user_context, state, entry, bx, by, bz, tx, ty, tz, shared, sizes, arguments,
                                                  are_buffers);
}

using Allocate = int(void *, halide_buffer_t *, const halide_device_interface_t *);
Allocate __real_halide_device_malloc, __real_halide_device_and_host_malloc;

int __wrap_halide_device_malloc(void *user_context, halide_buffer_t *buffer, const halide_device_interface_t *device) {
    DeviceCalls::counted.allocations++;
    return __real_halide_device_malloc(user_context, buffer, device);
}

int __wrap_halide_device_and_host_malloc(void *user_context, halide_buffer_t *buffer, const halide_device_interface_t *device) {
    DeviceCalls::counted.allocations++;
    return __real_halide_device_and_host_malloc(user_context, buffer, device);
}

Allocate __real_halide_copy_to_device;
int __real_halide_copy_to_host(void *, halide_buffer_t *);

int __wrap_halide_copy_to_device(void *user_context, halide_buffer_t *buffer, const halide_device_interface_t *device) {
    DeviceCalls::counted.copies += buffer->host_dirty();
    return __real_halide_copy_to_device(user_context, buffer, device);
}

int __wrap_halide_copy_to_host(void *user_context, halide_buffer_t *buffer) {
    DeviceCalls::counted.copies += buffer->device_dirty();
    return __real_halide_copy_to_host(user_context, buffer);
}
}
