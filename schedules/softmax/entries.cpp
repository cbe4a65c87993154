#include "schedules/entries.h"

#include <vector>

namespace halcyon {

std::vector<KernelMenu> softmax_menus() {
    std::vector<KernelMenu> menus;
    for (const char *core : {"softmax_fwd", "softmax_bwd"})
        menus.push_back({core,
                         {{"channel_vectors", on_x86_up_to<4096>},
                          {"pixels", on_device, nullptr, any_behind},
                          autoscheduled,
                          reference,
                          gpu_reference}});
    return menus;
}

}  // namespace halcyon
