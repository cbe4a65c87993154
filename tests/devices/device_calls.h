// What kernels ask of Halide's runtime for devices. The linker puts these functions between the two (--wrap), for nothing else tells: PoCL
// runs blocks of 4096 threads with 512 KiB of shared memory, of which a GPU takes 1024 and 48.
#pragma once

#include <algorithm>

namespace halcyon {

struct DeviceCalls {
    int launches = 0;
    int most_threads = 0, most_shared_bytes = 0;  // of one block
    int allocations = 0;
    int copies = 0;  // between host and device, those that are not needed left out

    static DeviceCalls counted;
};

}  // namespace halcyon
