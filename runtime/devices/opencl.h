// OpenCL, as far as Halide's runtime does not hide it.
#pragma once

#include "runtime/devices/device.h"

namespace halcyon {

/// The device that Halide's runtime takes: of the first platform that with the most compute units; its HL_OCL_PLATFORM_NAME and
/// HL_OCL_DEVICE_TYPE choose others. Throws std::runtime_error, a few words, where there is none.
DeviceDescription describe_opencl();

}  // namespace halcyon
