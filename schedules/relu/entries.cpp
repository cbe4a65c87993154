#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> relu_menus() {
    return {{"relu_fwd", {{"channel_vectors", on_x86}, {"vectors", on_device}, autoscheduled, reference, gpu_reference}},
            {"relu_bwd", {{"channel_vectors", on_x86}, {"vectors", on_device}, autoscheduled, reference, gpu_reference}}};
}

}  // namespace halcyon
