// NVIDIA's driver, as the kernels of a session use it: libcuda.so.1, found at run time, so that a program needs none to start.
#pragma once

#include "runtime/devices/device.h"

#include <string>

namespace halcyon {

/// The first device (of CUDA_VISIBLE_DEVICES). Throws std::runtime_error, a few words, where there is none that the kernels run on: they
/// need compute capability 8.0.
DeviceDescription describe_cuda();

/// The device's primary context, which is also that of the CUDA runtime, cuBLAS and NCCL, and a stream of our own in it.
class CudaStream {
public:
    CudaStream() = default;  // opened when a kernel first asks for it
    ~CudaStream();
    CudaStream(const CudaStream &) = delete;
    CudaStream &operator=(const CudaStream &) = delete;

    /// "", or why there is none.
    std::string open();

    void *context() const { return context_; }  // a CUcontext; null before open()
    void *stream() const { return stream_; }    // a CUstream

private:
    void *context_ = nullptr, *stream_ = nullptr;
};

}  // namespace halcyon
