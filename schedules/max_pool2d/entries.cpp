#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> max_pool2d_menus() {
    return {{"max_pool2d_fwd", {{"channel_vectors", on_x86}, {"vectors", on_device}, autoscheduled, reference, gpu_reference}},
            {"max_pool2d_bwd",
             {{"windows", both<on_x86, separate_windows>},
              {"channel_vectors", on_x86},
              {"window_vectors", both<on_device, separate_windows>},
              {"vectors", on_device},
              autoscheduled,
              reference,
              gpu_reference}}};
}

}  // namespace halcyon
