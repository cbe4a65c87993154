#include "schedules/entries.h"

#include <string>
#include <vector>

namespace halcyon {

std::vector<KernelMenu> concatenate_menus() {
    std::vector<KernelMenu> menus = {{"concatenate", {{"channel_vectors", on_x86}, autoscheduled, reference, gpu_reference}}};
    for (const std::string core : {"first_channels", "last_channels"})
        menus.push_back({core,
                         {{"channel_vectors", on_x86, nullptr, any_that_draws_nothing},
                          {"vectors", on_device, nullptr, any_that_draws_nothing},
                          autoscheduled_with_chains,
                          reference,
                          gpu_reference}});
    return menus;
}

}  // namespace halcyon
